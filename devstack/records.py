"""Which processes are ours, remembered on disk; ends those that an unclean end left behind.

A record holds the process id, the start time that Linux gives it and the boot it belongs to. Only
when all three still hold is the process ours: ids are used again.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from service_kit.files import write_whole

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class ProcessRecord:
    """One process, told apart from any later one with its id."""

    name: str
    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, name: str, pid: int) -> ProcessRecord | None:
        """The record of a process, or None when it has ended."""
        started = start_time(pid)
        return None if started is None else cls(name, pid, started, _boot())

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self.boot == _boot() and start_time(self.pid) == self.started

    def save(self, directory: Path) -> None:
        """Write the record as `<name>.process` in `directory`, whole or not at all."""
        write_whole(directory / f"{self.name}.process", json.dumps(asdict(self)))


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it has ended.

    A zombie has ended. Source: proc_pid_stat(5), fields 3 and 22.
    """
    try:
        # The second field, the name in brackets, may itself hold spaces and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def forget(directory: Path, name: str) -> None:
    """Remove the record of a process that has ended; one that stays is known for what it is."""
    with contextlib.suppress(OSError):
        (directory / f"{name}.process").unlink(missing_ok=True)


def load(directory: Path) -> list[ProcessRecord]:
    """Every readable record in `directory`."""
    records = []
    for path in sorted(directory.glob("*.process")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            records.append(ProcessRecord(**json.loads(path.read_text())))
    return records


def end_leftovers(directory: Path, patience_s: float = 20.0) -> list[ProcessRecord]:
    """End every recorded process that still runs, politely and then surely.

    Args:
        directory: Where the records are. Call it only while holding the lock of that directory.
        patience_s: Seconds between the polite signal and the sure one.

    Returns:
        The processes that were found running.
    """
    leftovers = [record for record in load(directory) if record.alive]
    for record in leftovers:
        _signal(record, signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while any(record.alive for record in leftovers) and time.monotonic() < deadline:
        time.sleep(0.05)
    for record in leftovers:
        if record.alive:
            _signal(record, signal.SIGKILL)
    while any(record.alive for record in leftovers) and time.monotonic() < deadline + 5:
        time.sleep(0.05)
    for path in directory.glob("*.process"):
        path.unlink(missing_ok=True)
    return leftovers


def _signal(record: ProcessRecord, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if number == signal.SIGKILL and os.getpgid(record.pid) == record.pid:
            os.killpg(record.pid, number)
        elif record.alive:
            os.kill(record.pid, number)


def _boot() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
