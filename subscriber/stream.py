"""Owns following the stream from a position that the subscriber remembers itself."""

from collections.abc import Collection
from typing import Final, Literal

from aio_pika.abc import AbstractConnection

from events.errors import PositionGone
from service_kit.broker import keep_connected
from service_kit.stream import Entry, reading, truncated_before
from subscriber.checkpoint import FileCheckpoint
from subscriber.dead import DeadLetters
from subscriber.handling import ATTEMPTS, Handler, Handling

CREDIT: Final = 200


async def follow(
    url: str,
    name: str,
    handle: Handler,
    checkpoint: FileCheckpoint,
    *,
    start: int | Literal["first", "next"] = "first",
    types: Collection[str] = (),
    attempts: int = ATTEMPTS,
) -> None:
    """Handle each event of the stream after the checkpoint, in order, until cancelled.

    Args:
        url: AMQP URL.
        name: The subscriber's; what it gives up on goes to the queue `events.<name>.dead`.
        handle: Gets each event; see `Handler`.
        checkpoint: How far it has come. Saved after each batch, so a crash repeats some events.
        start: Where to begin if there is no checkpoint: an offset, or an end of the stream.
        types: Only these events; all, if empty.
        attempts: How often an event is tried before it is given up.

    Raises:
        PositionGone: The stream has dropped what comes after the checkpoint: the log's export has it.
    """
    handling = Handling(handle, attempts)

    async def use(connection: AbstractConnection) -> None:
        letters = await DeadLetters.open(connection, name)
        done = checkpoint.load()
        begin = start if done is None else done + 1
        async with reading(connection, begin, credit=CREDIT) as reader:
            entries = await reader.take()
            if done is not None:
                await _check(connection, done + 1, entries[0].offset)
            while True:
                await _handle(entries, handling, letters, types)
                checkpoint.save(entries[-1].offset)
                entries = await reader.take()

    await keep_connected(url, f"subscriber {name}", use)


async def _check(connection: AbstractConnection, wanted: int, delivered: int) -> None:
    missing = delivered > wanted and await truncated_before(connection, delivered)
    if missing or delivered < wanted:
        raise PositionGone(f"the stream has nothing between {wanted} and {delivered} any more")


async def _handle(
    entries: list[Entry], handling: Handling, letters: DeadLetters, types: Collection[str]
) -> None:
    for entry in entries:
        if types and entry.type not in types:
            continue
        if entry.body and (reason := await handling.take(entry.body)) is not None:
            await letters.put(entry.body, reason)
