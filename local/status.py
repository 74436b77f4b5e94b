"""What runs and how it is: written down by `up`, asked afresh by `status`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from local.cluster import ShardedCluster
from local.errors import SetupError
from local.places import Places
from local.ports import LOOPBACK, listens
from local.rabbit import amqp_url, greets
from local.records import load
from local.say import shown
from local.services import readiness
from local.system import System, rabbitmq_data
from service_kit.files import write_whole

_FILE = "up.json"
_GOOD = {"ready", "primary", "secondary", "yours"}


@dataclass(frozen=True)
class Part:
    """One thing that runs.

    Attributes:
        name: Its name, as in its log's.
        kind: How to ask it: `mongod`, `router`, `rabbitmq`, `service`, or `yours` for a server that
            the user runs.
        host: Where it listens.
        port: Where it listens; 0 for a server that the user runs.
    """

    name: str
    kind: str
    host: str = LOOPBACK
    port: int = 0


@dataclass(frozen=True)
class PartStatus:
    """One line of the table."""

    part: Part
    pid: int | None
    state: str

    @property
    def good(self) -> bool:
        """Whether it does its work."""
        return self.state.partition(";")[0] in _GOOD


def save_description(places: Places, system: System) -> None:
    """Write down what runs, for `status`.

    Raises:
        SetupError: The state folder cannot be written to.
    """
    mongo, rabbit = system.mongo, system.rabbit
    parts = [] if mongo else [Part("MongoDB", "yours")]
    for each in mongo.sets if mongo else []:
        members = zip(each.members, each.ports, strict=True)
        parts += [Part(member.name, "mongod", port=port) for member, port in members]
    if isinstance(mongo, ShardedCluster):
        parts.append(Part(mongo.router.name, "router", port=mongo.router_port))
    parts += (
        [Part(node.server.name, "rabbitmq", port=node.amqp_port) for node in rabbit.nodes] if rabbit else []
    )
    parts += [] if rabbit else [Part("RabbitMQ", "yours")]
    parts += [Part(service.child.name, "service", service.host, service.port) for service in system.services]
    try:
        write_whole(places.run / _FILE, json.dumps([asdict(part) for part in parts]))
    except OSError as exc:
        raise SetupError(f"{shown(places.run)} cannot be written to ({exc.strerror}).") from exc


def forget_description(places: Places) -> None:
    """Nothing runs any more."""
    (places.run / _FILE).unlink(missing_ok=True)


def look(places: Places) -> list[PartStatus]:
    """Ask everything that `up` started how it is.

    Returns:
        A line for each; empty when `up` is not that far.
    """
    parts = _parts(places)
    pids = {record.name: record.pid for record in load(places.run) if record.alive}
    return [PartStatus(part, pids.get(part.name), _state(part)) for part in parts]


def running_mongo_uri(places: Places) -> str | None:
    """Return the connection string of the database that `up` runs; None when there is none of ours."""
    parts = _parts(places)
    if routers := [part for part in parts if part.kind == "router"]:
        return f"mongodb://{routers[0].host}:{routers[0].port}/"
    hosts = ",".join(f"{part.host}:{part.port}" for part in parts if part.kind == "mongod")
    return f"mongodb://{hosts}/?replicaSet=rollcall" if hosts else None


def running_amqp_url(places: Places) -> str | None:
    """Return the address of the broker that `up` runs, with its password; None when there is none of ours."""
    hosts = [f"{part.host}:{part.port}" for part in _parts(places) if part.kind == "rabbitmq"]
    return amqp_url(rabbitmq_data(places), hosts) if hosts else None


def _parts(places: Places) -> list[Part]:
    try:
        return [Part(**part) for part in json.loads((places.run / _FILE).read_text())]
    except (OSError, ValueError, TypeError):
        return []


def table(statuses: list[PartStatus]) -> str:
    """The lines for people to read."""
    rows = [("WHAT", "PID", "PORT", "STATE")]
    rows += [(s.part.name, str(s.pid or "-"), str(s.part.port or "-"), s.state) for s in statuses]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}" for row in rows
    )


def _state(part: Part) -> str:
    match part.kind:
        case "mongod" | "router":
            return _member_state(part.port)
        case "rabbitmq":
            return "ready" if greets(part.port) else "no answer"
        case "service":
            return readiness(part.host, part.port)
        case _:
            return "yours"


def _member_state(port: int) -> str:
    if not listens(port):
        return "no answer"
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=1000, socketTimeoutMS=1000
        )
        with client:
            hello = client.admin.command("hello")
    except PyMongoError:
        return "no answer"
    if hello.get("msg") == "isdbgrid":
        return "ready"
    if hello.get("isWritablePrimary"):
        return "primary"
    return "secondary" if hello.get("secondary") else "not ready"
