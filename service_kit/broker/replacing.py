"""Replaces queues that an older version declared otherwise, and keeps their messages in order.

The broker refuses to change a queue's arguments. So its messages are moved to a holding queue, it is deleted
and declared anew, and they are moved back. Cut at any moment, the next call goes on: which of the two queues
there is, and with which arguments, tells where. What was moved and not acknowledged is moved twice, which is
harmless: commands and events are known by their ids. Meanwhile nothing is published to it: it is bound at the
end.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, cast

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from events.errors import BrokerUnavailable, OutdatedQueue
from service_kit.broker.connection import broker_errors, connected
from service_kit.broker.declaring import declare_queue, exists
from service_kit.broker.publishing import encode_frames, publish
from service_kit.broker.topology import (
    DELIVERY_COUNTS,
    DELIVERY_LIMIT,
    EVENTS,
    MOVING,
    WORKERS,
    Queue,
    queues,
    subscriber_queues,
)
from service_kit.ids import new_id

AT_ONCE: Final = 200
STEP_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5
_QUORUM: Final[dict[str, Any]] = {"x-queue-type": "quorum"}


class State(Enum):
    """How a queue is."""

    ABSENT = "absent"
    OUTDATED = "outdated"
    CURRENT = "current"


@dataclass(frozen=True, slots=True)
class BoundQueue:
    """A queue as it should be, and its bindings: each an exchange and a routing key."""

    queue: Queue
    bindings: tuple[tuple[str, str], ...] = ()

    @property
    def holding(self) -> Queue:
        """The queue that holds its messages meanwhile."""
        arguments = {**_QUORUM, "x-delivery-limit": DELIVERY_LIMIT}
        return Queue(f"{self.queue.name}.moving", None, "", arguments)


def bound_queues(partitions: int, subscribers: Mapping[str, Sequence[str]]) -> list[BoundQueue]:
    """Return every queue that may have to be replaced.

    Args:
        partitions: How many there are.
        subscribers: The topics of each subscriber, by its name.
    """
    bound = [
        BoundQueue(queue, ((queue.exchange, queue.routing_key),))
        for queue in queues(partitions)
        if queue.exchange is not None and queue.arguments["x-queue-type"] == "quorum"
    ]
    for name, topics in subscribers.items():
        own, dead = subscriber_queues(name)
        bound += [BoundQueue(own, tuple((EVENTS, topic) for topic in topics)), BoundQueue(dead)]
    return bound


async def replace_outdated(url: str, queues: Sequence[BoundQueue]) -> list[str]:
    """Replace the queues that have other arguments than they should; while no worker and no subscriber runs.

    Args:
        url: AMQP URL.
        queues: How queues should be; those that are not there are left alone.

    Returns:
        A line for each that was replaced.

    Raises:
        BrokerUnavailable: RabbitMQ is away, or somebody consumes, or replaces queues, too: call it again.
    """
    async with connected(url, "queues") as connection:
        with broker_errors("replacing queues"):
            todo = [one for one in queues if await _is_to_be_replaced(connection, one)]
            if not todo and not await exists(connection, MOVING):
                return []
            if await exists(connection, WORKERS) and (await _look(connection, WORKERS))[1]:
                raise BrokerUnavailable("RabbitMQ: workers run: stop them before queues are replaced")
            async with connection.channel() as channel:
                marker = await channel.declare_queue(MOVING, durable=True, arguments=_QUORUM)
                await marker.consume(_ignore, exclusive=True)  # nobody else replaces queues now
                lines = [await _replace(connection, one) for one in todo]
                await marker.delete(if_unused=False, if_empty=False)
            return lines


async def _ignore(_message: AbstractIncomingMessage) -> None:
    """Take nothing: to be there is all."""


async def _is_to_be_replaced(connection: AbstractConnection, one: BoundQueue) -> bool:
    return await exists(connection, one.holding.name) or await _state(connection, one.queue) is State.OUTDATED


async def _state(connection: AbstractConnection, queue: Queue) -> State:
    if not await exists(connection, queue.name):
        return State.ABSENT
    try:
        async with connection.channel() as channel:
            await declare_queue(channel, queue)
    except OutdatedQueue:
        return State.OUTDATED
    return State.CURRENT


async def _replace(connection: AbstractConnection, one: BoundQueue) -> str:
    """Go on from wherever the last call was cut."""
    name, holding = one.queue.name, one.holding
    if await _state(connection, one.queue) is State.OUTDATED:
        async with connection.channel() as channel:
            queue = await channel.get_queue(name, ensure=False)
            for exchange, key in one.bindings:
                await queue.unbind(exchange, key)
            await declare_queue(channel, holding)
        await _move(connection, name, holding.name)
        await _delete(connection, name)
    async with connection.channel() as channel:
        await declare_queue(channel, one.queue)
    moved = await _move(connection, holding.name, name)
    async with connection.channel() as channel:
        queue = await channel.get_queue(name, ensure=False)
        for exchange, key in one.bindings:
            await queue.bind(exchange, key)
    await _delete(connection, holding.name)
    return f"replaced {name}, with what was in it: {moved}"


async def _move(connection: AbstractConnection, source: str, target: str) -> int:
    """Move all messages, in order; return how many."""
    moved = 0
    while left := await _free(connection, source):
        async with connection.channel(publisher_confirms=True, on_return_raises=True) as owner:
            await owner.set_qos(prefetch_count=AT_ONCE)
            channel = cast(Channel, await owner.get_underlay_channel())
            await _move_some(channel, source, target, left)
            moved += left
    return moved


async def _move_some(channel: Channel, source: str, target: str, left: int) -> None:
    arrived: asyncio.Queue[DeliveredMessage] = asyncio.Queue()  # the prefetch bounds it

    async def take(message: DeliveredMessage) -> None:
        arrived.put_nowait(message)

    await channel.basic_consume(source, take)
    while left:
        async with asyncio.timeout(STEP_SECONDS):
            batch = [await arrived.get()]
        while not arrived.empty() and len(batch) < left:
            batch.append(arrived.get_nowait())
        ids = tuple(str(message.header.properties.message_id or new_id()) for message in batch)
        frames = [_copy(channel, one, id_, target) for one, id_ in zip(batch, ids, strict=True)]
        await publish(channel, frames, STEP_SECONDS, ids)
        await channel.basic_ack(batch[-1].delivery_tag or 0, multiple=True, wait=False)
        left -= len(batch)


def _copy(channel: Channel, message: DeliveredMessage, message_id: str, target: str) -> bytes:
    """Return the frames of a message as it came, but for the count of its deliveries."""
    properties = message.header.properties
    properties.message_id = message_id
    headers: dict[str, Any] = dict(properties.headers or {})
    for count in DELIVERY_COUNTS:
        headers.pop(count, None)
    properties.headers = headers or None
    method = Basic.Publish(routing_key=target, mandatory=True)
    return encode_frames(channel, method, properties, message.body)


async def _free(connection: AbstractConnection, name: str) -> int:
    """Return how many messages a queue has, once nobody consumes it: one who was cut may be there a while.

    Raises:
        BrokerUnavailable: Somebody still does.
    """
    deadline = time.monotonic() + STEP_SECONDS
    while True:
        messages, consumers = await _look(connection, name)
        if not consumers:
            return messages
        if time.monotonic() > deadline:
            raise BrokerUnavailable(f"RabbitMQ: somebody consumes {name}: stop workers and subscribers")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _look(connection: AbstractConnection, name: str) -> tuple[int, int]:
    """Return a queue's messages and consumers."""
    async with connection.channel() as channel:
        result = (await channel.declare_queue(name, passive=True)).declaration_result
    return result.message_count or 0, result.consumer_count or 0


async def _delete(connection: AbstractConnection, name: str) -> None:
    """Delete a queue that was found empty: quorum queues know no condition for it."""
    async with connection.channel() as channel:
        await channel.queue_delete(name)
