"""Child processes: started in a session of their own, logged, recorded, and surely ended.

A child dies with the program that started it, even when that one is killed, so start children from
the main thread: Linux ties a child's life to the thread that forked it (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from devstack import records
from operations.errors import SetupError
from operations.terminal import short_path

Pause = Callable[[float], None]

_PR_SET_PDEATHSIG = 1
_LOG_LIMIT = 16 * 1024 * 1024
_OPEN_FILES = 65_536
_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """One process of ours that can be started, ended and started again."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        run: Path | None = None,
    ) -> None:
        """Describe the process; nothing is started yet.

        Args:
            name: How records, messages and the log name it; unique within `run`.
            argv: The program and its arguments.
            log: The file that its output is appended to.
            env: Its whole environment; this process's own when None.
            cwd: Its working directory.
            run: Where its record is kept while it runs; None keeps no record.
        """
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._env = env
        self._cwd = cwd
        self._run = run
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or None when it does not run."""
        return self._process.pid if self._process and self.running else None

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """The exit status (negative: the signal that ended it); None while it runs."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the process; when it runs already, do nothing.

        Raises:
            SetupError: The program cannot be started; or it runs, and its record cannot be written.
        """
        if self.running:
            return
        parent = os.getpid()
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            _turn_over(self.log)
            output = self.log.open("ab")
        except OSError as exc:
            raise SetupError(f"{short_path(self.log)} cannot be written to ({exc.strerror}).") from exc
        try:
            with output:
                self._process = subprocess.Popen(
                    self._argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    cwd=self._cwd,
                    start_new_session=True,
                    preexec_fn=lambda: _in_the_child(parent),
                )
        except OSError as exc:
            raise SetupError(
                f"{self._argv[0]} cannot be started ({exc.strerror}): check that it is installed "
                "and may be executed."
            ) from exc
        if self._run and (record := records.ProcessRecord.of(self.name, self._process.pid)):
            try:
                record.save(self._run)
            except OSError as exc:
                where = short_path(self._run)
                raise SetupError(
                    f"{self.name} runs, but {where} cannot be written to ({exc.strerror})."
                ) from exc

    def ask_to_stop(self) -> None:
        """Send SIGTERM when it runs; do not wait."""
        if self._process and self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all of its own children at once (SIGKILL), and wait until it is gone."""
        if self._process is None:
            return
        # Not reaped yet, so the id of the group cannot belong to anyone else.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._forget()

    def stop(self, deadline_s: float = 15.0) -> None:
        """Ask it to stop, wait `deadline_s` seconds at most, then kill it."""
        stop_all([self], deadline_s)

    def wait(self, deadline: float) -> bool:
        """Wait for its end until `deadline` (of `time.monotonic`); whether it has ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        self._forget()
        return True

    def last_words(self) -> str:
        """The last line of its log that says something, for an error message."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4096))
            lines = log.read().decode(errors="replace").strip().splitlines()
            return lines[-1][:300] if lines else ""
        return ""

    def _forget(self) -> None:
        if self._run:
            records.forget(self._run, self.name)


def stop_all(children: Iterable[Child], deadline_s: float) -> None:
    """Ask all to stop at once, wait `deadline_s` seconds together, kill those that remain."""
    group = list(children)
    for child in group:
        child.ask_to_stop()
    deadline = time.monotonic() + deadline_s
    for child in group:
        if not child.wait(deadline):
            child.kill()


def wait_until(
    ready: Callable[[], bool],
    children: Sequence[Child],
    *,
    what: str,
    timeout_s: float,
    pause: Pause = time.sleep,
) -> None:
    """Poll until `ready()`, as long as the children live.

    Args:
        ready: The question; asked every 0.05 s or so.
        children: When one of them ends, waiting is pointless.
        what: What is waited for, as the user knows it.
        timeout_s: Seconds to wait at most.
        pause: How to sleep; may raise to break off.

    Raises:
        SetupError: A child ended, or time is over.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        for child in children:
            if not child.running:
                raise SetupError(
                    f"The {what} ended while starting (status {child.status}: "
                    f"{child.last_words() or 'no output'}): see {short_path(child.log)}."
                )
        if time.monotonic() > deadline:
            logs = ", ".join(short_path(child.log) for child in children)
            raise SetupError(f"The {what} was not ready within {timeout_s:.0f} s: see {logs}.")
        pause(0.05)


def _in_the_child(parent: int) -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    # A core dump holds whatever a process has in memory: values, keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Databases want many open files; a limit in the billions makes Erlang slow to start.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _OPEN_FILES if most == resource.RLIM_INFINITY else min(_OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))


def _turn_over(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(log.suffix + ".1"))
