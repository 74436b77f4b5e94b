"""Publishes what no client of an API sent: what a rule or an operator asks for, or hands in again."""

import asyncio
from collections.abc import Sequence
from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel

from events.person.commands import CONTENT_TYPE
from events.person.envelope import Envelope
from service_kit.broker.connection import broker_errors, connected
from service_kit.broker.declaring import declare
from service_kit.broker.topology import COMMANDS, partition_of
from service_kit.seals.messages import sealed_command
from service_kit.seals.transport import TransportKey

CONFIRM_SECONDS: Final = 10.0


async def hand_in(url: str, partitions: int, messages: Sequence[Envelope], key: TransportKey) -> None:
    """Publish commands or controls, and return when the broker has them all.

    Args:
        url: AMQP URL.
        partitions: How many there are.
        messages: In the order in which they are to be taken.
        key: What they are sealed with.

    Raises:
        BrokerUnavailable: RabbitMQ is away, has another number of partitions, or does not confirm; the same
            messages may then be handed in again.
    """
    async with connected(url, "handing in") as connection:
        await declare(connection, partitions)
        with broker_errors("publishing"):
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            for message in messages:
                target = COMMANDS, str(partition_of(message.person_id, partitions))
                async with asyncio.timeout(CONFIRM_SECONDS):
                    await publish(channel, target, sealed_command(key, message), message.command_id)


async def publish(
    channel: AbstractChannel, target: tuple[str, str], body: bytes, message_id: str | None
) -> None:
    """Publish to a partition or a subscriber's queue, persistent and mandatory, and have it confirmed.

    Args:
        channel: One with confirms, on which what is returned is an error.
        target: Exchange and routing key.
        body: The message, sealed.
        message_id: Its id, if it has one.
    """
    name, key = target
    exchange = await channel.get_exchange(name, ensure=False)
    message = aio_pika.Message(
        body,
        message_id=message_id,
        content_type=CONTENT_TYPE,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
    await exchange.publish(message, key, mandatory=True)
