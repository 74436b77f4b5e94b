"""Owns reading the end of the stream once for the process: fills the feed, keeps the positions' time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable
from query_api.feed import Feed
from query_api.positions import EVENTUAL_SECONDS, SKEW_SECONDS, Positions
from service_kit.broker import keep_connected
from service_kit.stream import probe, reading, truncated_before
from service_kit.topology import EVENT_LOG

CREDIT: Final = 1000
PAUSE_SECONDS: Final = 0.02
"""Clients are woken so often at most: at 500 events/s that is one write for ten events."""
READY_SECONDS: Final = 4.0

log = structlog.get_logger()


class Tail:
    """One connection and one consumer; goes on where it was when they were lost.

    Args:
        url: AMQP URL.
        feed: Gets everything.
        positions: Is told how far the stream has come.
        queue: The stream's name.
    """

    def __init__(self, url: str, feed: Feed, positions: Positions, queue: str = EVENT_LOG) -> None:
        self._url = url
        self._feed = feed
        self._positions = positions
        self._queue = queue
        self._connection: AbstractConnection | None = None
        self._ready = asyncio.Event()
        self._goal = -1

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

    async def _use(self, connection: AbstractConnection) -> None:
        self._connection = connection
        seeding: asyncio.Task[None] | None = None
        try:
            if self._feed.next is None and not await self._begin(connection):
                seeding = asyncio.create_task(self._seed(connection))
            start = self._feed.next
            assert start is not None  # noqa: S101 - it was begun
            async with reading(connection, start, credit=CREDIT, queue=self._queue) as reader:
                while True:
                    if (self._feed.next or 0) > self._goal:
                        self._ready.set()
                    entries = await reader.take()
                    expected = self._feed.next
                    if expected is not None and entries[0].offset != expected:
                        await self._reconcile(connection, expected, entries[0].offset)
                    self._feed.add(entries)
                    self._positions.reached(entries[-1].offset)
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._ready.clear()
            self._connection = None
            if seeding is not None:
                seeding.cancel()
                await asyncio.gather(seeding, return_exceptions=True)

    async def _begin(self, connection: AbstractConnection) -> bool:
        """Begin some minutes ago: all before that is in every copy, and clients of a process that has
        just ended find in memory what they missed. Return whether there was anything since then.
        """
        newest, recent = await asyncio.gather(
            probe(connection, "last", queue=self._queue), probe(connection, _long_ago(), queue=self._queue)
        )
        # Without either, begin with the first, which is always right.
        self._goal = newest[-1].offset if newest else -1
        self._feed.start((recent or newest)[0].offset if recent or newest else 0)
        if recent:
            self._positions.start_after(recent[0].offset - 1)
        return bool(recent)

    async def _reconcile(self, connection: AbstractConnection, expected: int, delivered: int) -> None:
        """Go on over numbers that were left out; begin anew if events are missing or the stream is new."""
        if delivered < expected or await truncated_before(connection, delivered, queue=self._queue):
            log.warning("stream broken off", expected=expected, delivered=delivered)
            self._feed.reset()
            self._positions.forget()

    async def _seed(self, connection: AbstractConnection) -> None:
        """Learn that when the first entry since some minutes ago comes, if none was there."""
        try:
            async with reading(connection, _long_ago(), credit=1, queue=self._queue) as reader:
                entries = await reader.take()
                self._positions.start_after(entries[0].offset - 1)
        except BrokerUnavailable as exc:
            log.debug("positions not seeded", reason=exc.detail)


def _long_ago() -> datetime:
    """Return the time from which on an entry may be missing in some copy."""
    return datetime.now(UTC) - timedelta(seconds=EVENTUAL_SECONDS + SKEW_SECONDS)
