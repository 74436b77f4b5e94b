"""The real parts that tests run against: MongoDB of either topology, RabbitMQ, service processes."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from initialise import initialise
from order import Order
from pymongo import MongoClient

from devstack.demo.people import demo_person
from devstack.first_start import set_up_queues
from devstack.servers.cluster import ClusterPorts, ShardedCluster
from devstack.servers.mongo import ReplicaSet
from devstack.servers.ports import free_ports
from devstack.servers.rabbit import RabbitNode
from devstack.servers.rabbit_cluster import RabbitCluster
from service_kit.auth.tokens import SCOPES, issue_token
from service_kit.broker.topology import PARTITIONS
from service_kit.broker.users import COMMAND_USER, QUERY_USER, WORKER_USER
from tests.default_schema import write_schema

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 120.0
"""How long a start may take on a busy machine; what ends while it starts is not waited for."""
TEST_KEKS = {"tests": bytes(range(32))}
"""The key-encryption keys of all tests."""
PATIENCE = 120.0
"""How long a test waits, in seconds, for what is a matter of moments on a quiet machine."""
TOPOLOGIES = ("replica-set", "sharded")


async def eventually(
    check: Callable[[], Awaitable[Any]], *, within: float = PATIENCE, pause: float = 0.02
) -> Any:
    """Return the check's first true result; fail when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        result = await check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {check.__qualname__}, last {result!r}")
        await asyncio.sleep(pause)


def person(number: int, **changes: Any) -> dict[str, Any]:
    """Return a valid body of a person; another number, another document and e-mail.

    What tests change is the same for all: a value that happened to be there would change nothing.
    """
    same = {"gender": "Prefiero no decir", "occupation": "Notary", "address": "Plaza 1"}
    return {**demo_person(number), **same, **changes}


_numbers = iter(range(10_000_000, 2**40))


def new_person(**changes: Any) -> dict[str, Any]:
    """Return a body that no other test has used."""
    return person(next(_numbers), **changes)


def _mongo(directory: Path, topology: str, members: int) -> ReplicaSet | ShardedCluster:
    if topology == "replica-set":
        return ReplicaSet(directory, free_ports(members or 3))
    members = members or 2
    router, config, *shards = free_ports(2 + 2 * members)
    return ShardedCluster(directory, ClusterPorts(router, [config], [shards[:members], shards[members:]]))


def _rabbit(directory: Path, brokers: int) -> RabbitNode | RabbitCluster:
    epmd, *ports = free_ports(1 + 2 * brokers)
    if brokers == 1:
        return RabbitNode(directory, amqp_port=ports[0], dist_port=ports[1], epmd_port=epmd)
    return RabbitCluster(directory, list(zip(ports[::2], ports[1::2], strict=True)), epmd_port=epmd)


