"""Owns the marks of the partitions that one session consumes: raises and lowers them, on record first."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from events.facts import RecordedEvent
from service_kit.feed_comparison import Place
from service_kit.ids import new_id
from service_kit.stream import Entry
from service_kit.topology import partition_of
from workers.feed_store import FeedStore
from workers.marks import Mark, lowered, thinned


class MarkBook:
    """The marks, as they are on record while nobody else takes the partitions over.

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

    async def take_over(self, numbers: Collection[int]) -> dict[int, list[Mark]]:
        """Return the marks of partitions that are consumed from now on, newest first.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        async with self._lock:
            known = await self._store.take_over(numbers, self._owner)
            self._marks.update(known)
            self._left_out = {n: time for n, time in self._left_out.items() if n not in numbers}
        return known

    def due(self, numbers: Iterable[int], now: datetime) -> list[int]:
        """Return those that need a new mark: something of theirs was announced, or the clock jumped."""
        return [n for n in numbers if n in self._oldest or self._marks[n][0].floor > now]

    def newest(self, numbers: Iterable[int]) -> Mark:
        """Return the newest mark of some partitions."""
        return max((self._marks[number][0] for number in numbers), key=lambda mark: mark.made_at)

    async def lower(self, events: Sequence[RecordedEvent]) -> None:
        """Let a proof from the newest marks on look at events that are to be announced.

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
                if self._marks.get(number) and time < self._marks[number][0].floor
            }
            await self._store.keep(lower, self._owner)
            self._marks.update(lower)
            for number, time in oldest.items():
                self._oldest[number] = min(self._oldest.get(number, time), time)

    def leave_out(self, places: Iterable[Place]) -> None:
        """Let the next proof look at events again that this one cannot announce, however late it comes."""
        for place in places:
            number = partition_of(place.person_id, self._count)
            time = place.applied_at or datetime.min.replace(tzinfo=UTC)
            self._left_out[number] = min(self._left_out.get(number, time), time)

    async def mark(
        self, numbers: Sequence[int], entry: Entry | None, now: datetime, highest: datetime
    ) -> None:
        """Put a mark on record as the newest of some partitions.

        Args:
            numbers: The partitions.
            entry: Where; None for the beginning.
            now: The time, UTC.
            highest: What the floor is at most, UTC.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        offset, event_id = (-1, "") if entry is None else (entry.offset, entry.event_id)
        async with self._lock:
            fresh = {}
            for number in numbers:
                # What was announced just before may come after this entry, so the last time's counts, too.
                oldest = self._oldest.pop(number, now)
                times = (self._oldest_before.get(number, now), self._left_out.get(number, now))
                self._oldest_before[number] = oldest
                mark = Mark(offset, event_id, min(highest, oldest, *times), now)
                fresh[number] = thinned([mark, *self._marks.get(number, [])], now)
            await self._store.keep(fresh, self._owner)
            self._marks.update(fresh)
