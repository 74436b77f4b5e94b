"""The marks of the partitions: positions in the feed from which on it is to be compared with the log.

RabbitMQ's streams are not synced to disk, so a loss of power may take their newest entries, though they were
confirmed. A stream is a log itself: while the entry of a mark is at its offset, all before it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from events.log.event import RecordedEvent
from service_kit.broker.feed_comparison import EventReference
from service_kit.broker.stream import FeedEntry
from service_kit.broker.topology import partition_of
from service_kit.ids import new_id

if TYPE_CHECKING:
    from workers.announcing.feed_store import FeedStore

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
        lower_bound: No event of the partition that was announced after this position, up to the next newer
            mark, was applied earlier, UTC.
        made_at: When the mark was made, UTC.
    """

    offset: int
    event_id: str
    lower_bound: datetime
    made_at: datetime

    def document(self) -> dict[str, Any]:
        """Return the mark as the collection keeps it."""
        return {
            "offset": self.offset,
            "event_id": self.event_id,
            "floor": self.lower_bound,
            "made_at": self.made_at,
        }


def mark_of(document: Mapping[str, Any]) -> Mark:
    """Return the mark in a document."""
    return Mark(document["offset"], document["event_id"], document["floor"], document["made_at"])


def thinned(marks: Sequence[Mark], now: datetime) -> list[Mark]:
    """Return the marks that are worth keeping, newest first: one for each age.

    What goes lowers the lower bound of the next older one, which stands for what came after it, too.

    Args:
        marks: Newest first.
        now: The time, UTC.
    """
    kept: list[Mark] = []
    lower_bound: datetime | None = None
    for place, mark in enumerate(marks):
        older = marks[place + 1] if place + 1 < len(marks) else None
        if older is not None and place > 0 and _age_class(mark, now) == _age_class(older, now):
            lower_bound = mark.lower_bound if lower_bound is None else min(lower_bound, mark.lower_bound)
            continue
        kept.append(
            mark if lower_bound is None else replace(mark, lower_bound=min(lower_bound, mark.lower_bound))
        )
        lower_bound = None
    return kept


def _age_class(mark: Mark, now: datetime) -> int:
    age = now - mark.made_at
    return sum(age >= bound for bound in _AGES)


def lower_bound_from(marks: Iterable[Mark], mark: Mark) -> datetime:
    """Return the earliest applied time of what was announced after a mark, as far as that is on record.

    Args:
        marks: Newest first.
        mark: One of them.
    """
    lower_bound = mark.lower_bound
    for newer in marks:
        if newer == mark:
            break
        lower_bound = min(lower_bound, newer.lower_bound)
    return lower_bound


def lowered(marks: Sequence[Mark], applied_at: datetime) -> list[Mark]:
    """Return the marks with the newest one's lower bound low enough for an event that is to be announced."""
    newest = marks[0]
    return [replace(newest, lower_bound=min(newest.lower_bound, applied_at)), *marks[1:]]


class PartitionMarks:
    """The marks of the partitions that this worker consumes: changed on record first, then here.

    Args:
        store: The record.
        count: How many partitions there are.
    """

    def __init__(self, store: FeedStore, count: int) -> None:
        self._store = store
        self._count = count
        self._owner = new_id()
        self._marks: dict[int, list[Mark]] = {}
        self._oldest: dict[int, datetime] = {}
        self._oldest_before: dict[int, datetime] = {}
        self._left_out: dict[int, datetime] = {}
        self._lock = asyncio.Lock()

    async def take_marks(self, numbers: Collection[int]) -> dict[int, list[Mark]]:
        """Return the marks of partitions that are consumed from now on, newest first.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        async with self._lock:
            marks = await self._store.take_over(numbers, self._owner)
            self._marks.update(marks)
            self._left_out = {n: time for n, time in self._left_out.items() if n not in numbers}
        return marks

    def due_partitions(self, numbers: Iterable[int], now: datetime) -> list[int]:
        """Return those that need a new mark: something of theirs was announced, or the clock jumped."""
        return [n for n in numbers if n in self._oldest or self._marks[n][0].lower_bound > now]

    def newest_mark(self, numbers: Iterable[int]) -> Mark:
        """Return the newest mark of some partitions."""
        return max((self._marks[number][0] for number in numbers), key=lambda mark: mark.made_at)

    async def lower_marks(self, events: Sequence[RecordedEvent]) -> None:
        """Let a reconciliation from the newest marks on look at events that are to be announced.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        oldest: dict[int, datetime] = {}
        for event in events:
            number = partition_of(event.person_id, self._count)
            oldest[number] = min(oldest.get(number, event.applied_at), event.applied_at)
        async with self._lock:
            lower = {
                number: lowered(self._marks[number], time)
                for number, time in oldest.items()
                if self._marks.get(number) and time < self._marks[number][0].lower_bound
            }
            await self._store.keep(lower, self._owner)
            self._marks.update(lower)
            for number, time in oldest.items():
                self._oldest[number] = min(self._oldest.get(number, time), time)

    def look_again_at(self, places: Iterable[EventReference]) -> None:
        """Let the next reconciliation look again at events that this one cannot announce."""
        for place in places:
            number = partition_of(place.person_id, self._count)
            time = place.applied_at or datetime.min.replace(tzinfo=UTC)
            self._left_out[number] = min(self._left_out.get(number, time), time)

    async def add_mark(
        self, numbers: Sequence[int], entry: FeedEntry | None, now: datetime, highest: datetime
    ) -> None:
        """Put a mark on record as the newest of some partitions.

        Args:
            numbers: The partitions.
            entry: Where; None for the beginning.
            now: The time, UTC.
            highest: What the lower bound is at most, UTC.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        offset, event_id = (-1, "") if entry is None else (entry.offset, entry.event_id)
        async with self._lock:
            fresh = {}
            for number in numbers:
                # What was announced just before may come after this entry, so earlier times count, too.
                oldest = self._oldest.pop(number, now)
                times = (self._oldest_before.get(number, now), self._left_out.get(number, now))
                self._oldest_before[number] = oldest
                mark = Mark(offset, event_id, min(highest, oldest, *times), now)
                fresh[number] = thinned([mark, *self._marks.get(number, [])], now)
            await self._store.keep(fresh, self._owner)
            self._marks.update(fresh)
