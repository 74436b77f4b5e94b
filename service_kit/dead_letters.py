"""Owns the operators' way to the broker: the messages in `commands.dead`, and what is asked of a parked line.

To look at a message is to take it and give it back, which the broker counts as a delivery: the queue's limit
must be high (see `service_kit.topology`). What is held when the connection is lost is back by itself.
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aio_pika
import orjson
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from events.commands import CONTENT_TYPE, encode_command
from events.controls import Control
from events.errors import NotFound
from events.times import rfc3339
from service_kit.broker import broker_errors, connected, declare
from service_kit.topology import COMMANDS, DEAD, partition_of

LOOK_SECONDS: Final = 10.0
MOST: Final = 1000
MOST_BYTES: Final = 32 * 1024 * 1024
_PARTITION: Final = re.compile(rf"{COMMANDS}\.(\d+)")


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message that no worker could read, or that was delivered too often in vain.

    Attributes:
        id: Made of its content; repeats of a message share it.
        message_id: As the sender named it.
        queue: The command queue that it came from.
        reason: Why it is here.
        time: Since when, RFC 3339; None if nobody wrote it down.
        body: As it was received.
    """

    id: str
    message_id: str | None
    queue: str
    reason: str
    time: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Looked:
    """The messages that were seen, oldest first, and whether there are more than those."""

    messages: list[DeadMessage]
    more: bool


def message_view(message: DeadMessage, *, whole: bool) -> dict[str, Any]:
    """Return an unreadable message as operators see it.

    Args:
        message: The message.
        whole: With its body, as text if it is text, else in base64.
    """
    view: dict[str, Any] = {
        "id": message.id,
        "message_id": message.message_id,
        "queue": message.queue,
        "reason": message.reason,
        "time": message.time,
        "bytes": len(message.body),
    }
    if whole:
        try:
            view["body"] = message.body.decode()
        except UnicodeDecodeError:
            view["body_base64"] = base64.b64encode(message.body).decode()
    return view


async def look(url: str, most: int = MOST) -> Looked:
    """Return what is in the queue, and leave it there.

    Args:
        url: AMQP URL.
        most: How many to look at.

    Raises:
        BrokerUnavailable: RabbitMQ is away, or not done within `LOOK_SECONDS`.
    """
    async with _holding(url, most) as (_, held, more):
        return Looked([_dead_message(one) for one in held], more)


async def find(url: str, id_: str) -> DeadMessage:
    """Return one message, and leave it there.

    Raises:
        NotFound: There is none with this id among the first `MOST`.
        BrokerUnavailable: RabbitMQ is away.
    """
    async with _holding(url, MOST) as (_, held, _more):
        return _one(held, id_)[1]


async def hand_in(url: str, id_: str) -> DeadMessage:
    """Publish a message to its partition again, and take it out once the broker has confirmed that.

    Cut in between, it is in both queues: commands are recognised by their ids.

    Raises:
        NotFound: There is none with this id among the first `MOST`.
        BrokerUnavailable: RabbitMQ is away, or does not confirm; nothing is taken out.
    """
    async with _holding(url, MOST) as (channel, held, _):
        found, message = _one(held, id_)
        number = _PARTITION.fullmatch(message.queue)
        if number is None:
            raise NotFound(f"the message does not tell its partition: its queue is {message.queue!r}")
        with broker_errors("publishing again"):
            await _publish(channel, number[1], message.body, message.message_id)
            await found.ack()
        return message


async def give_up(url: str, id_: str) -> DeadMessage:
    """Delete a message.

    Raises:
        NotFound: There is none with this id among the first `MOST`.
        BrokerUnavailable: RabbitMQ is away.
    """
    async with _holding(url, MOST) as (_, held, _more):
        found, message = _one(held, id_)
        with broker_errors("acknowledging"):
            await found.ack()
        return message


async def ask(url: str, partitions: int, control: Control) -> None:
    """Publish what is asked of a parked line, and return when the broker has it.

    Args:
        url: AMQP URL.
        partitions: How many there are.
        control: What is asked.

    Raises:
        BrokerUnavailable: RabbitMQ is away, has another number of partitions, or does not confirm.
    """
    async with connected(url, "dead letters") as connection:
        await declare(connection, partitions)
        with broker_errors("publishing"):
            async with asyncio.timeout(LOOK_SECONDS):
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                key = str(partition_of(control.person_id, partitions))
                await _publish(channel, key, orjson.dumps(encode_command(control)), control.command_id)


async def _publish(channel: AbstractChannel, key: str, body: bytes, message_id: str | None) -> None:
    """Publish to a partition, persistent and mandatory; return when it is confirmed."""
    exchange = await channel.get_exchange(COMMANDS, ensure=False)
    message = aio_pika.Message(
        body,
        message_id=message_id,
        content_type=CONTENT_TYPE,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
    await exchange.publish(message, key, mandatory=True)


@asynccontextmanager
async def _holding(
    url: str, most: int
) -> AsyncIterator[tuple[AbstractChannel, list[AbstractIncomingMessage], bool]]:
    """Hold the first messages of the queue; what is not acknowledged goes back when the block ends."""
    async with connected(url, "dead letters") as connection:
        with broker_errors("looking at dead letters"):
            async with asyncio.timeout(LOOK_SECONDS):
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                queue = await channel.get_queue(DEAD, ensure=False)
                held: list[AbstractIncomingMessage] = []
                size, more = 0, False
                while not more and (message := await queue.get(fail=False)) is not None:
                    held.append(message)
                    size += len(message.body)
                    more = len(held) == most or size > MOST_BYTES
        with broker_errors("giving dead letters back"):
            async with asyncio.timeout(LOOK_SECONDS):
                yield channel, held, more
                for message in held:
                    if not message.processed:
                        await message.nack(requeue=True)


def _one(held: list[AbstractIncomingMessage], id_: str) -> tuple[AbstractIncomingMessage, DeadMessage]:
    for one in held:
        message = _dead_message(one)
        if message.id == id_:
            return one, message
    raise NotFound(f"there is no dead message {id_} among the first {MOST}")


def _dead_message(message: AbstractIncomingMessage) -> DeadMessage:
    queue, reason, time = _history(dict(message.headers or {}))
    mark = hashlib.sha256(repr((message.message_id, queue)).encode() + message.body).hexdigest()
    return DeadMessage(mark[:16], message.message_id, queue, reason, time, message.body)


def _history(headers: dict[str, Any]) -> tuple[str, str, str | None]:
    """Return a message's queue, reason and time: as our worker wrote them, or as the broker did.

    https://www.rabbitmq.com/docs/dlx#effects: `x-death`, the newest entry first.
    """
    if "x-rollcall-queue" in headers:
        time = headers.get("x-rollcall-time")
        return str(headers["x-rollcall-queue"]), str(headers.get("x-rollcall-reason", "")), time
    for death in headers.get("x-death") or ():
        when = death.get("time")
        time = rfc3339(when) if isinstance(when, datetime) and when.tzinfo else None
        return str(death.get("queue", "")), f"given up by the broker: {death.get('reason')}", time
    return "", "unknown", None
