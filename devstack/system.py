"""What runs together under `./run up`: which servers, in what order they start and stop."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Mapping

from devstack import first_start
from devstack.install.install import install_missing
from devstack.keys import ensure_secret
from devstack.outdated import is_outdated
from devstack.paths import Paths
from devstack.processes import Child, Pause, stop_all, wait_until
from devstack.refusals import cluster_data, refuse_contradictions, refuse_other_data, set_data
from devstack.servers.cluster import ShardedCluster
from devstack.servers.mongo import ReplicaSet
from devstack.servers.mongo_users import ADMIN, LocalUsers
from devstack.servers.ports import check_ports
from devstack.servers.rabbit_cluster import RabbitCluster
from devstack.services import TOKEN_SOURCES, Service, make_services, service_environment, wanted_ports
from devstack.shape import SET_MEMBERS, LocalPorts, Shape
from events.errors import BrokerUnavailable
from operations.accounts.signing_keys import ensure_signing_key
from operations.addresses import ServicePorts, known_roles, number
from operations.errors import SetupError
from operations.keys.kek_file import ensure_kek_file
from operations.terminal import print_progress, short_path
from service_kit.settings import Settings


class System:
    """Everything that one `./run up` starts.

    Attributes:
        ports: Where the services listen.
        environment: What the services are given; complete after `start`.
        mongo: The database of our own, if there is one; made by `start`.
        rabbit: The broker of our own, if there is one; made by `start`.
        services: The APIs and workers; made by `start`.
    """

    def __init__(self, paths: Paths, environ: Mapping[str, str], shape: Shape) -> None:
        """Read the settings; nothing is started or written yet.

        Args:
            paths: The project and its state.
            environ: The user's environment.
            shape: What to start.

        Raises:
            SetupError: A setting is wrong, or contradicts the shape.
            SystemExit: A file that declares people or roles cannot be read, or is wrong; its faults are told.
        """
        known_roles(environ)
        self._places = paths
        self._environ = environ
        self._shape = shape
        self._block = LocalPorts.find(environ)
        self.own_mongo = not environ.get("ROLLCALL_MONGO_URI")
        self.own_rabbit = not environ.get("ROLLCALL_AMQP_URL")
        refuse_contradictions(shape, own_mongo=self.own_mongo, own_rabbit=self.own_rabbit)
        self.ports = ServicePorts.find(environ)
        self._users = LocalUsers(paths.mongo_secrets, environ.get("ROLLCALL_MONGO_DB") or "rollcall")
        self.environment: dict[str, str] = {}
        self.mongo: ReplicaSet | ShardedCluster | None = None
        self.rabbit: RabbitCluster | None = None
        self.services: list[Service] = []
        self._once: Child | None = None

    @property
    def children(self) -> list[Child]:
        """Every process that is meant to keep running."""
        return [
            *(self.mongo.children if self.mongo else []),
            *(self.rabbit.children if self.rabbit else []),
            *(service.child for service in self.services),
        ]

    def prepare(self) -> None:
        """Check and install what starting needs; start nothing.

        Raises:
            SetupError: A port is taken, the data is another shape's, or something is missing that
                cannot be installed.
        """
        if self.own_mongo:
            refuse_other_data(self._places, self._shape)
        local = self._block.wanted(self._shape, mongo=self.own_mongo, rabbit=self.own_rabbit)
        check_ports([*wanted_ports(self.ports, self._shape.workers), *local])
        first_start.begin(self._places)
        install_missing(self._places, wants_mongod=self.own_mongo, wants_rabbitmq=self.own_rabbit)
        if not self._environ.get("ROLLCALL_IMAGES_KEY_FILE"):
            ensure_secret(self._places.images_key)
        if not self._environ.get("ROLLCALL_KEK_FILE"):
            ensure_kek_file(self._places.kek_file)
        if not any(self._environ.get(name) for name in TOKEN_SOURCES):
            algorithm = self._environ.get("ROLLCALL_JWT_ALGORITHM") or "EdDSA"
            ensure_signing_key(self._places.signing_keys, algorithm)

    def start(self, pause: Pause = time.sleep) -> None:
        """Start everything in order and wait until it is ready.

        Args:
            pause: How to sleep between questions; may raise to break off.

        Raises:
            SetupError: Something did not start. Call `stop` then, too.
        """
        self._spawn_servers()
        mongo_uri = self._mongo_uri(ADMIN) if self.mongo else self._environ["ROLLCALL_MONGO_URI"]
        amqp_url = self.rabbit.url if self.rabbit else self._environ["ROLLCALL_AMQP_URL"]
        self.environment = service_environment(
            self._places, self._environ, self.ports, mongo_uri=mongo_uri, amqp_url=amqp_url
        )
        if self.mongo:
            self.mongo.wait_ready(pause=pause)
        self._spawn_initialisation()
        if self.rabbit:
            self.rabbit.wait_ready(pause=pause)
            self._replace_queues(amqp_url)
        partitions = number(
            self.environment, "ROLLCALL_PARTITIONS", Settings.model_fields["partitions"].default
        )
        nodes = self.rabbit.nodes if self.rabbit else []
        first_start.set_up_queues(amqp_url, partitions, pause, nodes)
        self._finish("The database could not be initialised", 60, pause)
        first_start.finish(self._places, self._places.rabbitmq_data, partitions, pause)
        print_progress("Starting the command API, the query API and the workers …")
        self.services = make_services(
            self._places, self.environment, self.ports, self._shape.workers, self._addresses_of
        )
        for service in self.services:
            service.child.start()
        if is_outdated(mongo_uri, self.environment.get("ROLLCALL_MONGO_DB") or "rollcall"):
            self._rebuild(pause)
        for service in self.services:
            _wait_for(service, pause)

    def _mongo_uri(self, user: str) -> str:
        """Return the address of our own database for a user; a router of ours asks nobody who they are."""
        assert self.mongo is not None  # noqa: S101 - it was spawned
        if isinstance(self.mongo, ShardedCluster):
            return self.mongo.uri
        return self._users.uri_of(user, self.mongo.uri)

    def _addresses_of(self, user: str) -> dict[str, str]:
        """Return the settings with the addresses of our own servers for a service's user."""
        mongo = {"ROLLCALL_MONGO_URI": self._mongo_uri(user)} if self.mongo else {}
        return mongo | ({"ROLLCALL_AMQP_URL": self.rabbit.url_of(user)} if self.rabbit else {})

    def stop(self) -> None:
        """Stop what was started: services first, then the broker, then the databases."""
        if self._once:
            self._once.stop(5)
        stop_all([service.child for service in self.services], 15)
        if self.rabbit:
            self.rabbit.stop(20)
        if self.mongo:
            self.mongo.stop(20)

    def _spawn_servers(self) -> None:
        if self.own_mongo:
            self.mongo = self._make_mongo()
            self.mongo.spawn()
        if self.own_rabbit:
            nodes = f" ({self._shape.brokers} nodes)" if self._shape.brokers > 1 else ""
            print_progress(f"Starting RabbitMQ{nodes} …")
            self.rabbit = RabbitCluster(
                self._places.rabbitmq_data,
                self._block.brokers(self._shape.brokers),
                epmd_port=self._block.port_mapper,
                logs=self._places.logs,
                run=self._places.run,
            )
            self.rabbit.spawn()

    def _make_mongo(self) -> ReplicaSet | ShardedCluster:
        paths, shape = self._places, self._shape
        if shape.shards:
            print_progress(f"Starting MongoDB ({shape.shards} shards of {shape.members} members) …")
            print_progress(
                "A sharded cluster here has no users, since the development router does not authenticate: "
                "whoever reaches its ports on this machine may read and change everything."
            )
            ports = self._block.cluster(shape)
            return ShardedCluster(cluster_data(paths), ports, logs=paths.logs, run=paths.run)
        print_progress(f"Starting MongoDB ({SET_MEMBERS} members) …")
        return ReplicaSet(
            set_data(paths),
            self._block.replica_set,
            key_file=self._users.key_file,
            logs=paths.logs,
            run=paths.run,
        )

    def _spawn_initialisation(self) -> None:
        environment = dict(self.environment)
        if isinstance(self.mongo, ShardedCluster):
            del environment["ROLLCALL_MONGO_URI"]
            environment["ROLLCALL_MONGO_CLUSTER"] = str(self.mongo.description)
        elif self.mongo:
            environment |= {"ROLLCALL_MONGO_URI": self.mongo.uri, **self._users.initialiser()}
        script = str(self._places.root / "mongo-cluster" / "initialise.py")
        self._spawn_once("initialise", [script], environment)

    def _replace_queues(self, amqp_url: str) -> None:
        """Bring queues that an earlier version has declared to the form of this one, with what is in them.

        Raises:
            SetupError: The broker does not let us; the next `up` goes on.
        """
        # It takes half a second to load, which is not for every verb.
        from service_kit.broker.replacing import bound_queues, replace_outdated
        from service_kit.broker.topology import IMAGE_TOPICS, IMAGES, PARTITIONS

        partitions = number(self.environment, "ROLLCALL_PARTITIONS", PARTITIONS)
        queues = bound_queues(partitions, {IMAGES: IMAGE_TOPICS})
        try:
            for line in asyncio.run(replace_outdated(amqp_url, queues)):
                print_progress(f"RabbitMQ: {line}.")
        except BrokerUnavailable as exc:
            raise SetupError(f"The queues of an older version could not be replaced: {exc.detail}") from exc

    def _rebuild(self, pause: Pause) -> None:
        """Bring a read model that an earlier version has left to the form of this one."""
        print_progress("Bringing the read model to its new form …")
        self._spawn_once("rebuild", ["-m", "operations", "rebuild"], self.environment)
        self._finish("The read model could not be rebuilt", math.inf, pause)

    def _spawn_once(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self._once = Child(
            name,
            [sys.executable, *arguments],
            log=self._places.logs / f"{name}.log",
            env=environment,
            cwd=self._places.root,
            run=self._places.run,
        )
        self._once.start()

    def _finish(self, failed: str, seconds: float, pause: Pause) -> None:
        """Wait for what runs once.

        Raises:
            SetupError: It failed, or took too long.
        """
        child = self._once
        if child is None:
            return
        deadline = time.monotonic() + seconds
        while child.running and time.monotonic() < deadline:
            pause(0.05)
        child.stop(0)
        if child.status:
            words = child.last_words() or "no output"
            raise SetupError(f"{failed} ({words}): see {short_path(child.log)}.")


def _wait_for(service: Service, pause: Pause) -> None:
    what = service.child.name.replace("-", " ").replace("api", "API")
    wait_until(lambda: service.ready, [service.child], what=what, timeout_s=60, pause=pause)
