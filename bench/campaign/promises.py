"""Keeps what clients were promised, outside the system: every acknowledged command and every outcome."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

EXAMPLES = 20
"""Of each kind of broken promise so many are told."""


@dataclass(slots=True)
class Promise:
    """An acknowledged command.

    Attributes:
        person_id: Whom it is about.
        kind: What it asks for.
        mark: What its event alone has in its data; None if it has nothing such.
        must_apply: Whether nothing can forbid it.
        version: What a waited answer said; None if it said none.
    """

    person_id: str
    kind: str
    mark: str | None
    must_apply: bool
    version: int | None


@dataclass
class Promises:
    """What the clients of one run know together. Only the load's thread writes to it.

    Attributes:
        commands: By id, each that was acknowledged.
        in_order: By client and person, the ids of commands that were acknowledged one after the other.
        refused: Marks of commands whose waited answer was a refusal.
        imported: By import, the marks of its rows; each must be in the log once it is `whole`.
        whole: Imports that were answered as read to the end.
        pictures: People who were promised a picture.
        broken: Promises that a client saw broken, by kind: examples, of all that `counts` has.
        last_accepted: When the last command was acknowledged, in monotonic seconds.
    """

    commands: dict[str, Promise] = field(default_factory=dict)
    in_order: defaultdict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    refused: set[str] = field(default_factory=set)
    imported: dict[str, list[str]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    broken: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    last_accepted: float = field(default_factory=time.monotonic)

    def acknowledge(self, command_id: str, client: str, promise: Promise) -> None:
        """Note that a command was acknowledged, after all that this client was acknowledged before."""
        self.last_accepted = time.monotonic()
        self.counts["acknowledged"] += 1
        if command_id not in self.commands:
            self.in_order[client, promise.person_id].append(command_id)
            self.commands[command_id] = promise

    def broke(self, kind: str, what: str) -> None:
        """Note that a promise was seen broken."""
        self.counts[kind] += 1
        if len(self.broken[kind]) < EXAMPLES:
            self.broken[kind].append(what)


class Diary:
    """A file with what happened when, on a disk that no fault meets; the newest lines are at hand, too.

    Args:
        path: The file.
        tell: Also told on the terminal.
    """

    def __init__(self, path: Path, *, tell: bool) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self._tell = tell
        self._recent: deque[tuple[float, str]] = deque(maxlen=200)

    def note(self, text: str) -> None:
        """Write a line with the time of day."""
        line = f"{datetime.now(UTC):%H:%M:%S.%f}"[:-4] + f" {text}"
        with self._lock:
            self._recent.append((time.monotonic(), text))
            self._file.write(f"{line}\n")
        if self._tell:
            print(line, flush=True)

    def lately(self, seconds: float) -> str:
        """Return what happened in the last seconds, newest first."""
        since = time.monotonic() - seconds
        with self._lock:
            return " < ".join(text for at, text in reversed(self._recent) if at > since) or "nothing"

    def close(self) -> None:
        """Close the file."""
        self._file.close()
