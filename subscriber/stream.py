"""Follows the stream from a position that the subscriber remembers itself."""

import asyncio
from collections.abc import Collection
from typing import Final, Literal

from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable
from events.feed.errors import PositionGone
from events.feed.position import Position
from service_kit.broker.connection import keep_connected
from service_kit.broker.stream import (
    FeedEntry,
    StreamConsumer,
    holds,
    newest,
    newest_if_any,
    reading,
    truncated_before,
)
from subscriber.dead import DeadLetters
from subscriber.handling import ATTEMPTS, Handler, Handling
from subscriber.opening import EventOpener
from subscriber.saved_position import SavedPosition

CREDIT: Final = 200
PROOF_SECONDS: Final = 10.0
"""How long the stream may take to show the saved event again."""


async def follow(
    url: str,
    name: str,
    handle: Handler,
    saved: SavedPosition,
    *,
    start: int | str = "first",
    types: Collection[str] = (),
    attempts: int = ATTEMPTS,
    opener: EventOpener | None = None,
) -> None:
    """Handle each event of the stream after the saved position, in order, until cancelled.

    Args:
        url: AMQP URL.
        name: The subscriber's; what it gives up on goes to the queue `events.<name>.dead`.
        handle: Gets each event; see `Handler`.
        saved: How far it has come. Saved after each batch, so a crash repeats some events.
        start: Where to begin if there is no saved position: the position of an event that was handled
            (`1234-0199b1f0-…`, as the live feed and snapshots name it), an offset, which is handled itself,
            or an end of the stream: `first`; `next`, after its end as the first connection finds it, which
            is saved then.
        types: Only these events; all, if empty.
        attempts: How often an event is tried before it is given up.
        opener: Opens what is sealed; without one, events have what is in the clear.

    Raises:
        PositionGone: The stream does not have the saved event at its place, or has dropped what comes
            after it. The message says where the log has it; `start="first"` with nothing saved gives all
            that the stream still has, most of it again.
        ValueError: The saved position or `start` is no position.
    """
    handling = Handling(handle, attempts, opener)

    async def use(connection: AbstractConnection) -> None:
        letters = await DeadLetters.open(connection, name)
        if start == "next" and saved.load() is None:
            # Kept before there is anything to handle: whoever is cut off until then goes on from here.
            end = await newest_if_any(connection)
            saved.save(str(end[-1].position if end else Position(-1)))
        done, begin = place(saved.load(), start)
        async with reading(connection, begin, credit=CREDIT) as reader:
            entries = await _first(connection, reader, done)
            while True:
                if entries:
                    await _handle(entries, handling, letters, types)
                    done = entries[-1].position
                    saved.save(str(done))
                entries = await reader.take()
                if done is not None and entries[0].offset <= done.offset:
                    raise BrokerUnavailable("RabbitMQ: the stream was cut")  # the next connection sees how

    await keep_connected(url, f"subscriber {name}", use)


def place(kept: str | None, start: int | str) -> tuple[Position | None, int | Literal["first"]]:
    """Return the position of the last event that was handled, if there is one, and where to begin.

    Raises:
        ValueError: It is no position.
    """
    if kept is None:
        if isinstance(start, int):
            return None, start
        if start == "first":
            return None, "first"
    done = Position.parse(str(start) if kept is None else kept)
    return done, done.offset if done.event_id else done.offset + 1


async def _first(
    connection: AbstractConnection, reader: StreamConsumer, done: Position | None
) -> list[FeedEntry]:
    """Return the first entries after a position; none yet if only its own event came.

    Raises:
        BrokerUnavailable: The stream is empty, as one is that was just made anew.
        PositionGone: The stream does not go on where the position is.
    """
    if done is not None and done.event_id:
        return await _after_named(connection, reader, done)
    entries = await reader.take()
    if done is not None:
        wanted, delivered = done.offset + 1, entries[0].offset
        if delivered < wanted or (delivered > wanted and await truncated_before(connection, delivered)):
            raise PositionGone(f"the stream has nothing between {wanted} and {delivered} any more", done)
    return entries


async def _after_named(
    connection: AbstractConnection, reader: StreamConsumer, done: Position
) -> list[FeedEntry]:
    try:
        async with asyncio.timeout(PROOF_SECONDS):
            entries = await reader.take()
    except TimeoutError:
        # Beyond the stream's end the broker waits, and says nothing; so does one that is busy, or starts.
        end = await newest(connection)
        if not end or end[-1].offset >= done.offset or await holds(connection, done, seconds=PROOF_SECONDS):
            raise BrokerUnavailable("RabbitMQ: the stream delivers nothing") from None
        raise PositionGone(f"the stream ends before event {done.event_id}", done) from None
    if entries[0].position != done:
        raise PositionGone(f"the stream does not have event {done.event_id} at its place any more", done)
    return entries[1:]


async def _handle(
    entries: list[FeedEntry], handling: Handling, letters: DeadLetters, types: Collection[str]
) -> None:
    wanted = [entry for entry in entries if entry.body and (not types or entry.type in types)]
    events = await handling.read([entry.body for entry in wanted])
    for entry, event in zip(wanted, events, strict=True):
        if (reason := await handling.take(event)) is not None:
            await letters.put(entry.body, reason)
