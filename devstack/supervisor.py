"""One `./run up`: holds the lock, starts the system, restarts what dies, and stops it all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from types import FrameType

from devstack.parts import forget_description, save_description
from devstack.paths import Paths
from devstack.processes import Child
from devstack.records import end_leftovers
from devstack.servers.broken_members import WELL, NodeReport, Remedy, RestartRule, ask, remove_stream
from devstack.servers.rabbit import RabbitNode
from devstack.services import Service
from devstack.status import parts_of
from devstack.system import System
from operations.errors import AlreadyRunning, SetupError
from operations.terminal import print_progress, short_path

_LOCK = "up.lock"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LONGEST_BACKOFF_S = 30.0
_SETTLED_S = 60.0
_ASK_EVERY_S = 15.0
_BROKER_STOP_S = 20.0


class Stopped(BaseException):
    """The user wants it to end."""


class StopRequest:
    """Signals turned into an answer at points where it is safe to break off."""

    def __init__(self) -> None:
        self._asked = False
        self._stopping = False

    def install(self) -> None:
        """Take over Ctrl-C, SIGTERM and the end of the terminal."""
        for number in _SIGNALS:
            # Under nohup the user wants us to outlive the terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def pause(self, seconds: float) -> None:
        """Sleep.

        Raises:
            Stopped: The user wants it to end.
        """
        time.sleep(seconds)
        self.check()

    def check(self) -> None:
        """Break off when the user wants it to end; raises Stopped."""
        if self._asked:
            raise Stopped

    def stopping(self) -> None:
        """From here on, further signals change nothing: stopping is bounded in time anyway."""
        self._stopping = True

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if number == signal.SIGHUP:
            # The terminal is gone: writing to it would fail.
            with contextlib.suppress(OSError):
                nowhere = os.open(os.devnull, os.O_RDWR)
                for standard in (0, 1, 2):
                    os.dup2(nowhere, standard)
        elif self._stopping:
            with contextlib.suppress(OSError):
                os.write(2, b"Stopping; a moment.\n")


@contextlib.contextmanager
def held_lock(paths: Paths) -> Iterator[None]:
    """Hold the state directory for one `up`, `reset` or clean-up.

    Raises:
        AlreadyRunning: Another one holds it.
    """
    paths.create()
    with (paths.run / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise AlreadyRunning(
                f"Rollcall is running already (process {holder(paths)}, state in "
                f"{short_path(paths.state)}): use it, or stop it with `./run down`."
            ) from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def holder(paths: Paths) -> int | None:
    """The process that last held the lock."""
    with contextlib.suppress(OSError, ValueError):
        return int((paths.run / _LOCK).read_text())
    return None


def supervise(paths: Paths, system: System, stop: StopRequest, when_ready: Callable[[], None]) -> None:
    """Start the system, keep it running until the user wants it to end, and stop it.

    Args:
        paths: Where state is kept.
        system: What to run.
        stop: How the user says so; installed already.
        when_ready: Called once when everything is ready.

    Raises:
        AlreadyRunning: Another `up` runs here.
        SetupError: Something cannot start; nothing is left running.
    """
    with held_lock(paths):
        if leftovers := end_leftovers(paths.run):
            names = ", ".join(record.name for record in leftovers)
            print_progress(f"Ended what an earlier run left behind: {names}.")
        system.prepare()
        try:
            stop.check()
            system.start(stop.pause)
            save_description(paths, parts_of(system), system.environment)
            when_ready()
            _watch(system, stop)
        except Stopped:
            print_progress("Stopping …")
        finally:
            stop.stopping()
            try:
                forget_description(paths)
            finally:
                system.stop()
    print_progress("Stopped.")


class _Backoff:
    """When a process that died is started again: 1, 2, 4 … 30 s later."""

    def __init__(self) -> None:
        self._delay = 1.0
        self._started = time.monotonic()
        self.due: float | None = None

    def schedule(self) -> float:
        """Plan the next start; the seconds until then."""
        now = time.monotonic()
        if now - self._started > _SETTLED_S:
            self._delay = 1.0
        delay, self._delay = self._delay, min(self._delay * 2, _LONGEST_BACKOFF_S)
        self.due = now + delay
        return delay

    def begin(self) -> None:
        """The process is started now."""
        self.due = None
        self._started = time.monotonic()


class BrokerWatch:
    """Ends a node whose queues are down although it could serve; whoever looks after it starts it again.

    Removes the stream where that did not bring it back.

    Args:
        node: The node.
        services: While all are ready, the node is not asked: that costs a second of processor time.
        asking: Asks meanwhile: a question takes seconds.
    """

    def __init__(self, node: RabbitNode, services: Sequence[Service], asking: Executor) -> None:
        self._node = node
        self._services = services
        self._asking = asking
        self._rule = RestartRule()
        self._question: Future[NodeReport | None] | None = None
        self._next = 0.0

    def look(self) -> None:
        """Take an answer that is there, act on it, and ask again when it is time."""
        now = time.monotonic()
        if self._question is None:
            if now >= self._next and self._node.running:
                self._question = self._asking.submit(self._ask)
            return
        if not self._question.done():
            return
        word, self._question, self._next = self._question.result(), None, now + _ASK_EVERY_S
        remedy = self._rule.due(now, word)
        if remedy is Remedy.REMOVE:
            self._question = self._asking.submit(self._remove)
        elif remedy is Remedy.RESTART and word is not None:
            server = self._node.server
            print_progress(
                f"{server.name}: {word.names} down for a minute, although it has room: restarting it."
            )
            server.stop(_BROKER_STOP_S)

    def _ask(self) -> NodeReport | None:
        return WELL if all(service.ready for service in self._services) else ask(self._node)

    def _remove(self) -> None:
        remove_stream(self._node)


def _watch(system: System, stop: StopRequest) -> None:
    """Start again what dies, until the user wants it all to end."""
    backoffs = {child.name: _Backoff() for child in system.children}
    nodes = system.rabbit.nodes if system.rabbit else []
    asking = ThreadPoolExecutor(1)
    watches = [BrokerWatch(node, system.services, asking) for node in nodes]
    try:
        while True:
            stop.pause(0.25)
            for child in system.children:
                _look_after(child, backoffs[child.name])
            for watch in watches:
                watch.look()
    finally:
        asking.shutdown(wait=False, cancel_futures=True)


def _look_after(child: Child, backoff: _Backoff) -> None:
    if child.running:
        return
    if backoff.due is None:
        delay = backoff.schedule()
        print_progress(
            f"{child.name} ended (status {child.status}); starting it again in {delay:.0f} s "
            f"(log: {short_path(child.log)})."
        )
    elif time.monotonic() >= backoff.due:
        backoff.begin()
        try:
            child.start()
        except (SetupError, OSError) as exc:
            print_progress(f"{child.name}: {exc}")
