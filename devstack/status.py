"""How each part of the running system is, asked afresh by `status`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from devstack.parts import Part, load_parts
from devstack.paths import Paths
from devstack.records import load
from devstack.servers.cluster import ShardedCluster
from devstack.servers.ports import LOOPBACK, listens
from devstack.servers.rabbit import greets
from devstack.services import readiness
from devstack.system import System

_GOOD = {"ready", "primary", "secondary", "yours"}


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


def parts_of(system: System) -> list[Part]:
    """Return what a system consists of."""
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
    return parts


def look(paths: Paths) -> list[PartStatus]:
    """Ask everything that `up` started how it is.

    Returns:
        A line for each; empty when `up` is not that far.
    """
    parts = load_parts(paths)
    pids = {record.name: record.pid for record in load(paths.run) if record.alive}
    return [PartStatus(part, pids.get(part.name), _state(part)) for part in parts]


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
