"""The three services as child processes: their environment, their ports, and whether they are ready."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import SetupError
from local.places import Places
from local.ports import LOOPBACK, WantedPort
from local.processes import Child

TOKEN_SOURCES = ("ROLLCALL_JWT_KEY_FILE", "ROLLCALL_JWKS_URL", "ROLLCALL_SIGNING_KEYS")
_ANYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}  # noqa: S104 - recognised, not used


@dataclass(frozen=True)
class ServicePorts:
    """Where the services listen.

    Attributes:
        host: The address they listen on.
        command: The command API's port.
        query: The query API's port.
        worker: The first worker's port for health and metrics; the others follow.
    """

    host: str
    command: int
    query: int
    worker: int

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> ServicePorts:
        """From `ROLLCALL_HOST` and `ROLLCALL_…_PORT`, or 8011, 8012 and 8013 on loopback."""
        return cls(
            environ.get("ROLLCALL_HOST") or LOOPBACK,
            number(environ, "ROLLCALL_COMMAND_PORT", 8011),
            number(environ, "ROLLCALL_QUERY_PORT", 8012),
            number(environ, "ROLLCALL_WORKER_PORT", 8013),
        )

    @property
    def near_host(self) -> str:
        """The address to reach them at from this machine, ready for a URL."""
        host = _ANYWHERE.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host

    @property
    def command_url(self) -> str:
        """The command API, from this machine."""
        return f"http://{self.near_host}:{self.command}"

    @property
    def query_url(self) -> str:
        """The query API, from this machine."""
        return f"http://{self.near_host}:{self.query}"

    def wanted(self, workers: int) -> list[WantedPort]:
        """Every port that the services will listen on."""
        return [
            WantedPort(self.command, "command API", "ROLLCALL_COMMAND_PORT", self.host),
            WantedPort(self.query, "query API", "ROLLCALL_QUERY_PORT", self.host),
            *(
                WantedPort(self.worker + i, f"worker {i}", "ROLLCALL_WORKER_PORT", self.host)
                for i in range(workers)
            ),
        ]


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


def number(environ: Mapping[str, str], name: str, default: int) -> int:
    """An integer setting.

    Raises:
        SetupError: It is set to something else.
    """
    text = environ.get(name) or str(default)
    if not text.isdecimal():
        raise SetupError(f"{name} is {text!r}, which is not a number: correct or unset it.")
    return int(text)


def service_environment(
    places: Places,
    environ: Mapping[str, str],
    ports: ServicePorts,
    *,
    mongo_uri: str,
    amqp_url: str,
) -> dict[str, str]:
    """The environment of every service; what the user has set wins.

    Args:
        places: The project and its state.
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
        "ROLLCALL_IMAGES_KEY_FILE": str(places.images_key),
        "PYTHONPATH": str(places.root),
        "PYTHONUNBUFFERED": "1",
    }
    if not any(environ.get(name) for name in TOKEN_SOURCES):
        ours["ROLLCALL_SIGNING_KEYS"] = str(places.signing_keys)
        ours["ROLLCALL_JWT_ALGORITHM"] = "EdDSA"
        ours["ROLLCALL_JWT_TYP"] = "at+jwt"
    # A setting left empty is one left to us.
    theirs = {k: v for k, v in environ.items() if v or not k.startswith("ROLLCALL_")}
    for name in ("ROLLCALL_JWT_KEY_FILE", "ROLLCALL_SIGNING_KEYS", "ROLLCALL_IMAGES_KEY_FILE"):
        if key := theirs.get(name):
            theirs[name] = str(Path(key).absolute())
    theirs.pop("PYTHONPATH", None)
    return {**ours, **theirs}


def make_services(
    places: Places, environment: Mapping[str, str], ports: ServicePorts, workers: int
) -> list[Service]:
    """Describe the two APIs and the workers; nothing is started yet."""
    own_keys = environment.get("ROLLCALL_SIGNING_KEYS")
    published = {
        "ROLLCALL_SIGNING_KEYS": "",
        "ROLLCALL_JWKS_URL": f"{ports.command_url}/.well-known/jwks.json",
    }

    def service(name: str, module: str, port: int, **extra: str) -> Service:
        child = Child(
            name,
            [sys.executable, "-m", module],
            log=places.logs / f"{name}.log",
            env={**environment, **extra},
            cwd=places.root,
            run=places.run,
        )
        return Service(child, ports.near_host, port)

    return [
        service("command-api", "command_api", ports.command),
        # It verifies with what the other publishes, as it does elsewhere: a setting left empty is none.
        service("query-api", "query_api", ports.query, **(published if own_keys else {})),
        *(
            service(f"worker-{i}", "workers", port, ROLLCALL_WORKER_PORT=str(port))
            for i, port in enumerate(range(ports.worker, ports.worker + workers))
        ),
    ]


def readiness(host: str, port: int, timeout_s: float = 3.0) -> str:
    """What `/readyz` says: `ready`, perhaps with remarks; `not ready` and why; or `no answer`."""
    connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=timeout_s)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        told = json.loads(response.read())
        word, kind = ("ready", "remarks") if response.status == http.client.OK else ("not ready", "parts")
        faults = [f"{name}: {said}" for name, said in told.get(kind, {}).items() if said != "ok"]
    # An attribute is missing where something else than one of ours answers.
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return "no answer"
    finally:
        connection.close()
    return "; ".join([word, *faults])
