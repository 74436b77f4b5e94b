"""Declares, fills, empties and counts the command queues between the runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

import aiormq
import uvloop
from aiormq.channel import Channel
from pamqp.commands import Basic, Queue

from bench.payloads import Message
from bench.stack import PARTITIONS
from service_kit.broker.addresses import broker_urls
from service_kit.broker.connection import connect
from service_kit.broker.declaring import declare
from service_kit.broker.topology import COMMANDS, partition_of, partition_queue

_AT_ONCE = 500
_BEAT_SECONDS = 0.1
Result = TypeVar("Result")


def _with_channel(url: str, use: Callable[[Channel], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        connection = await aiormq.connect(url)
        try:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            return await use(cast(Channel, channel))
        finally:
            await connection.close()

    return uvloop.run(run())


def set_up(url: str) -> str:
    """Declare all exchanges and queues; return the broker's version."""

    async def run() -> str:
        async with await connect(url, "bench") as connection:
            await declare(connection, PARTITIONS)
        raw = await aiormq.connect(broker_urls(url)[0])
        version = raw.server_properties.get("version", "unknown")
        await raw.close()
        return version.decode() if isinstance(version, bytes) else str(version)

    return uvloop.run(run())


def fill(url: str, messages: Sequence[Message]) -> None:
    """Publish commands as the command API does, and return when all are confirmed."""

    _with_channel(url, lambda channel: _send(channel, messages))


async def _send(channel: Channel, messages: Sequence[Message]) -> None:
    pending = iter(messages)

    async def sender() -> None:
        for person_id, body in pending:
            properties = Basic.Properties(content_type="application/cloudevents+json", delivery_mode=2)
            await channel.basic_publish(
                body,
                exchange=COMMANDS,
                routing_key=str(partition_of(person_id, PARTITIONS)),
                properties=properties,
                mandatory=True,
                wait=False,
            )

    await asyncio.gather(*(sender() for _ in range(min(_AT_ONCE, len(messages)))))


def trickle(url: str, messages: Sequence[Message], rate: int) -> None:
    """Publish commands at a constant rate, a tenth of a second's worth at a time, each when it is due.

    Args:
        url: AMQP URL.
        messages: The commands.
        rate: So many a second.
    """

    async def publish(channel: Channel) -> None:
        began, step = time.monotonic(), max(1, round(rate * _BEAT_SECONDS))
        for first in range(0, len(messages), step):
            await asyncio.sleep(began + first / rate - time.monotonic())
            await _send(channel, messages[first : first + step])

    _with_channel(url, publish)


def purge(url: str, timeout_s: float = 30.0) -> None:
    """Empty every command queue, once nobody consumes it and so nothing of it is unacknowledged.

    Raises:
        TimeoutError: Somebody still consumes.
    """

    async def run(channel: Channel) -> None:
        await _until(channel, lambda queue: not queue.consumer_count, timeout_s)
        for number in range(PARTITIONS):
            await channel.queue_purge(partition_queue(number))

    _with_channel(url, run)


def wait_empty(url: str, timeout_s: float = 30.0) -> None:
    """Return when no command waits.

    Raises:
        TimeoutError: Some still do.
    """
    _with_channel(url, lambda channel: _until(channel, lambda queue: not queue.message_count, timeout_s))


async def _until(channel: Channel, holds: Callable[[Queue.DeclareOk], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    for number in range(PARTITIONS):
        name = partition_queue(number)
        while not holds(queue := await channel.queue_declare(name, passive=True)):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{name} has {queue.message_count} messages and {queue.consumer_count} consumers"
                )
            await asyncio.sleep(0.05)
