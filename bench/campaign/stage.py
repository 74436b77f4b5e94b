"""The system that a campaign breaks: its processes by their roles, kept running as a supervisor does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from bench.campaign.kept import Kept
from bench.campaign.promises import Diary
from devstack.paths import ROOT
from devstack.servers.cluster import ShardedCluster
from devstack.servers.mongo import ReplicaSet
from devstack.servers.rabbit_cluster import node_names
from tests.power import Disk, cut
from tests.system import Service, System

TOPOLOGIES = ("replica-set", "sharded")
BROKERS = {"replica-set": 1, "sharded": 3}
WORKERS = 2
MONGO_MB, RABBIT_MB = 8_000, 4_000


def _disks(folder: Path, brokers: int) -> dict[str, tuple[int, list[Path]]]:
    """Return the size in MB of the disks of each role, and where they are mounted."""
    rabbit = folder / "rabbit"
    nodes = [rabbit / "mnesia" / name for name in node_names(brokers)] if brokers > 1 else [rabbit]
    return {"mongo": (MONGO_MB, [folder / "mongo"]), "rabbit": (RABBIT_MB, nodes)}


class Stage:
    """MongoDB, RabbitMQ and the services, on disks of their own where root can make them.

    Attributes:
        folder: Where everything is, on a disk that no fault meets.
        system: The servers and services.
        kept: Every process.
        disks: By `mongo` and `rabbit`; none without root. Several brokers have one each, as machines have.
    """

    def __init__(self, folder: Path, topology: str, diary: Diary, *, disks: bool) -> None:
        self.folder, self.topology, self.diary = folder, topology, diary
        self.disks: dict[str, list[Disk]] = {}
        self._stack = ExitStack()
        try:
            if disks:
                self.disks = {
                    role: [self._stack.enter_context(Disk(at, size)) for at in places]
                    for role, (size, places) in _disks(folder, BROKERS[topology]).items()
                }
            self.system = System.start(folder, topology, members=3, brokers=BROKERS[topology])
            self._stack.callback(self.system.stop)
            self._stack.callback(self._go_on)
            self.system.initialise()
            self.kept = self._servers() + self._services()
            for one in self.kept:
                one.start()
            # What a power cut in the first minute does to the set-up itself is another test's.
            os.sync()
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """End everything; the disks' logs stay in the folder."""
        if self.disks:
            for log in [log for disk in self.all_disks for log in disk.folder.glob("*.log*")]:
                with contextlib.suppress(OSError):
                    (self.folder / f"{log.parent.name}-{log.name}").write_bytes(log.read_bytes())
        self._stack.close()

    def _servers(self) -> list[Kept]:
        mongo, rabbit = self.system.mongo, self.system.rabbit
        roles = {"router": "router", "rabbitmq-epmd": "mapper"}
        return [
            *(Kept(child.name, roles.get(child.name, "mongod"), child) for child in mongo.children),
            *(Kept(child.name, roles.get(child.name, "broker"), child) for child in rabbit.children),
        ]

    def _services(self) -> list[Kept]:
        modules = [("command", "command_api"), ("query", "query_api")] + [("worker", "workers")] * WORKERS
        kept = []
        for number, (role, module) in enumerate(modules):
            service = self.system.service(module)
            kept.append(Kept(f"{role}-{number}", role, service))
        return kept

    def named(self, *roles: str) -> list[Kept]:
        """Return the processes of some roles; of all, if none is named."""
        return [one for one in self.kept if not roles or one.role in roles]

    def service(self, role: str) -> Service:
        """Return the first service of a role."""
        process = self.named(role)[0].process
        assert isinstance(process, Service)
        return process

    @property
    def all_disks(self) -> list[Disk]:
        """Every disk."""
        return [disk for disks in self.disks.values() for disk in disks]

    def members(self, of: ReplicaSet) -> list[Kept]:
        """Return the processes of a replica set."""
        return [one for one in self.kept if one.process in of.members]

    @property
    def all_sets(self) -> list[ReplicaSet]:
        """Every replica set, the config servers' too."""
        mongo = self.system.mongo
        return mongo.sets if isinstance(mongo, ShardedCluster) else [mongo]

    def target(self, role: str, pick: int) -> Kept | None:
        """Return the process that a fault meets; None if there is none such now."""
        if role == "primary":
            chosen = self.system.sets[pick % len(self.system.sets)]
            index = chosen.primary()
            return None if index is None else self.members(chosen)[index]
        there = self.named(role)
        return there[pick % len(there)] if there else None

    def look_after(self) -> None:
        """Start again what died."""
        for one in self.kept:
            if one.look_after():
                self.diary.note(f"  {one.name} is not running")

    def cut_power(self) -> None:
        """Let everything lose its power at once, and come back."""
        pids = {pid for one in self.kept if (pid := one.pid) is not None}
        cut(self.all_disks, pids)
        self.start_all()

    def start_all(self) -> None:
        """Begin all over, as after a restart of the machine."""
        # It waits for the port mapper before it starts the brokers.
        self.system.rabbit.spawn()
        for one in self.kept:
            one.forget_failures()
            one.start()

    def restart_brokers(self) -> None:
        """End the brokers in order, and start them again."""
        brokers = self.named("broker")
        for one in brokers:
            one.held = True
            one.signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while any(one.pid for one in brokers) and time.monotonic() < deadline:
            time.sleep(0.1)
        for one in brokers:
            one.kill()
            one.held = False
            one.forget_failures()
            one.start()

    def lock(self, of: ReplicaSet, pick: int) -> MongoClient[dict[str, Any]] | None:
        """Let a secondary apply nothing; return the client that can unlock it."""
        primary = of.primary()
        others = [index for index in range(len(of.ports)) if index != primary]
        if primary is None or not others:
            return None
        client: MongoClient[dict[str, Any]] = MongoClient(
            "127.0.0.1",
            of.ports[others[pick % len(others)]],
            directConnection=True,
            serverSelectionTimeoutMS=2000,
            socketTimeoutMS=10_000,
        )
        client.admin.command("fsync", lock=True)
        return client

    def run(self, *verb: str, seconds: float = 240.0) -> tuple[int, str]:
        """Run a verb of the command line against the system; return its exit status and what it said."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ROLLCALL_")}
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        environment = {
            **inherited,
            **self.system.environment(),
            "ROLLCALL_STATE_DIR": str(state),
            "PYTHONPATH": str(ROOT),
        }
        try:
            done = subprocess.run(
                [sys.executable, "-m", "operations", *verb],
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return -1, f"not within {seconds:.0f} s"
        return done.returncode, (done.stdout + done.stderr).strip()

    def _go_on(self) -> None:
        """Let nothing stand still that is to be stopped."""
        for one in self.kept:
            one.signal(signal.SIGCONT)
