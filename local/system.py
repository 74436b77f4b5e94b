"""What runs together under `./run up`: which servers, in what order they start and stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from local.errors import SetupError
from local.install import install_missing
from local.keys import ensure_secret
from local.mongo import ReplicaSet
from local.places import Places
from local.ports import WantedPort, check_ports
from local.processes import Child, Pause, stop_all, wait_until
from local.rabbit import RabbitNode
from local.say import say, shown
from local.services import (
    Service,
    ServicePorts,
    make_services,
    number,
    service_environment,
)

_BLOCK = "ROLLCALL_LOCAL_PORTS"
_BLOCK_START = 27_310
_MEMBERS = 3


@dataclass(frozen=True)
class LocalPorts:
    """The block of ports for the servers of our own."""

    start: int

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> LocalPorts:
        """The block that begins at `ROLLCALL_LOCAL_PORTS`, or at 27310."""
        return cls(number(environ, _BLOCK, _BLOCK_START))

    @property
    def mongo(self) -> list[int]:
        """The replica set's members."""
        return [self.start + index for index in range(_MEMBERS)]

    @property
    def rabbit(self) -> tuple[int, int, int]:
        """The broker's: for clients, for clustering, for its port mapper."""
        return self.start + 10, self.start + 11, self.start + 12

    def wanted(self, *, mongo: bool, rabbit: bool) -> list[WantedPort]:
        """Every port that our own servers will listen on."""
        ports = [WantedPort(p, f"MongoDB member {i}", _BLOCK) for i, p in enumerate(self.mongo)]
        broker = zip(
            ("RabbitMQ server", "RabbitMQ clustering", "RabbitMQ port mapper"),
            self.rabbit,
            strict=True,
        )
        brokers = [WantedPort(port, owner, _BLOCK) for owner, port in broker]
        return [*(ports if mongo else []), *(brokers if rabbit else [])]


class System:
    """Everything that one `./run up` starts.

    Attributes:
        ports: Where the services listen.
        environment: What the services are given; complete after `start`.
        mongo: The replica set of our own, if there is one; made by `start`.
        rabbit: The broker of our own, if there is one; made by `start`.
        services: The APIs and workers; made by `start`.
    """

    def __init__(self, places: Places, environ: Mapping[str, str], workers: int) -> None:
        """Read the settings; nothing is started or written yet.

        Args:
            places: The project and its state.
            environ: The user's environment.
            workers: How many workers to run.

        Raises:
            SetupError: A setting is wrong.
        """
        self._places = places
        self._environ = environ
        self._workers = workers
        self._block = LocalPorts.find(environ)
        self.own_mongo = not environ.get("ROLLCALL_MONGO_URI")
        self.own_rabbit = not environ.get("ROLLCALL_AMQP_URL")
        self.ports = ServicePorts.find(environ)
        self.environment: dict[str, str] = {}
        self.mongo: ReplicaSet | None = None
        self.rabbit: RabbitNode | None = None
        self.services: list[Service] = []
        self._initialise: Child | None = None

    @property
    def children(self) -> list[Child]:
        """Every process that is meant to keep running."""
        return [
            *(self.mongo.members if self.mongo else []),
            *(self.rabbit.children if self.rabbit else []),
            *(service.child for service in self.services),
        ]

    def prepare(self) -> None:
        """Check and install what starting needs; start nothing.

        Raises:
            SetupError: A port is taken, or something is missing that cannot be installed.
        """
        local = self._block.wanted(mongo=self.own_mongo, rabbit=self.own_rabbit)
        check_ports([*self.ports.wanted(self._workers), *local])
        install_missing(self._places, wants_mongod=self.own_mongo, wants_rabbitmq=self.own_rabbit)
        if not (self._environ.get("ROLLCALL_JWT_KEY_FILE") or self._environ.get("ROLLCALL_JWKS_URL")):
            ensure_secret(self._places.jwt_key)

    def start(self, pause: Pause = time.sleep) -> None:
        """Start everything in order and wait until it is ready.

        Args:
            pause: How to sleep between questions; may raise to break off.

        Raises:
            SetupError: Something did not start. Call `stop` then, too.
        """
        self._spawn_servers()
        mongo_uri = self.mongo.uri if self.mongo else self._environ["ROLLCALL_MONGO_URI"]
        amqp_url = self.rabbit.url if self.rabbit else self._environ["ROLLCALL_AMQP_URL"]
        self.environment = service_environment(
            self._places, self._environ, self.ports, mongo_uri=mongo_uri, amqp_url=amqp_url
        )
        if self.mongo:
            self.mongo.wait_ready(pause=pause)
        self._spawn_initialisation()
        if self.rabbit:
            self.rabbit.wait_ready(pause=pause)
        self._finish_initialisation(pause)
        say("Starting the command API, the query API and the workers …")
        self.services = make_services(self._places, self.environment, self.ports, self._workers)
        for service in self.services:
            service.child.start()
        for service in self.services:
            _wait_for(service, pause)

    def stop(self) -> None:
        """Stop what was started: services first, then the broker, then the databases."""
        if self._initialise:
            self._initialise.stop(5)
        stop_all([service.child for service in self.services], 15)
        if self.rabbit:
            self.rabbit.stop(20)
        if self.mongo:
            self.mongo.stop(20)

    def _spawn_servers(self) -> None:
        places = self._places
        if self.own_mongo:
            say("Starting MongoDB (three members) …")
            self.mongo = ReplicaSet(
                places.data / "mongo", self._block.mongo, logs=places.logs, run=places.run
            )
            self.mongo.spawn()
        if self.own_rabbit:
            say("Starting RabbitMQ …")
            amqp, dist, epmd = self._block.rabbit
            self.rabbit = RabbitNode(
                places.data / "rabbitmq",
                amqp_port=amqp,
                dist_port=dist,
                epmd_port=epmd,
                logs=places.logs,
                run=places.run,
            )
            self.rabbit.spawn()

    def _spawn_initialisation(self) -> None:
        self._initialise = Child(
            "initialise",
            [sys.executable, str(self._places.root / "mongo-cluster" / "initialise.py")],
            log=self._places.logs / "initialise.log",
            env=self.environment,
            cwd=self._places.root,
            run=self._places.run,
        )
        self._initialise.start()

    def _finish_initialisation(self, pause: Pause) -> None:
        child = self._initialise
        if child is None:
            return
        deadline = time.monotonic() + 60
        while child.running and time.monotonic() < deadline:
            pause(0.05)
        child.stop(0)
        if child.status:
            raise SetupError(
                f"The database could not be initialised ({child.last_words() or 'no output'}): "
                f"see {shown(child.log)}."
            )


def _wait_for(service: Service, pause: Pause) -> None:
    what = service.child.name.replace("-", " ").replace("api", "API")
    wait_until(lambda: service.ready, [service.child], what=what, timeout_s=60, pause=pause)