def run_script(name: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a script of `mongo-cluster/` as an operator does, with no other settings than these."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ROLLCALL_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "mongo-cluster" / name)],
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass
class Service:
    """One service process."""

    module: str
    port: int
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start the process."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def wait_ready(self, within: float = START_SECONDS) -> None:
        """Return once it says that it is ready."""
        deadline = time.monotonic() + within
        async with httpx.AsyncClient(base_url=self.url, timeout=5) as client:
            while True:
                if self.process is None or self.process.poll() is not None:
                    raise AssertionError(f"{self.module} ended: {self.words()[-2000:]}")
                try:
                    response = await client.get("/readyz")
                    if response.status_code == 200:
                        return
                    last = response.text
                except httpx.TransportError as exc:
                    last = repr(exc)
                if time.monotonic() > deadline:
                    raise AssertionError(f"{self.module} is not ready: {last}\n{self.words()[-2000:]}")
                await asyncio.sleep(0.05)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def words(self) -> str:
        """Return what it logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process where it stands for as long as the block runs."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self, within: float = 20.0) -> int:
        """SIGTERM; return the exit status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(within)
        self.process = None
        return status


@dataclass
class System:
    """Servers, and services on them."""

    directory: Path
    mongo: ReplicaSet | ShardedCluster
    rabbit: RabbitNode | RabbitCluster
    key: str
    services: list[Service] = field(default_factory=list)

    @classmethod
    def start(
        cls, directory: Path, topology: str = "replica-set", *, members: int = 0, brokers: int = 1
    ) -> "System":
        """Start MongoDB and RabbitMQ, side by side.

        Args:
            directory: Where everything is kept.
            topology: `replica-set` for one set; `sharded` for a cluster of two shards.
            members: Of the set (three, if 0) or of each shard (two, if 0).
            brokers: RabbitMQ nodes.
        """
        for name in ("mongo", "rabbit"):
            (directory / name).mkdir(exist_ok=True)
        mongo = _mongo(directory / "mongo", topology, members)
        rabbit = _rabbit(directory / "rabbit", brokers)
        system = cls(directory, mongo, rabbit, secrets.token_hex(32))
        (directory / "jwt.key").write_text(system.key)
        (directory / "images.key").write_text(system.key)
        system.kek_file.touch(mode=0o600)
        system.kek_file.write_text("".join(f"{one} {key.hex()}\n" for one, key in TEST_KEKS.items()))
        write_schema(directory / "person-schema.json")
        try:
            mongo.spawn()
            rabbit.spawn()
            mongo.wait_ready(START_SECONDS)
            rabbit.wait_ready(START_SECONDS)
            # As `./run up` does, before there is a worker.
            set_up_queues(rabbit.url, PARTITIONS, time.sleep)
        except BaseException:
            system.stop()
            raise
        return system

    @property
    def kek_file(self) -> Path:
        """The key-encryption keys of every service on these servers."""
        return self.directory / "kek"

    @property
    def brokers(self) -> RabbitCluster:
        """The RabbitMQ cluster, for the tests of one."""
        assert isinstance(self.rabbit, RabbitCluster)
        return self.rabbit

    @property
    def routed(self) -> bool:
        """Whether clients reach MongoDB through a router."""
        return isinstance(self.mongo, ShardedCluster)

    @property
    def cluster(self) -> ShardedCluster:
        """The sharded cluster, for the tests of sharding."""
        assert isinstance(self.mongo, ShardedCluster)
        return self.mongo

    def stop(self) -> None:
        """Stop everything."""
        for service in self.services:
            service.kill()
        self.rabbit.stop()
        self.mongo.stop()

    @property
    def sets(self) -> list[ReplicaSet]:
        """The replica sets that hold people: the shards, or the only set."""
        return self.mongo.shards if isinstance(self.mongo, ShardedCluster) else [self.mongo]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no primary write for as long as the block runs."""
        with ExitStack() as stack:
            for each in self.sets:
                client: MongoClient[dict[str, Any]] = stack.enter_context(MongoClient(each.uri))
                client.admin.command("fsync", lock=True)
                stack.callback(client.admin.command, "fsyncUnlock")
            yield

    def environment(self, database: str = "rollcall", **more: str) -> dict[str, str]:
        """Return the settings of a service on these servers."""
        return {
            "ROLLCALL_MONGO_URI": self.mongo.uri,
            "ROLLCALL_AMQP_URL": self.rabbit.url,
            "ROLLCALL_MONGO_DB": database,
            "ROLLCALL_JWT_KEY_FILE": str(self.directory / "jwt.key"),
            "ROLLCALL_IMAGES_KEY_FILE": str(self.directory / "images.key"),
            "ROLLCALL_KEK_FILE": str(self.kek_file),
            "ROLLCALL_TRANSPORT_CACHE": str(self.directory / f"transport-keys-{database}"),
            "ROLLCALL_READ_FROM_HEADER": "true",
            "ROLLCALL_PERSON_SCHEMA": str(self.directory / "person-schema.json"),
            "ROLLCALL_RATE_ADDRESS": "1000000/1",
            "ROLLCALL_RATE_SUBJECT": "1000000/1",
            **more,
        }

    def initialise(self, database: str = "rollcall", **more: str) -> list[str]:
        """Do what the initialiser does, with some more settings; return what it changed."""
        where = {"ROLLCALL_MONGO_URI": self.mongo.uri}
        if isinstance(self.mongo, ShardedCluster):
            where = {"ROLLCALL_MONGO_CLUSTER": str(self.mongo.description)}
        schema = {"ROLLCALL_PERSON_SCHEMA": str(self.directory / "person-schema.json")}
        return initialise(Order.read({**where, **schema, "ROLLCALL_MONGO_DB": database, **more}))

    def service(self, module: str, **more: str) -> Service:
        """Return a service that is not started yet."""
        (port,) = free_ports(1)
        setting, user = {
            "command_api": ("COMMAND", COMMAND_USER),
            "query_api": ("QUERY", QUERY_USER),
            "workers": ("WORKER", WORKER_USER),
        }[module]
        own = {f"ROLLCALL_{setting}_PORT": str(port), "ROLLCALL_AMQP_URL": self.rabbit.url_of(user)}
        environment = self.environment(**{**own, **more})
        name = f"{module}-{len(self.services)}.log"
        service = Service(module, port, environment, self.directory / name)
        self.services.append(service)
        return service

    async def start_services(self) -> dict[str, Service]:
        """Start one process of each service, and return them once all are ready."""
        services = {name: self.service(name) for name in ("command_api", "query_api", "workers")}
        for service in services.values():
            service.spawn()
        for service in services.values():
            await service.wait_ready()
        return services

    @asynccontextmanager
    async def running(self, module: str, **more: str) -> AsyncIterator[Service]:
        """Run a service for as long as the block runs."""
        service = self.service(module, **more)
        service.spawn()
        try:
            await service.wait_ready()
            yield service
        finally:
            service.kill()
            self.services.remove(service)

    def token(self, *scopes: str, **changes: Any) -> str:
        """Return a token of the subject `tester`, with all scopes unless some are named."""
        return issue_token(
            **{
                "key": self.key,
                "algorithm": "HS256",
                "issuer": "rollcall",
                "audience": "rollcall",
                "subject": "tester",
                "scopes": scopes or SCOPES,
                "ttl_seconds": 3600,
                **changes,
            }
        )

    def client(self, service: Service, token: str | None = None) -> httpx.AsyncClient:
        """Return an HTTP client of a service, with a token of all scopes unless one is given."""
        return httpx.AsyncClient(
            base_url=service.url,
            headers={"Authorization": f"Bearer {token or self.token()}"},
            timeout=40,
        )


async def everywhere(system: System) -> bool:
    """Return whether every member shows all that its set's primary had a moment ago."""
    for each in system.sets:
        with MongoClient(each.uri) as client:
            last = client.admin.command("replSetGetStatus")["optimes"]["appliedOpTime"]["ts"]
        for port in each.ports:
            with MongoClient("127.0.0.1", port, directConnection=True) as member:
                optimes = member.admin.command("replSetGetStatus")["optimes"]
                if optimes["readConcernMajorityOpTime"]["ts"] < last:
                    return False
    return True
