"""The three services as child processes: their environment, their ports, and whether they are ready."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devstack.parts import DECLARATIONS
from devstack.paths import Paths
from devstack.processes import Child
from devstack.servers.ports import WantedPort
from operations.addresses import ServicePorts
from service_kit.broker.users import COMMAND_USER, QUERY_USER, WORKER_USER

_FILES = (
    "ROLLCALL_JWT_KEY_FILE",
    "ROLLCALL_SIGNING_KEYS",
    "ROLLCALL_IMAGES_KEY_FILE",
    "ROLLCALL_TRANSPORT_CACHE",
    "ROLLCALL_ERASURE_JOURNAL",
    *DECLARATIONS,
)
"""Settings that name files: from wherever a process is started, the same ones."""
TOKEN_SOURCES = ("ROLLCALL_JWT_KEY_FILE", "ROLLCALL_JWKS_URL", "ROLLCALL_SIGNING_KEYS")


@dataclass(frozen=True)
class Service:
    """One service's process and where it answers."""

    child: Child
    host: str
    port: int

    @property
    def ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        return readiness(self.host, self.port).startswith("ready")


def wanted_ports(ports: ServicePorts, workers: int) -> list[WantedPort]:
    """Return every port that the services will listen on."""
    return [
        WantedPort(ports.command, "command API", "ROLLCALL_COMMAND_PORT", ports.host),
        WantedPort(ports.query, "query API", "ROLLCALL_QUERY_PORT", ports.host),
        *(
            WantedPort(ports.worker + i, f"worker {i}", "ROLLCALL_WORKER_PORT", ports.host)
            for i in range(workers)
        ),
    ]


def service_environment(
    paths: Paths,
    environ: Mapping[str, str],
    ports: ServicePorts,
    *,
    mongo_uri: str,
    amqp_url: str,
) -> dict[str, str]:
    """The environment of every service; what the user has set wins.

    Args:
        paths: The project and its state.
        environ: The user's environment.
        ports: Where the services listen.
        mongo_uri: The replica set.
        amqp_url: The broker.
    """
    ours = {
        "ROLLCALL_MONGO_URI": mongo_uri,
        "ROLLCALL_AMQP_URL": amqp_url,
        "ROLLCALL_HOST": ports.host,
        "ROLLCALL_COMMAND_PORT": str(ports.command),
        "ROLLCALL_QUERY_PORT": str(ports.query),
        "ROLLCALL_WORKER_PORT": str(ports.worker),
        "ROLLCALL_QUERY_URL": ports.query_url,
        "ROLLCALL_READ_FROM_HEADER": "true",
        "ROLLCALL_IMAGES_KEY_FILE": str(paths.images_key),
        "ROLLCALL_KEK_FILE": str(paths.kek_file),
        "ROLLCALL_TRANSPORT_CACHE": str(paths.transport_cache),
        "ROLLCALL_ERASURE_JOURNAL": str(paths.erasure_journal),
        "PYTHONPATH": str(paths.root),
        "PYTHONUNBUFFERED": "1",
    }
    if not any(environ.get(name) for name in TOKEN_SOURCES):
        ours["ROLLCALL_SIGNING_KEYS"] = str(paths.signing_keys)
        ours["ROLLCALL_JWT_ALGORITHM"] = "EdDSA"
        ours["ROLLCALL_JWT_TYP"] = "at+jwt"
    # An empty setting counts as unset, so it gets our value.
    theirs = {k: v for k, v in environ.items() if v or not k.startswith("ROLLCALL_")}
    for name in _FILES:
        if path := theirs.get(name):
            theirs[name] = str(Path(path).absolute())
    theirs.pop("PYTHONPATH", None)
    return {**ours, **theirs}


def make_services(
    paths: Paths,
    environment: Mapping[str, str],
    ports: ServicePorts,
    workers: int,
    addresses_of: Callable[[str], Mapping[str, str]],
) -> list[Service]:
    """Describe the two APIs and the workers; nothing is started yet.

    Args:
        paths: The project and its state.
        environment: What all of them are given.
        ports: Where they listen.
        workers: How many there are.
        addresses_of: Returns the settings of both servers' addresses for a user, of the same name at each.
    """
    own_keys = environment.get("ROLLCALL_SIGNING_KEYS")
    published = {
        "ROLLCALL_SIGNING_KEYS": "",
        "ROLLCALL_JWKS_URL": f"{ports.command_url}/.well-known/jwks.json",
    }

    def service(name: str, module: str, port: int, user: str, **extra: str) -> Service:
        child = Child(
            name,
            [sys.executable, "-m", module],
            log=paths.logs / f"{name}.log",
            env={**environment, **addresses_of(user), **extra},
            cwd=paths.root,
            run=paths.run,
        )
        return Service(child, ports.near_host, port)

    return [
        service("command-api", "command_api", ports.command, COMMAND_USER),
        # It verifies with the keys that the command API publishes, as in production: empty settings are none.
        service("query-api", "query_api", ports.query, QUERY_USER, **(published if own_keys else {})),
        *(
            service(f"worker-{i}", "workers", port, WORKER_USER, ROLLCALL_WORKER_PORT=str(port))
            for i, port in enumerate(range(ports.worker, ports.worker + workers))
        ),
    ]


def readiness(host: str, port: int, timeout_s: float = 3.0) -> str:
    """What `/readyz` says: `ready`, perhaps with remarks; `not ready` and why; or `no answer`."""
    connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=timeout_s)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        answer = json.loads(response.read())
        word, kind = ("ready", "remarks") if response.status == http.client.OK else ("not ready", "parts")
        faults = [f"{name}: {state}" for name, state in answer.get(kind, {}).items() if state != "ok"]
    # AttributeError: something that is not a service of ours answers with other JSON.
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return "no answer"
    finally:
        connection.close()
    return "; ".join([word, *faults])
