"""Owns the proof that the feed holds what the log holds: what the broker forgot is announced again.

Nothing of a partition is decided before the worker that takes it over has held the feed against the log from
the newest mark on. While it works, it makes new marks, and looks whether the newest one is still there.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import structlog
from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable, StoreUnavailable, Unavailable
from events.facts import RecordedEvent
from service_kit.broker import backoff
from service_kit.feed_comparison import Difference, Place, compare
from service_kit.stream import PROBE_SECONDS, SILENCE_SECONDS, Entry, newest_if_any
from workers import metrics
from workers.announcer import Announcer
from workers.faults import concerns_one, reason_of
from workers.feed_store import FeedStore, Gaps
from workers.intake import Intake, Partition
from workers.lines import Stamps
from workers.mark_book import MarkBook
from workers.mark_search import beginning, beginnings, is_there

LOOK_SECONDS: Final = 0.25
"""How soon a partition that was taken over is noticed."""
MARK_SECONDS: Final = 15.0
LATE_SECONDS: Final = 10.0
"""A proof that takes longer is told of, since commands wait for it."""
_ANNOUNCED_AT_ONCE: Final = 500

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
        self._book = MarkBook(store, session.count)
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
                    late = loop.call_later(LATE_SECONDS, self._tell, "it is being held against the log")
                    try:
                        await self._prove(unproven)
                    finally:
                        late.cancel()
                if loop.time() >= due:
                    await self._look()
                    due = loop.time() + MARK_SECONDS
                attempt, self._gaps.trouble = 0, ""
            except Unavailable as exc:
                attempt += 1
                self._tell(exc.detail)
                await asyncio.sleep(backoff(attempt))
            await asyncio.sleep(LOOK_SECONDS)

    def _tell(self, reason: str) -> None:
        self._gaps.trouble = reason
        log.warning("feed not proven", reason=reason)

    async def admit(self, events: Sequence[RecordedEvent]) -> None:
        """Return when events may be announced: nothing older is missing before them, and a proof from the
        newest marks on would look at them.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        await self._whole.wait()
        await self._book.lower(events)

    async def _prove(self, partitions: dict[int, Partition]) -> None:
        """Hold feed and log against each other from the newest mark on, and mend the feed."""
        began = self._clock()
        known = await self._book.take_over(partitions)
        # A feed that had entries is not taken for empty as soon as one that never had.
        had = any(mark.offset >= 0 for marks in known.values() for mark in marks)
        end = await self._end(SILENCE_SECONDS if had else PROBE_SECONDS)
        asked = await self._store.asked(partitions)
        since = await beginnings(self._connection, self._store, known, asked.values(), end, began)
        start, floor = await beginning(self._connection, since, end, began)
        again, partial = 0, True
        while partial:
            difference = await compare(
                self._connection, start, end, self._store.logged, floor, partitions.keys(), self._count
            )
            await self._note_gaps(difference.unknown, began)
            announced = await self._announce_again(difference.missing)
            again, partial = again + announced, difference.partial
            if partial and not announced:
                raise StoreUnavailable("the read model lacks too much of the log: run `rollcall rebuild`")
            if announced and not (end := await self._end(SILENCE_SECONDS)):
                raise BrokerUnavailable("RabbitMQ: the stream shows nothing of what it confirmed")
        # Without an event to name, the next proof begins where this one did.
        event = _newest_event(end)
        await self._book.mark(list(partitions), event, began, floor if end and not event else began)
        await self._store.answer(asked)
        self._finish(partitions, difference, again)

    def _finish(self, partitions: Mapping[int, Partition], difference: Difference, again: int) -> None:
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
            self._book.leave_out(place for place in some if place.version > versions.get(place.person_id, 0))
            events = await self._store.events(ready)
            frames = []
            for event in events:
                try:
                    frames.append(self._announcer.encode(event))
                except Exception as exc:
                    if not concerns_one(exc):
                        raise
                    log.error("not announced", event_id=event.event_id, reason=reason_of(exc).detail)
            await self._book.lower(events)
            await self._announcer.announce(frames)
            announced += len(frames)
        metrics.FEED_ANNOUNCED_AGAIN.inc(announced)
        return announced

    async def _end(self, seconds: float) -> list[Entry]:
        return await newest_if_any(self._connection, seconds=seconds)

    async def _look(self) -> None:
        """See that the newest mark is still there, and make another one if something was announced since."""
        proven = [number for number, one in self._partitions.items() if one.proven]
        if not proven:
            return
        now = self._clock()
        self._gaps.set(await self._store.close_gaps(now))
        due, newest = self._book.due(proven, now), self._book.newest(proven)
        entries = await self._end(SILENCE_SECONDS) if due or newest.offset >= 0 else []
        if (due and not entries) or not await is_there(self._connection, newest, entries):
            log.error("the feed has lost entries", offset=newest.offset)
            self._doubt(proven)
        elif asked := await self._store.asked(proven):
            self._doubt(asked)
        elif entry := _newest_event(entries):
            await self._book.mark(due, entry, now, now)

    def _doubt(self, numbers: Iterable[int]) -> None:
        self._whole.clear()
        for number in numbers:
            self._intake.doubt(self._partitions[number])


def _newest_event(entries: Sequence[Entry]) -> Entry | None:
    return next((entry for entry in reversed(entries) if entry.event_id), None)
