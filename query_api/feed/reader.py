"""Reads the end of the stream once for the process: fills the feed, keeps the positions' time."""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

import structlog
from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable
from events.feed.position import Position
from events.times import rfc3339
from query_api.feed.buffer import FeedBuffer
from query_api.feed.opening import ERASED_TYPE, open_when_possible
from query_api.feed.positions import EVENTUAL_SECONDS, SKEW_SECONDS, Positions
from query_api.reading.opening import Keys
from service_kit.broker.connection import keep_connected
from service_kit.broker.stream import (
    FeedEntry,
    StreamConsumer,
    holds,
    newest,
    newest_if_any,
    position_before,
    probe,
    reading,
    truncated_before,
)
from service_kit.broker.topology import EVENT_LOG
from service_kit.slots import AtOnce, Slots
from service_kit.tasks import together

CREDIT: Final = 1000
PAUSE_SECONDS: Final = 0.02
"""Clients are woken so often at most: at 500 events/s that is one write for ten events."""
READY_SECONDS: Final = 4.0
START_SECONDS: Final = 10.0
"""How long a process that has just started waits for the stream before it is ready without."""
LOOKING: Final = AtOnce(32, 4)
"""Clients for whom the end of the stream is looked up at once: each costs a channel."""
PROOF_SECONDS: Final = 10.0
"""How long the stream may take to show what was read last; beyond its end the broker waits in silence."""
WATCH_SECONDS: Final = 20.0
"""How often it is asked for that while the connection lasts."""
FRESH: Final = timedelta(seconds=SKEW_SECONDS)
"""What was applied longer ago may be a repeat of an event whose successors are not in memory any more."""

log = structlog.get_logger()


def _note_nothing(person_ids: Iterable[str]) -> None:
    """Remember nobody."""


