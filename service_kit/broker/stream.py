"""Reads a RabbitMQ stream over AMQP, from an offset, a time or an end, with credit.

https://www.rabbitmq.com/docs/streams#consuming: prefetch and acknowledgements are credit, nothing more.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast

import orjson
import structlog
from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from events.errors import BrokerUnavailable
from events.feed.position import Position, event_id_of
from service_kit.broker.connection import broker_errors
from service_kit.broker.topology import EVENT_LOG

Start = int | datetime | Literal["first", "last", "next"]
"""An offset, a time (to the second), or an end. `last` is the last chunk: some of the newest entries."""
OPEN_SECONDS: Final = 5.0
PROBE_SECONDS: Final = 2.0
SILENCE_SECONDS: Final = 10.0
"""So long a stream may be silent before it is taken for empty: a broker that was just started may be."""
_QUIET_SECONDS: Final = 0.25
"""What is left of a chunk comes at once: after so long, what has come is the end."""
_CHUNK_CREDIT: Final = 1000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """An event in the stream.

    Attributes:
        offset: Its place; grows, but may leave numbers out.
        type: The event's type.
        person_id: The event's subject.
        body: The announcement, as it was published.
        event_id: The event's id; empty if it is none of ours.
        version: The person's version that the event made; 0 if it is none of ours.
        time: When it was applied, as the announcement says it; empty if it says nothing.
    """

    offset: int
    type: str
    person_id: str
    body: bytes
    event_id: str = ""
    version: int = 0
    time: str = ""

    @property
    def position(self) -> Position:
        """The entry's place; of what is none of ours, only the offset."""
        return Position(self.offset, self.event_id)


class StreamConsumer:
    """One consumer of the stream. It holds no more than twice its credit.

    Args:
        channel: Of its own.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._arrived: list[FeedEntry] = []
        self._tag = 0
        self._wake = asyncio.Event()
        self._lost = False

    async def receive(self, message: DeliveredMessage) -> None:
        """Take a delivery."""
        self._arrived.append(_entry(message))
        self._tag = message.delivery_tag or 0
        self._wake.set()

    def lose(self, _closing: object = None) -> None:
        """Note that nothing will come any more."""
        self._lost = True
        self._wake.set()

    async def cancelled(self, _frame: object) -> None:
        """Note that the broker has cancelled the consumer, as when the stream's node is lost."""
        self.lose()

    async def take(self) -> list[FeedEntry]:
        """Wait for entries, and return all that are here; gives the broker credit for as many more.

        Raises:
            BrokerUnavailable: The channel was lost, or the broker cancelled the consumer.
        """
        await self._wake.wait()
        if not self._arrived:
            raise BrokerUnavailable("RabbitMQ: the stream is not delivered any more")
        entries, self._arrived = self._arrived, []
        if not self._lost:
            self._wake.clear()
        with broker_errors("reading the stream"):
            await self._channel.basic_ack(self._tag, multiple=True, wait=False)
        return entries


@asynccontextmanager
async def reading(
    connection: AbstractConnection, start: Start, *, credit: int, queue: str = EVENT_LOG
) -> AsyncIterator[StreamConsumer]:
    """Consume the stream for as long as the block runs.

    Args:
        connection: Open; others may use it too.
        start: Where to begin. An offset that is gone means the first one that is there.
        credit: How many deliveries may be under way.
        queue: The stream's name.

    Raises:
        BrokerUnavailable: It cannot be consumed, or the connection was lost.
    """
    with broker_errors("consuming the stream"):
        async with asyncio.timeout(OPEN_SECONDS):
            owner = await connection.channel(publisher_confirms=False)
    try:
        with broker_errors("consuming the stream"):
            async with asyncio.timeout(OPEN_SECONDS):
                await owner.set_qos(prefetch_count=credit)
                channel = cast(Channel, await owner.get_underlay_channel())
                reader = StreamConsumer(channel)
                channel.closing.add_done_callback(reader.lose)
                channel.on_consumer_cancel_callbacks.add(reader.cancelled)
                await channel.basic_consume(queue, reader.receive, arguments={"x-stream-offset": start})
        yield reader
    finally:
        await _close(owner)


