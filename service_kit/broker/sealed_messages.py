"""Finds out which transport keys the messages in the command queues are sealed with."""

import asyncio
from typing import Final

from service_kit.broker.connection import broker_errors, connected
from service_kit.broker.dead_letters import look
from service_kit.broker.declaring import depth
from service_kit.broker.topology import DEAD, partition_queue
from service_kit.seals.messages import read_sealed

LOOK_SECONDS: Final = 10.0


async def transport_keys_in_queues(url: str, partitions: int) -> set[str] | None:
    """Return the ids of the keys that messages wait under; None while that cannot be told.

    It cannot while a command waits: only who consumes a partition may take its messages.

    Args:
        url: AMQP URL.
        partitions: How many there are.

    Raises:
        BrokerUnavailable: RabbitMQ is away.
    """
    async with connected(url, "transport keys") as connection:
        with broker_errors("looking at queues"):
            async with asyncio.timeout(LOOK_SECONDS):
                for number in range(partitions):
                    if await depth(connection, partition_queue(number)):
                        return None
    letters = await look(url, [DEAD])
    if letters.more:
        return None
    sealed = [read_sealed(message.body) for message in letters.messages]
    return {message.key_id for message in sealed if message is not None}
