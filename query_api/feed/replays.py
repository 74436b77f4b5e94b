"""Reads older parts of the feed for single clients, with a consumer for each, on one connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable
from events.feed.errors import PositionGone
from events.feed.position import Position
from query_api.feed.opening import open_entries
from query_api.reading.opening import Keys
from service_kit.broker.connection import keep_connected
from service_kit.broker.stream import FeedEntry, StreamConsumer, reading, truncated_before
from service_kit.broker.topology import EVENT_LOG
from service_kit.slots import AtOnce, Slots

RETRY_SECONDS: Final = 5
CREDIT: Final = 200
"""Events that wait for one client; the broker keeps the rest."""
OPEN_SECONDS: Final = 4.0
FIRST_SECONDS: Final = 5.0
FIRST: Final = Position(-2)
"""No position, but all that the stream still has. -1 is the position before the very first event."""
OTHER: Final = "the stream of events does not have this position's event there any more"
_GONE: Final = "the stream of events does not reach back to this position"


class Replays:
    """Gives clients what is older than the feed.

    Args:
        url: AMQP URL.
        at_once: How many may run at once, in all and of one subject.
        keys: Has what the events open with.
        queue: The stream's name.
    """

    def __init__(self, url: str, at_once: AtOnce, keys: Keys, queue: str = EVENT_LOG) -> None:
        self._keys = keys
        self._url = url
        self._queue = queue
        self._slots = Slots.shared(at_once, "clients read older events", RETRY_SECONDS)
        self._connection: AbstractConnection | None = None
        self._connected = asyncio.Event()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        await keep_connected(self._url, "query-api replays", self._use)

    async def _use(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._connected.set()
        try:
            await asyncio.Future()  # until the connection is lost
        finally:
            self._connected.clear()
            self._connection = None

    @asynccontextmanager
    async def after(
        self, position: Position, subject: str
    ) -> AsyncIterator[tuple[list[FeedEntry], "Replay"]]:
        """Read what comes after a position, for as long as the block runs; give the first entries at once.

        Those are none if a named position's event came alone: it is read too, to see that it is there.

        Args:
            position: Where to begin; `FIRST` for all that there is. Something must come after it.
            subject: For whom.

        Raises:
            PositionGone: The stream has dropped some of it, or has another event there.
            Busy: Too many replays run already.
            BrokerUnavailable: The broker is away.
        """
        with self._slots.taken(subject):
            connection = await self._open()
            start = position.offset if position.event_id else max(position.offset + 1, 0)
            async with reading(connection, start, credit=CREDIT, queue=self._queue) as reader:
                entries = await take(reader)
                delivered = entries[0].offset
                if position.event_id:
                    if entries.pop(0).position != position:
                        raise PositionGone(OTHER, position)
                elif position != FIRST and (
                    delivered < start
                    or (
                        delivered > start and await truncated_before(connection, delivered, queue=self._queue)
                    )
                ):
                    raise PositionGone(_GONE, position)
                yield await open_entries(entries, self._keys), Replay(reader, self._keys)

    async def _open(self) -> AbstractConnection:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._connected.wait()
        except TimeoutError:
            raise BrokerUnavailable("RabbitMQ is not connected") from None
        if self._connection is None:
            raise BrokerUnavailable("RabbitMQ is not connected")
        return self._connection


class Replay:
    """What one client reads of the stream.

    Args:
        reader: Reads it.
        keys: Has what the events open with.
    """

    def __init__(self, reader: StreamConsumer, keys: Keys) -> None:
        self._reader = reader
        self._keys = keys

    async def take(self) -> list[FeedEntry]:
        """Return the next entries, opened.

        Raises:
            BrokerUnavailable: As of `take`.
            StoreUnavailable: A key is not to be had.
        """
        return await open_entries(await take(self._reader), self._keys)


async def take(reader: StreamConsumer) -> list[FeedEntry]:
    """Return the next entries.

    Raises:
        BrokerUnavailable: None came within `FIRST_SECONDS`, or the broker was lost.
    """
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            return await reader.take()
    except TimeoutError:
        raise BrokerUnavailable("RabbitMQ: the stream delivers nothing") from None
