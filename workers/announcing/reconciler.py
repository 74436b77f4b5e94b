"""Compares the feed with the log, and announces again what the broker forgot.

Nothing of a partition is decided before the worker that takes it over has compared the feed with the log from
the newest mark on. While it works, it makes new marks, and looks whether the newest one is still there.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog
from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable, StoreUnavailable, Unavailable
from events.log.event import RecordedEvent
from service_kit.broker.feed_comparison import Difference, EventReference, compare
from service_kit.broker.stream import PROBE_SECONDS, SILENCE_SECONDS, FeedEntry, newest_if_any
from service_kit.retries import backoff
from workers import metrics
from workers.announcing.announcer import Announcer
from workers.announcing.feed_store import FeedStore, KnownGaps
from workers.announcing.mark_search import beginning, beginnings, is_there
from workers.announcing.marks import PartitionMarks
from workers.consuming.deliveries import DeliveryQueue, Partition
from workers.consuming.partitions import PartitionConsumers
from workers.outcomes import concerns_one, reason_of

LOOK_SECONDS: Final = 0.25
"""How soon a partition that was taken over is noticed."""
MARK_SECONDS: Final = 15.0
LATE_SECONDS: Final = 10.0
"""A reconciliation that takes longer is told of, since commands wait for it."""
_ANNOUNCED_AT_ONCE: Final = 500

log = structlog.get_logger()


class FeedReconciler:
    """Reconciles the partitions that one connection to the broker consumes.

    Args:
        connection: Nothing is published on it.
        announcer: Announces what is missing.
        store: What is on record about the feed.
        marks: Those of the partitions.
        consumers: Consume the partitions; which of them are this worker's changes.
        deliveries: Are told of what is reconciled.
        gaps: Are told of what the log lacks.
        clock: Tells the time, UTC.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        announcer: Announcer,
        store: FeedStore,
        marks: PartitionMarks,
        consumers: PartitionConsumers,
        deliveries: DeliveryQueue,
        gaps: KnownGaps,
        clock: Callable[[], datetime],
    ) -> None:
        self._connection = connection
        self._announcer = announcer
        self._store = store
        self._partitions = consumers.partitions
        self._deliveries = deliveries
        self._gaps = gaps
        self._clock = clock
        self._count = consumers.count
        self._marks = marks
        self._whole = asyncio.Event()
        self._whole.set()

    async def keep_reconciled(self) -> None:
        """Reconcile what is taken over, and make marks, until cancelled.

        Raises:
            BrokerUnavailable: The connection was lost, or the feed cannot be read: begin anew.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        attempt = 0
        while True:
            try:
                unreconciled = {
                    number: one
                    for number, one in self._partitions.items()
                    if one.active and not one.reconciled
                }
                if unreconciled:
                    late = loop.call_later(LATE_SECONDS, self._tell, "it is being compared with the log")
                    try:
                        await self._reconcile_taken_over(unreconciled)
                    finally:
                        late.cancel()
                if loop.time() >= due:
                    await self._keep_marks()
                    due = loop.time() + MARK_SECONDS
                attempt = 0
                self._gaps.trouble_is("")
            except Unavailable as exc:
                attempt += 1
                self._tell(exc.detail)
                await asyncio.sleep(backoff(attempt))
            await asyncio.sleep(LOOK_SECONDS)

    def _tell(self, reason: str) -> None:
        self._gaps.trouble_is(reason)
        log.warning("feed not reconciled", reason=reason)

    async def wait_until_reconciled(self, events: Sequence[RecordedEvent]) -> None:
        """Return when events may be announced: the feed lacks nothing older, and a reconciliation from the
        newest marks on would look at them, should the broker lose them.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        await self._whole.wait()
        await self._marks.lower_marks(events)

    async def _reconcile_taken_over(self, partitions: dict[int, Partition]) -> None:
        """Compare feed and log from the newest mark on, and announce again what the feed lacks."""
        # The time before it begins: the next reconciliation looks again at what is announced meanwhile.
        began = self._clock()
        marks_by_partition = await self._marks.take_marks(partitions)
        # A feed that once had entries is given longer to show them before it is taken for empty.
        had = any(mark.offset >= 0 for marks in marks_by_partition.values() for mark in marks)
        end = await self._end(SILENCE_SECONDS if had else PROBE_SECONDS)
        requests = await self._store.asked(partitions)
        since = await beginnings(
            self._connection, self._store, marks_by_partition, requests.values(), end, began
        )
        start, lower_bound = await beginning(self._connection, since, end, began)
        again, partial = 0, True
        while partial:
            difference = await compare(
                self._connection, start, end, self._store.logged, lower_bound, partitions.keys(), self._count
            )
            await self._compare_gaps(difference.unknown, began)
            announced = await self._announce_again(difference.missing)
            again, partial = again + announced, difference.partial
            if partial and not announced:
                raise StoreUnavailable("the read model lacks too much of the log: run `rollcall rebuild`")
            if announced and not (end := await self._end(SILENCE_SECONDS)):
                raise BrokerUnavailable("RabbitMQ: the stream shows nothing of what it confirmed")
        # Without an event to name, the next reconciliation begins where this one did.
        event = _newest_event(end)
        await self._marks.add_mark(
            list(partitions), event, began, lower_bound if end and not event else began
        )
        # The mark first: a worker that ends between the two is asked for the reconciliation once more.
        await self._store.answer(requests)
        self._note_reconciled(partitions, difference, again)

    def _note_reconciled(
        self, partitions: Mapping[int, Partition], difference: Difference, again: int
    ) -> None:
        for partition in partitions.values():
            self._deliveries.mark_reconciled(partition)
        self._whole.set()
        metrics.FEED_RECONCILED_AT.set_to_current_time()
        words = {"partitions": sorted(partitions), "entries": difference.entries, "events": difference.events}
        if again:
            log.warning("announced again what the feed lacked", count=again, **words)
        else:
            log.info("the feed holds the log", **words)

    async def _compare_gaps(self, unknown: Sequence[EventReference], now: datetime) -> None:
        lacking = await self._store.lacking(unknown)
        if lacking:
            await self._store.record_gaps(lacking, now)
        self._gaps.note_gaps(await self._store.close_gaps(now))

    async def _announce_again(self, missing: Sequence[EventReference]) -> int:
        """Announce what the feed lacks, each person's in order.

        What is not projected yet is left out: its command is not acknowledged, and announces it itself.
        """
        announced = 0
        for begin in range(0, len(missing), _ANNOUNCED_AT_ONCE):
            some = missing[begin : begin + _ANNOUNCED_AT_ONCE]
            versions = await self._store.projected({place.person_id for place in some})
            early = {place for place in some if place.version > versions.get(place.person_id, 0)}
            self._marks.look_again_at(early)
            events = await self._store.events([place for place in some if place not in early])
            frames = []
            for event in events:
                try:
                    frames.append(self._announcer.encode_announcement(event))
                except Exception as exc:
                    if not concerns_one(exc):
                        raise
                    log.error("not announced", event_id=event.event_id, reason=reason_of(exc).detail)
            await self._marks.lower_marks(events)
            await self._announcer.announce(frames)
            announced += len(frames)
        metrics.FEED_ANNOUNCED_AGAIN.inc(announced)
        return announced

    async def _end(self, seconds: float) -> list[FeedEntry]:
        return await newest_if_any(self._connection, seconds=seconds)

    async def _keep_marks(self) -> None:
        """See that the newest mark is still there, and make another one if something was announced since."""
        reconciled = [number for number, one in self._partitions.items() if one.reconciled]
        if not reconciled:
            return
        now = self._clock()
        self._gaps.note_gaps(await self._store.close_gaps(now))
        due, newest = self._marks.due_partitions(reconciled, now), self._marks.newest_mark(reconciled)
        entries = await self._end(SILENCE_SECONDS) if due or newest.offset >= 0 else []
        if (due and not entries) or not await is_there(self._connection, newest, entries):
            log.error("the feed has lost entries", offset=newest.offset)
            self._distrust(reconciled)
        elif requests := await self._store.asked(reconciled):
            self._distrust(requests)
        elif entry := _newest_event(entries):
            await self._marks.add_mark(due, entry, now, now)

    def _distrust(self, numbers: Iterable[int]) -> None:
        self._whole.clear()
        for number in numbers:
            self._deliveries.mark_unreconciled(self._partitions[number])


def _newest_event(entries: Sequence[FeedEntry]) -> FeedEntry | None:
    return next((entry for entry in reversed(entries) if entry.event_id), None)
