"""A sharded MongoDB cluster on this machine: config server, shards and router, and nothing of what is in it.

The router is `mongos` where the machine has it beside its `mongod`, else the development router
(`devstack.router`); production always runs `mongos`.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from devstack.paths import ROOT
from devstack.processes import Child, Pause, stop_all, wait_until
from devstack.servers.mongo import ReplicaSet
from devstack.servers.ports import LOOPBACK
from operations.errors import SetupError
from service_kit.files import is_lost, make_folder, write_whole

CONFIG = "config"
_DESCRIPTION = "cluster.json"


@dataclass(frozen=True)
class ClusterPorts:
    """Where a cluster's parts listen.

    Attributes:
        router: Where clients connect.
        config: The config servers.
        shards: Each shard's members.
    """

    router: int
    config: Sequence[int]
    shards: Sequence[Sequence[int]]


class ShardedCluster:
    """A sharded cluster whose members and router are child processes of this one.

    Call `start()`; or `spawn()`, something else, then `wait_ready()`. Shards and collections come with
    `mongo-cluster/initialise.py`, which reads the description that `spawn()` writes.

    Attributes:
        config: The set of config servers.
        shards: The shards' sets.
        router: The router's process.
        description: The file that describes the cluster to the initialiser.
    """

    def __init__(
        self,
        directory: Path,
        ports: ClusterPorts,
        *,
        logs: Path | None = None,
        run: Path | None = None,
        cache_gb: float = 0.25,
    ) -> None:
        """Describe the cluster; nothing is started yet.

        Args:
            directory: Where the members keep their data; an existing cluster in it is used again.
            ports: One free port for each part.
            logs: Where the logs go; `directory` when None.
            run: Where the processes are recorded; nowhere when None.
            cache_gb: Each member's WiredTiger cache, in GB.

        Raises:
            SetupError: There is no mongod, or the data belongs to another cluster than this.
        """
        self._directory = directory
        self._ports = ports
        self._logs, self._run, self._cache_gb = logs, run, cache_gb
        self.description = directory / _DESCRIPTION
        self._refuse_other_data()
        self.config = self._set(CONFIG, ports.config, "--configsvr")
        self.shards = [self._shard(number, members) for number, members in enumerate(ports.shards, 1)]
        self.router = Child(
            "router",
            self._router_command(),
            log=(logs or directory) / "router.log",
            cwd=ROOT,
            run=run,
        )

    @property
    def uri(self) -> str:
        """The connection string for clients: the router's."""
        return f"mongodb://{LOOPBACK}:{self._ports.router}/"

    @property
    def router_port(self) -> int:
        """Where clients connect."""
        return self._ports.router

    @property
    def sets(self) -> list[ReplicaSet]:
        """Every replica set, the config servers' first."""
        return [self.config, *self.shards]

    @property
    def children(self) -> list[Child]:
        """Every process, the router last."""
        return [*self.members, self.router]

    @property
    def members(self) -> list[Child]:
        """Every mongod."""
        return [member for each in self.sets for member in each.members]

    def start(self, timeout_s: float = 60.0) -> None:
        """Start everything and wait until the router answers."""
        self.spawn()
        self.wait_ready(timeout_s)

    def spawn(self) -> None:
        """Start every member that does not run; do not wait."""
        make_folder(self._directory, mode=0o700)
        write_whole(self.description, json.dumps(self._described(), indent=1) + "\n")
        for each in self.sets:
            each.spawn()

    def wait_ready(self, timeout_s: float = 60.0, pause: Pause = time.sleep) -> None:
        """Wait until each set accepts writes, start the router, and wait until it answers.

        Args:
            timeout_s: Seconds to wait at most.
            pause: How to sleep between questions; may raise to break off.

        Raises:
            SetupError: A process ended, or time is over.
        """
        deadline = time.monotonic() + timeout_s
        # All elect and copy side by side.
        for each in self.sets:
            each.initiate(deadline - time.monotonic(), pause)
        for each in self.sets:
            each.wait_ready(deadline - time.monotonic(), pause)
        self.router.start()
        left = deadline - time.monotonic()
        wait_until(self._routes, [self.router], what="MongoDB router", timeout_s=left, pause=pause)

    def add_shard(self, ports: Sequence[int]) -> ReplicaSet:
        """Start one more shard and describe it; do not wait.

        Once it is ready, the initialiser adds it to the cluster.
        """
        self._ports = ClusterPorts(self._ports.router, self._ports.config, [*self._ports.shards, ports])
        self.shards.append(self._shard(len(self._ports.shards), ports))
        write_whole(self.description, json.dumps(self._described(), indent=1) + "\n")
        self.shards[-1].spawn()
        return self.shards[-1]

    def stop(self, deadline_s: float = 20.0) -> None:
        """Stop the router, the shards, then the config servers, which a shard that stops still asks.

        Those that still run after `deadline_s` seconds are killed.
        """
        deadline = time.monotonic() + deadline_s
        self.router.stop(5)
        stop_all([member for shard in self.shards for member in shard.members], deadline_s)
        stop_all(self.config.members, max(1.0, deadline - time.monotonic()))

    def _shard(self, number: int, ports: Sequence[int]) -> ReplicaSet:
        return self._set(f"shard-{number}", ports, "--shardsvr")

    def _set(self, name: str, ports: Sequence[int], role: str) -> ReplicaSet:
        return ReplicaSet(
            self._directory / name,
            ports,
            name=name,
            label=f"mongod-{name}",
            arguments=[role],
            logs=self._logs or self._directory,
            run=self._run,
            cache_gb=self._cache_gb,
            oplog_mb=256,
        )

    def _router_command(self) -> list[str]:
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self._ports.config)
        options = [
            "--configdb",
            f"{CONFIG}/{hosts}",
            "--port",
            str(self._ports.router),
            "--bind_ip",
            LOOPBACK,
        ]
        # A mongos from PATH belongs to the mongod beside it, not to the one from the wheel.
        if shutil.which("mongod") and (mongos := shutil.which("mongos")):
            return [mongos, *options]
        return [sys.executable, "-m", "devstack.router", *options]

    def _routes(self) -> bool:
        try:
            with MongoClient[dict[str, Any]](self.uri, serverSelectionTimeoutMS=500) as client:
                return client.admin.command("hello").get("msg") == "isdbgrid"
        except PyMongoError:
            return False

    def _described(self) -> dict[str, Any]:
        roles = {CONFIG: ("config", self._ports.config)}
        roles |= {f"shard-{n}": ("shard", members) for n, members in enumerate(self._ports.shards, 1)}
        return {
            "replica_sets": {
                name: {"role": role, "members": [f"{LOOPBACK}:{port}" for port in members]}
                for name, (role, members) in roles.items()
            },
            "routers": [f"{LOOPBACK}:{self._ports.router}"],
        }

    def _refuse_other_data(self) -> None:
        """Refuse ports, or fewer shards, that the stored cluster does not know: it holds addresses."""
        if not self.description.exists() or is_lost(self.description):
            return
        stored = json.loads(self.description.read_text())["replica_sets"]
        described = self._described()["replica_sets"]
        if gone := [name for name in stored if name not in described]:
            raise SetupError(
                f"The stored cluster has {len(stored) - 1} shards, and {', '.join(gone)} would be missing: "
                f"start it with `--shards {len(stored) - 1}`, or begin anew with `./run reset`."
            )
        first = stored[CONFIG]["members"][0]
        if first != described[CONFIG]["members"][0]:
            raise SetupError(
                f"The stored cluster's addresses begin with {first}, and cannot move: set "
                "ROLLCALL_LOCAL_PORTS as it was, or begin anew with `./run reset`."
            )
