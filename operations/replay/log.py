"""Reads the events of a replay from the log, each person's in order, and remembers how far it came."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from events.errors import StoreUnavailable
from events.times import parse_rfc3339
from operations.errors import SetupError
from operations.log_reader import LogReader
from service_kit.retries import Patience

BATCH: Final = 500
SAFE_AGE: Final = timedelta(minutes=2)
"""So long after its applied time an event is in the log and in every copy (docs/adr/0017)."""
_TICK: Final = timedelta(milliseconds=1)
_PATIENCE_S: Final = 60.0
_applied_at: Final = itemgetter("applied_at")
_version: Final = itemgetter("version")

Event = dict[str, Any]
"""As the log has it; times without a zone."""


@dataclass(frozen=True)
class ReplayRange:
    """Which events are replayed.

    Attributes:
        begin: Applied then or later; None for the first.
        until: Applied before then; None for all that there are.
        types: Their types; all, if empty.
        person_id: Of this person alone.
        actor: Of this actor alone.
    """

    begin: datetime | None = None
    until: datetime | None = None
    types: tuple[str, ...] = ()
    person_id: str | None = None
    actor: str | None = None

    def conditions(self, begin: datetime | None) -> dict[str, Any]:
        """Return the events that are left from a time on, as MongoDB takes them."""
        bounds = {"$gte": begin, "$lt": self.until}
        conditions: dict[str, Any] = {
            "applied_at": {name: bound for name, bound in bounds.items() if bound is not None},
            "type": {"$in": list(self.types)} if self.types else {},
            "person_id": self.person_id,
            "actor": self.actor,
        }
        return {name: value for name, value in conditions.items() if value}


class ReplayProgress:
    """How far a replay has come.

    Args:
        begin: Where it began.

    Attributes:
        events: How many were delivered.
        next: Where to go on: at this applied time. Not beyond what may still get company: a worker may
            yet append an event of the last minutes, and a secondary may lack one.
    """

    def __init__(self, begin: datetime | None) -> None:
        self.next = begin
        self.events = 0
        self._safe_until = datetime.now(UTC) - SAFE_AGE

    def passed(self, events: Sequence[Event]) -> None:
        """Note that these were delivered, and all of the same times with them."""
        self.events += len(events)
        for event in reversed(events):
            applied_at = event["applied_at"].replace(tzinfo=UTC)
            if applied_at <= self._safe_until:
                self.next = applied_at + _TICK
                break


def replayed(log: LogReader, replay_range: ReplayRange) -> Iterator[list[Event]]:
    """Yield the events in order of applied time, batch by batch, in the memory of a batch.

    Events of the same millisecond are in one batch, and in order of version: that keeps each person's order,
    since a person's time never goes back. When MongoDB is away for a while, it goes on after the last batch.

    Raises:
        StoreUnavailable: MongoDB stays away.
        SetupError: It refuses.
    """
    begin, patience = replay_range.begin, Patience(_PATIENCE_S)
    while True:
        try:
            for batch in batches(log.applied(replay_range.conditions(begin))):
                yield batch
                begin = batch[-1]["applied_at"].replace(tzinfo=UTC) + _TICK
                patience.renew()
        except StoreUnavailable:
            pause = patience.pause()
            if pause is None:
                raise
            time.sleep(pause)
        else:
            return


def batches(events: Iterator[Event]) -> Iterator[list[Event]]:
    """Yield events in batches that keep those of the same time together, in order of version."""
    batch: list[Event] = []
    for _, together in groupby(events, _applied_at):
        batch += sorted(together, key=_version)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def begin_at(log: LogReader, text: str) -> datetime:
    """Return the applied time that a replay begins at.

    Args:
        log: Knows the events.
        text: A time (RFC 3339), as an earlier replay printed it, or the id of the first event.

    Raises:
        SetupError: It is neither, or there is no such event.
    """
    try:
        event_id = str(UUID(text))
    except ValueError:
        return time_of("--from", text)
    applied_at = log.applied_at(event_id)
    if applied_at is None:
        raise SetupError(f"The log has no event {event_id}.")
    return applied_at


def time_of(option: str, text: str) -> datetime:
    """Return the time that an option names.

    Raises:
        SetupError: It names none.
    """
    try:
        return parse_rfc3339(text)
    except ValueError as exc:
        raise SetupError(f"{option} takes a time such as 2026-01-31T08:00:00Z: {exc}.") from exc
