"""Declares the broker's exchanges and queues, and asks whether they are there."""

import asyncio
from typing import Final

import aiormq
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue

from events.errors import BrokerUnavailable, OutdatedQueue
from service_kit.broker.connection import CONNECT_TIMEOUT, broker_errors
from service_kit.broker.topology import EXCHANGES, MOVING, Queue, partition_queue, queues

OTHER_PARTITIONS: Final = (
    "RabbitMQ was set up with another number of partitions than {}: set ROLLCALL_PARTITIONS as it was"
)
_ABSENT: Final = "no queue '"


async def declare(connection: AbstractConnection, partitions: int) -> None:
    """Declare every exchange, queue and binding; does nothing to those that are there.

    Args:
        connection: Open connection.
        partitions: Number of command queues.

    Raises:
        BrokerUnavailable: The broker refuses or is away; also when it was set up with another number of
            partitions, since another number would move people between queues.
    """
    with broker_errors("declaring queues"):
        async with asyncio.timeout(CONNECT_TIMEOUT * 2):
            if await differs(connection, partitions):
                raise BrokerUnavailable(OTHER_PARTITIONS.format(partitions))
            await refuse_while_moving(connection)
            async with connection.channel() as channel:
                await _declare_all(channel, partitions)


async def check_declared(connection: AbstractConnection, partitions: int) -> None:
    """Return if the command queues are there, for who may not make them.

    Args:
        connection: Open connection.
        partitions: How many there should be.

    Raises:
        BrokerUnavailable: They are not, or are others, or are being replaced; or the broker is away.
    """
    with broker_errors("looking at queues"):
        async with asyncio.timeout(CONNECT_TIMEOUT * 2):
            if await differs(connection, partitions):
                raise BrokerUnavailable(OTHER_PARTITIONS.format(partitions))
            await refuse_while_moving(connection)
            if not await exists(connection, partition_queue(0)):
                raise BrokerUnavailable("RabbitMQ: the command queues are not there: workers make them")


async def differs(connection: AbstractConnection, partitions: int) -> bool:
    """Return whether the broker was set up with another number of partitions; as `exists` in all else."""
    last, beyond = partition_queue(partitions - 1), partition_queue(partitions)
    started = await exists(connection, partition_queue(0))
    return await exists(connection, beyond) or (started and not await exists(connection, last))


async def refuse_while_moving(connection: AbstractConnection) -> None:
    """Return if no queues are being replaced.

    Raises:
        BrokerUnavailable: They are, or that was cut.
    """
    if await exists(connection, MOVING):
        raise BrokerUnavailable("RabbitMQ: its queues are being replaced: finish `rollcall queues`")


async def exists(connection: AbstractConnection, queue: str) -> bool:
    """Return whether a queue is there; asks under the caller's deadline and names no failure."""
    try:
        await depth(connection, queue)
    except aiormq.exceptions.ChannelNotFoundEntity as exc:
        # The same code is given for a queue that is there, and down.
        if _ABSENT not in str(exc):
            raise
        return False
    return True


async def depth(connection: AbstractConnection, queue: str) -> int:
    """Return how many messages wait in a queue; asks under the caller's deadline and names no failure."""
    async with connection.channel() as channel:
        declared = await channel.declare_queue(queue, passive=True)
    return declared.declaration_result.message_count or 0


async def _declare_all(channel: AbstractChannel, partitions: int) -> None:
    for exchange in EXCHANGES:
        await channel.declare_exchange(exchange.name, exchange.type, durable=True)
    # Backwards: a declaration cut short lacks a low number, and is not taken for a smaller system.
    for queue in reversed(queues(partitions)):
        declared = await declare_queue(channel, queue)
        if queue.exchange is not None:
            await declared.bind(queue.exchange, queue.routing_key)


async def declare_queue(channel: AbstractChannel, queue: Queue) -> AbstractQueue:
    """Declare a queue and return it.

    Raises:
        OutdatedQueue: It is there with other arguments.
    """
    try:
        return await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments)
    except aiormq.exceptions.ChannelPreconditionFailed as exc:
        raise OutdatedQueue(
            f"RabbitMQ: the queue {queue.name} is that of another version of Rollcall: stop all services and "
            "run `rollcall queues`, which replaces it and keeps what is in it"
        ) from exc
