"""Owns the proof that the feed holds what the log holds: what the broker forgot is announced again.

Nothing of a partition is decided before the worker that takes it over has held the feed against the log from
the newest mark on. While it works, it makes new marks, and looks whether the newest one is still there.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import structlog
from aio_pika.abc import AbstractConnection

from events.errors import Unavailable
from events.facts import RecordedEvent
from events.position import Position
from service_kit.broker import backoff
from service_kit.feed_comparison import Place, compare, reach
from service_kit.ids import new_id
from service_kit.stream import PROBE_SECONDS, Entry, Start, holds, probe
from service_kit.topology import EVENT_LOG, partition_of
from workers import metrics
from workers.announcer import Announcer
from workers.faults import concerns_one, reason_of
from workers.feed_store import FeedStore, Gaps
from workers.intake import Intake, Partition
from workers.lines import Stamps
from workers.marks import Mark, floor_from, lowered, thinned

LOOK_SECONDS: Final = 0.25
"""How soon a partition that was taken over is noticed."""
MARK_SECONDS: Final = 15.0
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
                attempt = 0
            except Unavailable as exc:
                attempt += 1
                log.warning("feed not proven", reason=exc.detail)
                await asyncio.sleep(backoff(attempt))
            await asyncio.sleep(LOOK_SECONDS)

    async def admit(self, events: Sequence[RecordedEvent]) -> None:
        """Return when events may be announced: a proof from the newest marks on would look at them.

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

    async def _prove(self, partitions: dict[int, Partition]) -> None:
        """Hold feed and log against each other from the newest mark on, and mend the feed."""
        began = self._clock()
        known = await self._store.take_over(partitions, self._owner)
        start, floor = await self._start(known, began)
        again, partial = 0, True
        while partial:
            difference = await compare(
                self._connection, start, self._store.logged, floor, partitions.keys(), self._count
            )
            partial = difference.partial
            await self._note_gaps(difference.unknown, began)
            again += await self._announce_again(difference.missing)
        last = await self._last_entry() if again else difference.last
        await self._mark(list(partitions), last, began, known)
        for partition in partitions.values():
            if not partition.leaving:
                self._intake.prove(partition)
        metrics.FEED_PROVEN_AT.set_to_current_time()
        words = {"partitions": sorted(partitions), "entries": difference.entries, "events": difference.events}
        if again:
            log.warning("announced again what the feed lacked", count=again, **words)
        else:
            log.info("the feed holds the log", **words)

    async def _start(self, known: Mapping[int, Sequence[Mark]], now: datetime) -> tuple[Start, datetime]:
        """Return where in the feed to begin, and with which applied time in the log."""
        held = await self._held({mark for marks in known.values() for mark in marks})
        offsets, floors = [], []
        for marks in known.values():
            newest = next((mark for mark in marks if mark in held), None)
            if newest is None:
                return "first", await reach(self._connection, now)
            floors.append(floor_from(marks, newest))
            offsets.append(self._begin(marks, newest, floors[-1]))
        return "first" if min(offsets) < 0 else min(offsets), min(floors)

    async def _held(self, marks: Collection[Mark]) -> set[Mark]:
        """Return the marks whose entries are still there; the partitions share many of them."""
        places = {(mark.offset, mark.event_id): mark for mark in marks}
        gate = asyncio.Semaphore(_PROBES_AT_ONCE)

        async def held(mark: Mark) -> bool:
            async with gate:
                return await self._holds(mark)

        answers = await asyncio.gather(*map(held, places.values()))
        there = {place for place, answer in zip(places, answers, strict=True) if answer}
        return {mark for mark in marks if (mark.offset, mark.event_id) in there}

    async def _holds(self, mark: Mark) -> bool:
        """Return whether the feed still has at a mark's offset the event that was there."""
        if mark.offset < 0:
            return True  # what is in the feed now came after it
        return await holds(self._connection, Position(mark.offset, mark.event_id), seconds=PROBE_SECONDS)

    @staticmethod
    def _begin(marks: Sequence[Mark], held: Mark, floor: datetime) -> int:
        """Return where to begin reading: some time before the mark, since its floor lies before it, too."""
        for mark in marks[marks.index(held) :]:
            if mark.made_at <= floor:
                return mark.offset
        return marks[-1].offset

    async def _note_gaps(self, unknown: Sequence[Place], now: datetime) -> None:
        lacking = await self._store.lacking(unknown)
        if lacking:
            await self._store.record_gaps(lacking, now)
        self._gaps.set(await self._store.gaps())

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
            await self.admit(events)
            await self._announcer.announce(frames)
            announced += len(frames)
        metrics.FEED_ANNOUNCED_AGAIN.inc(announced)
        return announced

    async def _last_entry(self) -> Entry | None:
        """Return one of the newest entries that is an event of ours; None if there is none."""
        entries = await probe(self._connection, "last", queue=EVENT_LOG)
        return next((entry for entry in reversed(entries) if entry.event_id), None)

    async def _mark(
        self, numbers: Sequence[int], entry: Entry | None, now: datetime, known: dict[int, list[Mark]]
    ) -> None:
        """Put a mark at an entry on record, as the newest of some partitions."""
        async with self._lock:
            fresh = {}
            for number in numbers:
                # What was announced just before may come after this entry, so the last time's counts, too.
                oldest = self._oldest.pop(number, now)
                floor = min(now, oldest, self._oldest_before.get(number, now))
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
        self._gaps.set(await self._store.gaps())
        now = self._clock()
        due = [n for n in proven if n in self._oldest or self._marks[n][0].floor > now]
        entry = await self._last_entry() if due else None
        newest = max((self._marks[number][0] for number in proven), key=_made)
        if (due and entry is None) or not await self._holds(newest):
            log.error("the feed has lost entries", offset=newest.offset)
            for number in proven:
                self._partitions[number].proven = False
        elif entry is not None:
            await self._mark(due, entry, now, self._marks)


def _made(mark: Mark) -> datetime:
    return mark.made_at
