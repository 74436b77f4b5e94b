"""Owns the proof that the feed holds what the log holds: what the broker forgot is announced again.

Nothing of a partition is decided before the worker that takes it over has held the feed against the log from
the newest mark on. While it works, it makes new marks, and looks whether the newest one is still there.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

import structlog
from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable, Unavailable
from events.facts import RecordedEvent
from service_kit.broker import backoff
from service_kit.feed_comparison import Place, compare
from service_kit.ids import new_id
from service_kit.stream import PROBE_SECONDS, Entry, probe
from service_kit.topology import EVENT_LOG, partition_of
from workers import metrics
from workers.announcer import Announcer
from workers.faults import concerns_one, reason_of
from workers.feed_store import FeedStore, Gaps
from workers.intake import Intake, Partition
from workers.lines import Stamps
from workers.mark_search import beginning, is_there
from workers.marks import Mark, lowered, thinned

LOOK_SECONDS: Final = 0.25
"""How soon a partition that was taken over is noticed."""
MARK_SECONDS: Final = 15.0
SILENCE_SECONDS: Final = 10.0
"""So long a feed that had entries may be silent before it is taken for empty."""
_ANNOUNCED_AT_ONCE: Final = 500
_PROBES_AT_ONCE: Final = 8

log = structlog.get_logger()


class HasPartitions(Protocol):
    """A session, as far as the prover needs it."""

    partitions: dict[int, Partition]
    count: int


class Prover:
    """Proves the partitions of one session with the broker.

    Args:
        connection: Nothing is published on it.
        announcer: Announces what is missing.
        store: What is on record about the feed.
        session: Consumes the partitions; which of them are its own changes.
        intake: Is told of what is proven.
        gaps: Is told of what the log lacks.
        stamps: The clock.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        announcer: Announcer,
        store: FeedStore,
        session: HasPartitions,
        intake: Intake,
        gaps: Gaps,
        stamps: Stamps,
    ) -> None:
        self._connection = connection
        self._announcer = announcer
        self._store = store
        self._partitions = session.partitions
        self._intake = intake
        self._gaps = gaps
        self._clock = stamps.clock
        self._count = session.count
        self._marks: dict[int, list[Mark]] = {}
        self._oldest: dict[int, datetime] = {}
        self._oldest_before: dict[int, datetime] = {}
        self._owner = new_id()
        self._lock = asyncio.Lock()
        self._whole = asyncio.Event()
        self._whole.set()

    async def run(self) -> None:
        """Prove what is taken over, and make marks, until cancelled.

        Raises:
            BrokerUnavailable: The connection was lost, or the feed cannot be read: begin anew.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        attempt = 0
        while True:
            try:
                unproven = {
                    number: one for number, one in self._partitions.items() if one.active and not one.proven
                }
                if unproven:
                    await self._prove(unproven)
                if loop.time() >= due:
                    await self._look()
                    due = loop.time() + MARK_SECONDS
                attempt, self._gaps.trouble = 0, ""
            except Unavailable as exc:
                attempt += 1
                self._gaps.trouble = exc.detail
                log.warning("feed not proven", reason=exc.detail)
                await asyncio.sleep(backoff(attempt))
            await asyncio.sleep(LOOK_SECONDS)

    async def admit(self, events: Sequence[RecordedEvent]) -> None:
        """Return when events may be announced: nothing older is missing before them, and a proof from the
        newest marks on would look at them.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        await self._whole.wait()
        await self._lower(events)

    async def _lower(self, events: Sequence[RecordedEvent]) -> None:
        """Let a proof from the newest marks on look at events that are to be announced."""
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

    async def _prove(self, partitions: dict[int, Partition]) -> None:
        """Hold feed and log against each other from the newest mark on, and mend the feed."""
        began = self._clock()
        known = await self._store.take_over(partitions, self._owner)
        start, floor = await beginning(self._connection, known, began)
        # A feed that had entries is not taken for empty as soon as one that never had.
        had = any(mark.offset >= 0 for marks in known.values() for mark in marks)
        patience = SILENCE_SECONDS if had else PROBE_SECONDS
        again, partial = 0, True
        while partial:
            difference = await compare(
                self._connection,
                start,
                self._store.logged,
                floor,
                partitions.keys(),
                self._count,
                patience=patience,
            )
            await self._note_gaps(difference.unknown, began)
            announced = await self._announce_again(difference.missing)
            again, partial = again + announced, difference.partial and announced > 0
        entries = await self._last_entries() if again else difference.newest
        if again and not entries:
            raise BrokerUnavailable("RabbitMQ: the stream delivers nothing")
        # Without an event to name, the next proof begins where this one did.
        event = _newest_event(entries)
        await self._mark(list(partitions), event, began, known, floor if entries and not event else began)
        for partition in partitions.values():
            self._intake.prove(partition)
        self._whole.set()
        metrics.FEED_PROVEN_AT.set_to_current_time()
        words = {"partitions": sorted(partitions), "entries": difference.entries, "events": difference.events}
        if again:
            log.warning("announced again what the feed lacked", count=again, **words)
        else:
            log.info("the feed holds the log", **words)

    async def _note_gaps(self, unknown: Sequence[Place], now: datetime) -> None:
        lacking = await self._store.lacking(unknown)
        if lacking:
            await self._store.record_gaps(lacking, now)
        self._gaps.set(await self._store.close_gaps(now))

    async def _announce_again(self, missing: Sequence[Place]) -> int:
        """Announce what the feed lacks, each person's in order.

        What is not projected yet is left out: its command is not acknowledged, and announces it itself.
        """
        announced = 0
        for begin in range(0, len(missing), _ANNOUNCED_AT_ONCE):
            some = missing[begin : begin + _ANNOUNCED_AT_ONCE]
            versions = await self._store.projected({place.person_id for place in some})
            ready = [place for place in some if place.version <= versions.get(place.person_id, 0)]
            events = await self._store.events(ready)
            frames = []
            for event in events:
                try:
                    frames.append(self._announcer.encode(event))
                except Exception as exc:
                    if not concerns_one(exc):
                        raise
                    log.error("not announced", event_id=event.event_id, reason=reason_of(exc).detail)
            await self._lower(events)
            await self._announcer.announce(frames)
            announced += len(frames)
        metrics.FEED_ANNOUNCED_AGAIN.inc(announced)
        return announced

    async def _last_entries(self) -> list[Entry]:
        """Return some of the newest entries; none if there are none."""
        return await probe(self._connection, "last", queue=EVENT_LOG, seconds=SILENCE_SECONDS)

    async def _mark(
        self,
        numbers: Sequence[int],
        entry: Entry | None,
        now: datetime,
        known: dict[int, list[Mark]],
        highest: datetime,
    ) -> None:
        """Put a mark at an entry, or at the beginning, on record, as the newest of some partitions."""
        async with self._lock:
            fresh = {}
            for number in numbers:
                # What was announced just before may come after this entry, so the last time's counts, too.
                oldest = self._oldest.pop(number, now)
                floor = min(highest, oldest, self._oldest_before.get(number, now))
                self._oldest_before[number] = oldest
                offset, event_id = (-1, "") if entry is None else (entry.offset, entry.event_id)
                mark = Mark(offset, event_id, floor, now)
                fresh[number] = thinned([mark, *known.get(number, [])], now)
            await self._store.keep(fresh, self._owner)
            self._marks.update(fresh)

    async def _look(self) -> None:
        """See that the newest mark is still there, and make another one if something was announced since."""
        proven = [number for number, one in self._partitions.items() if one.proven]
        if not proven:
            return
        now = self._clock()
        self._gaps.set(await self._store.close_gaps(now))
        due = [n for n in proven if n in self._oldest or self._marks[n][0].floor > now]
        entries = await self._last_entries() if due else []
        newest = max((self._marks[number][0] for number in proven), key=_made)
        if (due and not entries) or not await is_there(self._connection, newest):
            log.error("the feed has lost entries", offset=newest.offset)
            self._whole.clear()
            for number in proven:
                self._intake.doubt(self._partitions[number])
        elif entry := _newest_event(entries):
            await self._mark(due, entry, now, self._marks, now)


def _made(mark: Mark) -> datetime:
    return mark.made_at


def _newest_event(entries: Sequence[Entry]) -> Entry | None:
    return next((entry for entry in reversed(entries) if entry.event_id), None)