class FeedReader:
    """One connection and one consumer; goes on where it was when they were lost, if that is still there.

    RabbitMQ does not sync its streams to disk: a power cut leaves a shorter stream, which then grows over
    the same offsets with other events.

    Args:
        url: AMQP URL.
        feed: Gets everything.
        positions: Is told how far the stream has come.
        keys: Has what the events open with.
        queue: The stream's name.
        clock: Seconds that do not jump.
        note_erased: Is told who was erased, before their last events come to the feed.
    """

    def __init__(
        self,
        url: str,
        feed: FeedBuffer,
        positions: Positions,
        keys: Keys,
        queue: str = EVENT_LOG,
        clock: Callable[[], float] = time.monotonic,
        note_erased: Callable[[Iterable[str]], None] = _note_nothing,
    ) -> None:
        self._url = url
        self._note_erased = note_erased
        self._feed = feed
        self._positions = positions
        self._keys = keys
        self._queue = queue
        self._connection: AbstractConnection | None = None
        self._ready = asyncio.Event()
        self._goal = -1
        self._looking = Slots.shared(LOOKING, "clients look for the end of the stream of events", 2)
        self._clock = clock
        self._awaited_until = clock() + START_SECONDS

    async def run(self) -> None:
        """Read until cancelled."""
        await keep_connected(self._url, "query-api stream", self._use)

    async def check(self) -> None:
        """Return if the stream is read.

        Raises:
            BrokerUnavailable: It is not.
        """
        if not self._ready.is_set():
            raise BrokerUnavailable("RabbitMQ: the stream of events is not read")

    async def check_start(self) -> None:
        """Return if the stream was read once, or has not come for `START_SECONDS`: reads need it not.

        Raises:
            BrokerUnavailable: It may still come.
        """
        if self._clock() < self._awaited_until:
            await self.check()

    async def connection(self) -> AbstractConnection:
        """Return the open connection, once the end of the stream is known.

        Raises:
            BrokerUnavailable: Not within `READY_SECONDS`.
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise BrokerUnavailable("RabbitMQ: the stream of events is not read") from None
        if self._connection is None:
            raise BrokerUnavailable("RabbitMQ is not connected")
        return self._connection

    async def ends_before(self, offset: int, subject: str) -> bool:
        """Return whether the stream shows now that it ends before an offset; it does not if it shows nothing.

        Args:
            offset: The offset.
            subject: For whom.

        Raises:
            BrokerUnavailable: It cannot be looked at.
            Busy: Too many look already.
        """
        with self._looking.taken(subject):
            shown = await newest(await self.connection(), queue=self._queue)
        return bool(shown) and shown[-1].offset < offset

    async def _use(self, connection: AbstractConnection) -> None:
        self._connection = connection
        try:
            works = [self._seed] if self._feed.next is None and not await self._begin(connection) else []
            await together(*(work(connection) for work in (self._read, self._watch, *works)))
        finally:
            self._ready.clear()
            self._connection = None

    async def _read(self, connection: AbstractConnection) -> NoReturn:
        known = self._feed.newest
        start = self._feed.next if known is None else known.offset
        assert start is not None  # noqa: S101 - it was begun
        async with reading(connection, start, credit=CREDIT, queue=self._queue) as reader:
            entries = [] if known is None else await self._proven(reader, known)
            while True:
                if entries:
                    await self._take(connection, entries)
                if (self._feed.next or 0) > self._goal:
                    self._ready.set()
                    self._awaited_until = self._clock()
                entries = await reader.take()

    async def _take(self, connection: AbstractConnection, entries: list[FeedEntry]) -> None:
        expected, delivered = self._feed.next, entries[0].offset
        if expected is not None and delivered != expected:
            await self._reconcile(connection, expected, delivered)
        self._note_erased(one.person_id for one in entries if one.type == ERASED_TYPE)
        entries = await open_when_possible(entries, self._keys)
        self._feed.add(entries, rfc3339(datetime.now(UTC) - FRESH))
        self._positions.reached(entries[-1].position)
        await asyncio.sleep(PAUSE_SECONDS)

    async def _reconcile(self, connection: AbstractConnection, expected: int, delivered: int) -> None:
        """Go on over numbers that were left out; not if events are missing or the stream is new."""
        if delivered < expected or await truncated_before(connection, delivered, queue=self._queue):
            self._break_off(expected, delivered)

    async def _proven(self, reader: StreamConsumer, newest: Position) -> list[FeedEntry]:
        """Return what comes after the newest event that was read, once the stream has shown that one again.

        Raises:
            BrokerUnavailable: It does not, so all that was read is forgotten.
        """
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                entries = await reader.take()
        except TimeoutError:
            entries = []
        if not entries or entries[0].position != newest:
            self._break_off(newest.offset, entries[0].offset if entries else None)
        return entries[1:]

    def _break_off(self, expected: int, delivered: int | None) -> NoReturn:
        """Forget what was read, which sends every client away; a new connection begins anew."""
        log.warning("stream broken off", expected=expected, delivered=delivered)
        self._feed.reset()
        self._positions.forget()
        raise BrokerUnavailable("RabbitMQ: the stream is not the one that was read before")

    async def _watch(self, connection: AbstractConnection) -> None:
        """End a connection under which the stream was cut: the next one finds out what is there."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                known = self._feed.newest
                if known is None or await holds(connection, known, queue=self._queue, seconds=PROOF_SECONDS):
                    continue
                log.warning("stream without its newest event", offset=known.offset)
                await connection.close()
            except BrokerUnavailable as exc:
                log.debug("stream not looked at", reason=exc.detail)

    async def _begin(self, connection: AbstractConnection) -> bool:
        """Begin some minutes ago: all before that is in every copy, and clients of a process that has
        just ended find in memory what they missed. Return whether there was anything since then.

        Raises:
            BrokerUnavailable: The stream has entries and does not show its end, which is not where it begins.
        """
        end = await newest_if_any(connection, queue=self._queue)
        recent = await probe(connection, _long_ago(), queue=self._queue) if end else []
        # Without either, begin with the first, which is always right.
        self._goal = end[-1].offset if end else -1
        self._feed.start((recent or end)[0].offset if end else 0)
        if recent:
            await self._start_before(connection, recent[0].offset)
        return bool(recent)

    async def _start_before(self, connection: AbstractConnection, offset: int) -> None:
        self._positions.start_after(await position_before(connection, offset, queue=self._queue))

    async def _seed(self, connection: AbstractConnection) -> None:
        """Learn that when the first entry since some minutes ago comes, if none was there."""
        try:
            async with reading(connection, _long_ago(), credit=1, queue=self._queue) as reader:
                entries = await reader.take()
                await self._start_before(connection, entries[0].offset)
        except BrokerUnavailable as exc:
            log.debug("positions not seeded", reason=exc.detail)


def _long_ago() -> datetime:
    """Return the time from which on an entry may be missing in some copy."""
    return datetime.now(UTC) - timedelta(seconds=EVENTUAL_SECONDS + SKEW_SECONDS)