async def _close(owner: Any) -> None:
    try:
        with broker_errors("closing a channel"):
            async with asyncio.timeout(OPEN_SECONDS):
                await owner.close()
    except BrokerUnavailable as exc:
        log.debug("channel not closed", reason=exc.detail)


async def probe(
    connection: AbstractConnection, start: Start, *, queue: str = EVENT_LOG, seconds: float = PROBE_SECONDS
) -> list[FeedEntry]:
    """Return some entries from a place on; none if none come within so many seconds.

    Raises:
        BrokerUnavailable: The stream cannot be consumed.
    """
    async with reading(connection, start, credit=1, queue=queue) as reader:
        try:
            async with asyncio.timeout(seconds):
                return await reader.take()
        except TimeoutError:
            return []


async def newest(connection: AbstractConnection, *, queue: str = EVENT_LOG) -> list[FeedEntry]:
    """Return some of the newest entries, up to the stream's end; none if that says nothing.

    Raises:
        BrokerUnavailable: The stream cannot be consumed.
    """
    entries: list[FeedEntry] = []
    async with reading(connection, "last", credit=_CHUNK_CREDIT, queue=queue) as reader:
        with suppress(TimeoutError):
            async with asyncio.timeout(PROBE_SECONDS):
                entries += await reader.take()
                while True:
                    async with asyncio.timeout(_QUIET_SECONDS):
                        entries += await reader.take()
    return entries


async def newest_if_any(
    connection: AbstractConnection, *, queue: str = EVENT_LOG, seconds: float = SILENCE_SECONDS
) -> list[FeedEntry]:
    """Return what `newest` does; none only if the stream is empty: silent for so many seconds.

    Raises:
        BrokerUnavailable: The stream cannot be consumed, or has entries and does not show its end.
    """
    entries = await newest(connection, queue=queue)
    patience = max(0.0, seconds - PROBE_SECONDS)
    if entries or not await probe(connection, "first", queue=queue, seconds=patience):
        return entries
    # The stream may have got its first entry meanwhile.
    entries = await newest(connection, queue=queue)
    if not entries:
        raise BrokerUnavailable("RabbitMQ: the stream does not show its end")
    return entries


async def holds(
    connection: AbstractConnection, position: Position, *, queue: str = EVENT_LOG, seconds: float
) -> bool:
    """Return whether the stream shows an entry at its place, within so many seconds.

    Raises:
        BrokerUnavailable: The stream cannot be consumed.
    """
    entries = await probe(connection, position.offset, queue=queue, seconds=seconds)
    return bool(entries) and entries[0].position == position


async def position_before(connection: AbstractConnection, offset: int, *, queue: str = EVENT_LOG) -> Position:
    """Return the position of the entry before an offset; unnamed where the stream shows none.

    Raises:
        BrokerUnavailable: The stream cannot be consumed.
    """
    entries = await probe(connection, offset - 1, queue=queue) if offset else []
    here = entries[0].position if entries else None
    return here if here is not None and here.offset == offset - 1 else Position(offset - 1)


async def truncated_before(connection: AbstractConnection, delivered: int, *, queue: str = EVENT_LOG) -> bool:
    """Return whether the entry with this offset is the first that the stream still has.

    Told apart from a number that was merely left out: the broker begins at the first entry when what
    was asked for is gone, and says nothing.

    Raises:
        BrokerUnavailable: The stream cannot be consumed, or does not show its first entry.
    """
    first = await probe(connection, "first", queue=queue)
    if not first:
        raise BrokerUnavailable("RabbitMQ: the stream does not show its first entry")
    return first[0].offset >= delivered


def _entry(message: DeliveredMessage) -> FeedEntry:
    properties = message.header.properties
    offset = cast(int, (properties.headers or {})["x-stream-offset"])
    try:
        content = orjson.loads(message.body)
        type_, person_id, version = str(content["type"]), str(content["subject"]), content.get("version")
        return FeedEntry(
            offset,
            type_,
            person_id,
            message.body,
            event_id_of(content.get("id")),
            version if isinstance(version, int) else 0,
            str(content.get("time", "")),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError):
        # Not an event of ours: it counts as an offset, and is passed on to nobody.
        return FeedEntry(offset, "", "", b"")
