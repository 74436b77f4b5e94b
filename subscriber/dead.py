"""The queue of events that a subscriber gave up, with the reason, confirmed before any is forgotten."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection, AbstractExchange

from events.errors import OutdatedQueue
from events.times import rfc3339, to_milliseconds
from service_kit.broker.connection import broker_errors
from service_kit.broker.declaring import declare_queue, refuse_while_moving
from service_kit.broker.topology import Queue, dead_queue, subscriber_queue, subscriber_queues

PUBLISH_SECONDS: Final = 10.0
_REASON_CHARACTERS: Final = 500

log = structlog.get_logger()


async def declare_own(connection: AbstractConnection, queue: Queue) -> None:
    """Declare a subscriber's queue; one of an older version is used as it is, and said to be so.

    Such a one drops an event after 50 deliveries, or has no order among what is returned to it.

    Raises:
        BrokerUnavailable: Queues are being replaced.
    """
    await refuse_while_moving(connection)
    try:
        async with connection.channel() as channel:
            await declare_queue(channel, queue)
    except OutdatedQueue as exc:
        log.warning("queue of an older version", queue=queue.name, reason=exc.detail)


class DeadLetters:
    """The queue `events.<name>.dead`, and an exchange of that name, which has no other queue.

    Args:
        exchange: On a channel with publisher confirms, raising what is returned.
    """

    def __init__(self, exchange: AbstractExchange) -> None:
        self._exchange = exchange

    @classmethod
    async def open(cls, connection: AbstractConnection, name: str) -> "DeadLetters":
        """Return the queue, declared and bound.

        Raises:
            BrokerUnavailable: It cannot be.
        """
        with broker_errors("declaring the dead letters' queue"):
            async with asyncio.timeout(PUBLISH_SECONDS):
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                own = dead_queue(subscriber_queue(name))
                await declare_own(connection, subscriber_queues(name)[1])
                exchange = await channel.declare_exchange(own, "fanout", durable=True)
                await (await channel.get_queue(own, ensure=False)).bind(exchange)
        return cls(exchange)

    async def put(self, body: bytes, reason: str) -> None:
        """Keep a message and why it was given up.

        Raises:
            BrokerUnavailable: The broker does not confirm that it has it.
        """
        message = aio_pika.Message(
            body,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers={
                "x-rollcall-reason": reason[:_REASON_CHARACTERS],
                "x-rollcall-time": rfc3339(to_milliseconds(datetime.now(UTC))),
            },
        )
        with broker_errors("publishing a dead letter"):
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._exchange.publish(message, "")
