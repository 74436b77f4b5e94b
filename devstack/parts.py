"""What runs on this machine, written down by `up` for the other verbs: what it is, and where it listens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Final

from devstack.paths import Paths
from devstack.servers.mongo_users import ADMIN, LocalUsers
from devstack.servers.ports import LOOPBACK
from devstack.servers.rabbit_users import amqp_url
from operations.errors import SetupError
from operations.terminal import short_path
from service_kit.broker.users import OPERATOR
from service_kit.files import write_whole

DECLARATIONS: Final = ("ROLLCALL_PERSON_SCHEMA", "ROLLCALL_ROLES", "ROLLCALL_KEK_FILE")
"""The settings that name files of which services and operators' verbs must have the same."""
_FILE = "up.json"
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


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


def save_description(paths: Paths, parts: list[Part], environment: Mapping[str, str] = _NOTHING) -> None:
    """Write down what runs, for `status`, and by which declarations, for operators' verbs.

    Args:
        paths: Where the state is.
        parts: What runs.
        environment: What the services are given.

    Raises:
        SetupError: The state folder cannot be written to.
    """
    try:
        declared = {name: environment[name] for name in DECLARATIONS if environment.get(name)}
        content = {"parts": [asdict(part) for part in parts], "declarations": declared}
        write_whole(paths.run / _FILE, json.dumps(content))
    except OSError as exc:
        raise SetupError(f"{short_path(paths.run)} cannot be written to ({exc.strerror}).") from exc


def forget_description(paths: Paths) -> None:
    """Nothing runs any more."""
    (paths.run / _FILE).unlink(missing_ok=True)


def running_mongo_uri(paths: Paths, database: str) -> str | None:
    """Return the connection string of the database that `up` runs, for operators; None if none is ours.

    Args:
        paths: Where the state is.
        database: The services' database.
    """
    parts = load_parts(paths)
    if routers := [part for part in parts if part.kind == "router"]:
        return f"mongodb://{routers[0].host}:{routers[0].port}/"
    hosts = ",".join(f"{part.host}:{part.port}" for part in parts if part.kind == "mongod")
    if not hosts:
        return None
    uri, users = f"mongodb://{hosts}/?replicaSet=rollcall", LocalUsers(paths.mongo_secrets, database)
    return users.uri_of(ADMIN, uri) if users.are_there else uri


def running_amqp_url(paths: Paths, user: str = OPERATOR) -> str | None:
    """Return the address of the broker that `up` runs, with a user's password; None if none is ours."""
    hosts = [f"{part.host}:{part.port}" for part in load_parts(paths) if part.kind == "rabbitmq"]
    return amqp_url(paths.rabbitmq_data, hosts, user) if hosts else None


def load_parts(paths: Paths) -> list[Part]:
    """Return what runs; nothing where `up` is not that far."""
    try:
        return [Part(**part) for part in json.loads((paths.run / _FILE).read_text())["parts"]]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def running_declarations(paths: Paths) -> dict[str, str]:
    """Return the settings of `DECLARATIONS` of what runs; nothing where `up` is not that far."""
    try:
        return dict(json.loads((paths.run / _FILE).read_text())["declarations"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def operators_environment(paths: Paths, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that the operators' verbs need for the system that runs on this machine.

    Args:
        paths: Where it keeps its state.
        environ: What the user has set, which wins.
    """
    database = environ.get("ROLLCALL_MONGO_DB") or "rollcall"
    here = {
        # Known while nothing runs, too: a key is added before a start.
        "ROLLCALL_KEK_FILE": str(paths.kek_file) if paths.kek_file.exists() else None,
        **running_declarations(paths),
        "ROLLCALL_STATE_DIR": str(paths.state),
        "ROLLCALL_SIGNING_KEYS": str(paths.signing_keys),
        "ROLLCALL_MONGO_URI": None
        if environ.get("ROLLCALL_MONGO_URI")
        else running_mongo_uri(paths, database),
        "ROLLCALL_AMQP_URL": None if environ.get("ROLLCALL_AMQP_URL") else running_amqp_url(paths),
    }
    return {name: value for name, value in here.items() if value and not environ.get(name)}
