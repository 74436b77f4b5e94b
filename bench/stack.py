"""Starts the servers and processes of one run, and ends them all: MongoDB, a broker, services, floors."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from pymongo import MongoClient

from devstack.keys import ensure_secret
from devstack.paths import ROOT, Paths
from devstack.processes import Child, stop_all, wait_until
from devstack.servers.cluster import ClusterPorts, ShardedCluster
from devstack.servers.mongo import ReplicaSet
from devstack.servers.ports import free_ports, listens
from devstack.servers.rabbit import RabbitNode
from devstack.services import readiness
from operations.errors import SetupError
from operations.keys.kek_file import ensure_kek_file
from service_kit.auth.tokens import SCOPES, issue_token
from service_kit.mongo.collections import keys_database
from service_kit.seals.kek import KekFile, Keks, load_keks
from service_kit.seals.repeatable_ids import ROW, wrapped_secret
from service_kit.seals.transport import TransportKey
from service_kit.seals.wrapping import TRANSPORT

PARTITIONS = 8
REPLICA_SET, SHARDED = "replica set", "sharded"
CACHE_GB = 1.5
"""Each member's cache: what is read most fits, as on a server of its own."""
OURS, FLOOR, PEOPLE = "bench_ours", "bench_floor", "bench_people"
"""Databases: what ours and the floor write to, and the people that both read."""
Cpu = dict[str, float]
"""Seconds of processor time, by who used it."""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Running:
    """A service or a floor.

    Attributes:
        child: Its process.
        port: Where it listens, if it does.
    """

    child: Child
    port: int

    def resident_mb(self) -> dict[str, float]:
        """Resident memory in MB (10^6 bytes): now, and at its highest."""
        lines = of_kernel(self.child, "status").splitlines()
        sizes = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
        return {
            "now": int(sizes["VmRSS"][0]) * 1024 / 1e6,
            "highest": int(sizes["VmHWM"][0]) * 1024 / 1e6,
        }


def of_kernel(child: Child, name: str) -> str:
    """Return what the kernel says of a process, in a file of its directory in /proc.

    Raises:
        SetupError: The process has ended.
    """
    if child.running:
        return Path(f"/proc/{child.pid}/{name}").read_text()
    raise SetupError(f"{child.name} ended with status {child.status}: {child.last_words()}")


