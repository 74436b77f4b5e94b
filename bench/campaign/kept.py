"""A process of the system that a campaign breaks, started again when it dies as a supervisor does."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass

from devstack.processes import Child
from devstack.services import readiness
from operations.errors import SetupError
from tests.system import Service

_LONGEST_BACKOFF = 30.0
_RUNS_WELL_S = 60.0


@dataclass
class Kept:
    """A process that is started again when it dies.

    Attributes:
        name: Its own.
        role: `worker`, `command`, `query`, `mongod`, `router`, `broker` or `mapper`.
        process: The process.
        held: Whether it is not to be started for now.
    """

    name: str
    role: str
    process: Child | Service
    held: bool = False
    _delay: float = 1.0
    _due: float | None = None
    _began: float = 0.0

    @property
    def pid(self) -> int | None:
        """Its id, also that of its process group; None when it does not run."""
        if isinstance(self.process, Child):
            return self.process.pid
        running = self.process.process
        return running.pid if running is not None and running.poll() is None else None

    @property
    def readiness(self) -> str:
        """What a service says of itself."""
        if self.pid is None or isinstance(self.process, Child):
            return "does not run"
        return readiness("127.0.0.1", self.process.port)

    @property
    def ready(self) -> bool:
        """Whether a service says that it is ready."""
        return self.readiness.startswith("ready")

    def start(self) -> None:
        """Start it unless it runs."""
        self._due, self._began = None, time.monotonic()
        if self.pid is not None:
            return
        if isinstance(self.process, Child):
            with contextlib.suppress(SetupError):
                self.process.start()
        else:
            self.process.spawn()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to what it has started."""
        if (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def look_after(self) -> bool:
        """Start it again if it died and its time has come; return whether it was found dead just now."""
        now = time.monotonic()
        if self.held or self.pid is not None:
            return False
        if self._due is None:
            if now - self._began > _RUNS_WELL_S:
                self._delay = 1.0
            self._due, self._delay = now + self._delay, min(self._delay * 2, _LONGEST_BACKOFF)
            return True
        if now >= self._due:
            self.start()
        return False

    def forget_failures(self) -> None:
        """Start without delay the next time, as after a restart of the whole machine."""
        self._delay, self._due = 1.0, None
