"""Owns the marks of a partition: places in the feed from which on it is to be held against the log. Pure.

RabbitMQ's streams are not synced to disk, so a loss of power may take their newest entries, though they were
confirmed. A stream is a log itself: while the entry of a mark is at its offset, all before it is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

_AGES: Final = tuple(
    timedelta(seconds=seconds) for seconds in (0, 60, 300, 1800, 7200, 43_200, 172_800, 864_000)
)
"""About so old are the marks that are kept: after a loss, little more than what was lost is looked at."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the feed.

    Attributes:
        offset: Of an entry; -1 for the beginning of a feed that was empty.
        event_id: The event there; empty at the beginning.
        floor: No event of the partition that was announced after this place, up to the next newer mark, was
            applied earlier, UTC.
        made_at: When the mark was made, UTC.
    """

    offset: int
    event_id: str
    floor: datetime
    made_at: datetime

    def document(self) -> dict[str, Any]:
        """Return the mark as the collection keeps it."""
        return {
            "offset": self.offset,
            "event_id": self.event_id,
            "floor": self.floor,
            "made_at": self.made_at,
        }


def mark_of(document: Mapping[str, Any]) -> Mark:
    """Return the mark in a document."""
    return Mark(document["offset"], document["event_id"], document["floor"], document["made_at"])


def thinned(marks: Sequence[Mark], now: datetime) -> list[Mark]:
    """Return the marks that are worth keeping, newest first: one for each age.

    What goes lowers the floor of the next older one, which stands for what came after it, too.

    Args:
        marks: Newest first.
        now: The time, UTC.
    """
    kept: list[Mark] = []
    floor: datetime | None = None
    for place, mark in enumerate(marks):
        older = marks[place + 1] if place + 1 < len(marks) else None
        if older is not None and place > 0 and _age(mark, now) == _age(older, now):
            floor = mark.floor if floor is None else min(floor, mark.floor)
            continue
        kept.append(mark if floor is None else replace(mark, floor=min(floor, mark.floor)))
        floor = None
    return kept


def _age(mark: Mark, now: datetime) -> int:
    age = now - mark.made_at
    return sum(age >= bound for bound in _AGES)


def floor_from(marks: Iterable[Mark], mark: Mark) -> datetime:
    """Return the earliest applied time of what was announced after a mark, as far as that is on record.

    Args:
        marks: Newest first.
        mark: One of them.
    """
    floor = mark.floor
    for newer in marks:
        if newer == mark:
            break
        floor = min(floor, newer.floor)
    return floor


def lowered(marks: Sequence[Mark], applied_at: datetime) -> list[Mark]:
    """Return the marks with the newest one's floor low enough for an event that is to be announced."""
    newest = marks[0]
    return [replace(newest, floor=min(newest.floor, applied_at)), *marks[1:]]