def cpu_seconds(child: Child) -> float:
    """Return the processor time that a process has used so far."""
    fields = of_kernel(child, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _mongo(directory: Path, topology: str, ports: list[int]) -> ReplicaSet | ShardedCluster:
    if topology == REPLICA_SET:
        return ReplicaSet(directory, ports[:3], cache_gb=CACHE_GB)
    router, config, *shards = ports
    return ShardedCluster(
        directory, ClusterPorts(router, [config], [shards[:2], shards[2:4]]), cache_gb=CACHE_GB
    )


class Stack:
    """Starts the servers when entered and ends everything when left, however that comes."""

    def __init__(self, topology: str = REPLICA_SET) -> None:
        """Describe the servers.

        Args:
            topology: A plain replica set of three members, or a cluster of two shards of two members.
        """
        state = Paths.find().state
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory = Path(tempfile.mkdtemp(prefix="bench-", dir=state))
        amqp, clustering, mapper, *ports = free_ports(9)
        self.mongo = _mongo(self.directory / "mongo", topology, ports)
        self.rabbit = RabbitNode(
            self.directory / "rabbit", amqp_port=amqp, dist_port=clustering, epmd_port=mapper
        )
        self.memory: dict[str, dict[str, float]] = {}
        self._key = ensure_secret(self.directory / "jwt.key")
        ensure_kek_file(self.directory / "kek")
        self._children: list[Child] = []
        self._started = 0

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            self.mongo.spawn()
            self.rabbit.spawn()
            self.mongo.wait_ready()
            self.rabbit.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process and remove what they stored."""
        self.end_all()
        self.rabbit.stop()
        self.mongo.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def copies(self) -> int:
        """How many members hold each document."""
        return len(self.mongo.sets[-1].members)

    def named(self, name: str) -> str:
        """Return a scenario's name, which tells a topology that is not the usual one."""
        return name if isinstance(self.mongo, ReplicaSet) else f"{name} (sharded)"

    @cached_property
    def keks(self) -> Keks:
        """The key-encryption keys of the services."""
        return load_keks(KekFile(self.directory / "kek"))

    @cached_property
    def transport_key(self) -> TransportKey:
        """What commands are sealed with that benchmarks put into the queues themselves."""
        return TransportKey.new(datetime.now(UTC).date().isoformat())

    @cached_property
    def token(self) -> str:
        """An access token for everything, good for a day; the same each time, as clients send it."""
        return issue_token(
            key=self._key,
            algorithm="HS256",
            issuer="rollcall",
            audience="rollcall",
            subject="bench",
            scopes=SCOPES,
            ttl_seconds=24 * 3600,
        )

    def environment(self, database: str) -> dict[str, str]:
        """Return the environment of a service or floor that uses a database."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ROLLCALL_")}
        return {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "ROLLCALL_MONGO_URI": self.mongo.uri,
            "ROLLCALL_MONGO_DB": database,
            "ROLLCALL_AMQP_URL": self.rabbit.url,
            "ROLLCALL_PARTITIONS": str(PARTITIONS),
            "ROLLCALL_RATE_ADDRESS": "1000000/1",
            "ROLLCALL_RATE_SUBJECT": "1000000/1",
            "ROLLCALL_STREAMS_AT_ONCE": "2000/2000",
            "ROLLCALL_JWT_KEY_FILE": str(self.directory / "jwt.key"),
            "ROLLCALL_KEK_FILE": str(self.directory / "kek"),
        }

    def client(self) -> MongoClient[dict[str, Any]]:
        """Return a client of MongoDB; the caller closes it."""
        return MongoClient(self.mongo.uri)

    def fresh(self, database: str) -> None:
        """Make a database empty, with its collections and indexes."""
        with self.client() as client:
            client.drop_database(database)
            client.drop_database(keys_database(database))
        self._initialise(database)

    def emptied(self, database: str, collection: str) -> None:
        """Make a collection empty; deleted only where it cannot be dropped, as the servers are long at it."""
        with self.client() as client:
            if isinstance(self.mongo, ReplicaSet):
                client[database].drop_collection(collection)
            else:
                client[database][collection].delete_many({})
        self._initialise(database)

    def _initialise(self, database: str) -> None:
        command = [sys.executable, str(ROOT / "mongo-cluster" / "initialise.py")]
        environment = self.environment(database)
        if isinstance(self.mongo, ShardedCluster):
            del environment["ROLLCALL_MONGO_URI"]
            environment["ROLLCALL_MONGO_CLUSTER"] = str(self.mongo.description)
        subprocess.run(command, env=environment, check=True, capture_output=True)
        key = self.transport_key
        # As a worker would make them: `accept` runs without one.
        made = {key.id: key.wrapped(self.keks), ROW: wrapped_secret(bytes(32), self.keks)}
        with self.client() as client:
            rows = client[keys_database(database)][TRANSPORT]
            for id_, (kek, wrapped) in made.items():
                rows.replace_one({"_id": id_}, {"kek": kek, "key": wrapped}, upsert=True)

    def service(self, module: str, database: str, **more: str) -> Running:
        """Start a service of ours, with more settings if some are given, and wait until it is ready."""
        (port,) = free_ports(1)
        ports = {f"ROLLCALL_{name}_PORT": str(port) for name in ("COMMAND", "QUERY", "WORKER")}
        child = self._start(module, database, {**ports, **more})
        what = f"service {module}"
        wait_until(lambda: readiness("127.0.0.1", port).startswith("ready"), [child], what=what, timeout_s=30)
        return Running(child, port)

    def floor(self, module: str, database: str, *, listening: bool = True) -> Running:
        """Start a floor and wait until it listens, if it does that."""
        (port,) = free_ports(1)
        child = self._start(f"bench.floors.{module}", database, {"BENCH_PORT": str(port)})
        if listening:
            wait_until(lambda: listens(port), [child], what=module, timeout_s=30)
        return Running(child, port)

    def _start(self, module: str, database: str, more: Mapping[str, str]) -> Child:
        self._started += 1
        name = f"{module}-{self._started}"
        child = Child(
            name,
            [sys.executable, "-m", module],
            log=self.directory / f"{name}.log",
            env={**self.environment(database), **more},
            cwd=ROOT,
        )
        self._children.append(child)
        child.start()
        return child

    def end(self, running: Running) -> None:
        """Stop a process."""
        running.child.stop()
        self._children.remove(running.child)

    def end_all(self) -> None:
        """Stop every service and floor; the servers stay."""
        stop_all(self._children, 10)
        self._children.clear()

    def cpu(self, running: Running) -> Cpu:
        """Return the processor time used so far by a process and by the servers."""
        return {
            "own": cpu_seconds(running.child),
            "mongodb": sum(map(cpu_seconds, self.mongo.children)),
            "rabbitmq": sum(map(cpu_seconds, self.rabbit.children)),
        }

    def weigh(self, name: str, running: Running) -> None:
        """Note a service's memory; the largest figures of the run count."""
        seen = self.memory.setdefault(name, {"now": 0.0, "highest": 0.0})
        for kind, size in running.resident_mb().items():
            seen[kind] = max(seen[kind], size)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
