"""A MongoDB replica set on this machine: its mongod processes, and nothing of what is stored in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from devstack.processes import Child, Pause, stop_all, wait_until
from devstack.servers.mongod import find_mongod
from devstack.servers.ports import LOOPBACK, listens
from service_kit.files import make_folder

KEEP_NO_VALUES = (
    *("--slowms", "2147483647", "--profile", "0"),
    *("--setParameter", "createRollbackDataFiles=false"),
)
"""No operation is slow, and none is profiled: of either, mongod writes down the filters and the documents.
Nor is what a member takes back after a failover written into files of its own: nobody was promised it."""
_NOT_YET_INITIALISED = 94
_ALREADY_INITIALISED = 23
_STANDING = {1, 2}  # PRIMARY and SECONDARY
_SETTINGS = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500, "chainingAllowed": False}


class ReplicaSet:
    """A replica set whose members are child processes of this one.

    Call `start()`; or `spawn()`, something else, then `wait_ready()`.

    Attributes:
        name: The name of the set.
        ports: The members' ports, in order; the first member is preferred as primary.
        members: The members' processes, in the same order.
    """

    def __init__(
        self,
        directory: Path,
        ports: Sequence[int],
        *,
        name: str = "rollcall",
        label: str = "mongod",
        arguments: Sequence[str] = (),
        key_file: Path | None = None,
        logs: Path | None = None,
        run: Path | None = None,
        cache_gb: float = 0.25,
        oplog_mb: int = 512,
    ) -> None:
        """Describe the set; nothing is started yet.

        Args:
            directory: Where the members keep their data; an existing set in it is used again.
            ports: One free port for each member.
            name: The name of the replica set.
            label: The processes are called `<label>-0`, `<label>-1` …
            arguments: More arguments for every mongod, e.g. `--shardsvr` or `--configsvr`.
            key_file: What the members know each other by; without, whoever reaches a port may do everything.
            logs: Where the logs go; `directory` when None.
            run: Where the processes are recorded; nowhere when None.
            cache_gb: Each member's WiredTiger cache, in GB.
            oplog_mb: Each member's oplog, in MB.

        Raises:
            SetupError: There is no mongod to be found.
        """
        self.name = name
        self.ports = tuple(ports)
        self._arguments = tuple(arguments)
        self._key_file = key_file
        program = str(find_mongod())
        self._paths = [directory / f"member-{index}" for index in range(len(self.ports))]
        self.members = [
            Child(
                f"{label}-{index}",
                [
                    program,
                    *("--dbpath", str(path), "--port", str(port), "--bind_ip", LOOPBACK),
                    *("--replSet", name, "--oplogSize", str(oplog_mb), "--nounixsocket"),
                    *("--wiredTigerCacheSizeGB", str(cache_gb)),
                    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
                    *KEEP_NO_VALUES,
                    # The journal else takes 300 MB of disk for each member before the first write.
                    *("--wiredTigerEngineConfigString", "log=(file_max=32MB,prealloc=false)"),
                    # The members leave together: no waiting for clients to find another one.
                    *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=500"),
                    *(() if key_file is None else ("--keyFile", str(key_file))),
                    *arguments,
                ],
                log=(logs or directory) / f"{label}-{index}.log",
                cwd=directory,
                run=run,
            )
            for index, (path, port) in enumerate(zip(self._paths, self.ports, strict=True))
        ]

    @property
    def children(self) -> list[Child]:
        """Every process."""
        return self.members

    @property
    def sets(self) -> list[ReplicaSet]:
        """Every replica set: this one."""
        return [self]

    @property
    def uri(self) -> str:
        """The connection string for the whole set."""
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self.ports)
        return f"mongodb://{hosts}/?replicaSet={self.name}"

    def start(self, timeout_s: float = 60.0) -> None:
        """Start every member and wait until the set accepts writes."""
        self.spawn()
        self.wait_ready(timeout_s)

    def spawn(self) -> None:
        """Start every member that does not run; do not wait."""
        for path in self._paths:
            make_folder(path, mode=0o700)
        for member in self.members:
            member.start()

    def wait_ready(self, timeout_s: float = 60.0, pause: Pause = time.sleep) -> None:
        """Make the members one set, once, and wait until it accepts writes and all stand by.

        Args:
            timeout_s: Seconds to wait at most.
            pause: How to sleep between questions; may raise to break off.

        Raises:
            SetupError: A member ended, or time is over.
        """
        deadline = time.monotonic() + timeout_s
        self.initiate(timeout_s, pause)
        with self._direct(0) as client:
            self._wait(lambda: self._all_stand_by(client), deadline - time.monotonic(), pause)

    def initiate(self, timeout_s: float = 60.0, pause: Pause = time.sleep) -> None:
        """Make the members one set, once; do not wait until it accepts writes.

        Args:
            timeout_s: Seconds to wait at most for the members.
            pause: How to sleep between questions; may raise to break off.

        Raises:
            SetupError: A member ended, or time is over.
        """
        deadline = time.monotonic() + timeout_s
        self._wait(lambda: all(listens(port) for port in self.ports), timeout_s, pause)
        with self._direct(0) as client:
            self._wait(lambda: self._initiate(client), deadline - time.monotonic(), pause)

    def primary(self) -> int | None:
        """The index of the member that accepts writes now, or None."""
        for index, port in enumerate(self.ports):
            if self.members[index].running and listens(port):
                with self._direct(index) as client, contextlib.suppress(PyMongoError):
                    if client.admin.command("hello").get("isWritablePrimary"):
                        return index
        return None

    def kill(self, index: int) -> None:
        """End one member as a power cut would (SIGKILL)."""
        self.members[index].kill()

    def start_member(self, index: int) -> None:
        """Start one member again; do not wait for it to catch up."""
        self.members[index].start()

    def stop(self, deadline_s: float = 20.0) -> None:
        """Stop every member in order; kill those that still run after `deadline_s` seconds."""
        stop_all(self.members, deadline_s)

    def _wait(self, ready: Callable[[], bool], timeout_s: float, pause: Pause) -> None:
        wait_until(ready, self.members, what="MongoDB", timeout_s=timeout_s, pause=pause)

    def _direct(self, index: int) -> MongoClient[dict[str, Any]]:
        return MongoClient(
            LOOPBACK,
            self.ports[index],
            directConnection=True,
            serverSelectionTimeoutMS=2000,
            socketTimeoutMS=10_000,
            **self._credentials(),
        )

    def _credentials(self) -> dict[str, Any]:
        """Return the driver's options for the members' own user, who may do everything."""
        if self._key_file is None:
            return {}
        return {
            "username": "__system",
            "password": self._key_file.read_text(encoding="ascii").strip(),
            "authSource": "local",
            "authMechanism": "SCRAM-SHA-256",
        }

    def _configuration(self) -> dict[str, Any]:
        members = [
            {"_id": index, "host": f"{LOOPBACK}:{port}", "priority": len(self.ports) - index}
            for index, port in enumerate(self.ports)
        ]
        role = {"configsvr": True} if "--configsvr" in self._arguments else {}
        return {"_id": self.name, **role, "members": members, "settings": _SETTINGS}

    def _initiate(self, client: MongoClient[dict[str, Any]]) -> bool:
        """Create the set, or move one that was created on other ports; False: ask again."""
        try:
            stored = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as exc:
            if exc.code != _NOT_YET_INITIALISED:
                return False
            return self._try(client, {"replSetInitiate": self._configuration()})
        except PyMongoError:
            return False
        configuration = self._configuration()
        if [m["host"] for m in stored["members"]] == [m["host"] for m in configuration["members"]]:
            return True
        moved = {**stored, "version": stored["version"] + 1, "members": configuration["members"]}
        return self._try(client, {"replSetReconfig": moved, "force": True})

    def _try(self, client: MongoClient[dict[str, Any]], command: dict[str, Any]) -> bool:
        try:
            client.admin.command(command)
        except OperationFailure as exc:
            return exc.code == _ALREADY_INITIALISED
        except PyMongoError:
            return False
        return True

    def _all_stand_by(self, client: MongoClient[dict[str, Any]]) -> bool:
        try:
            status = client.admin.command("replSetGetStatus")
            states = [member["state"] for member in status["members"]]
            if not all(state in _STANDING for state in states):
                return False
            if 1 not in states:
                # All stand by, so an election now need not wait for the timeout.
                self._try(client, {"replSetStepUp": 1})
                return False
        except PyMongoError:
            return False
        return self.primary() is not None
