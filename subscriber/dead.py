"""The queue of events that a subscriber gave up, with the reason, confirmed before any is forgotten."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection

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
    """The queue `events.<name>.dead`.

    Args:
        channel: With publisher confirms, raising what is returned.
        name: The subscriber's.
    """

    def __init__(self, channel: Any, name: str) -> None:
        self._channel = channel
        self._queue = dead_queue(subscriber_queue(name))

    @classmethod
    async def open(cls, connection: AbstractConnection, name: str) -> "DeadLetters":
        """Return the queue, declared.

        Raises:
            BrokerUnavailable: It cannot be.
        """
        with broker_errors("declaring the dead letters' queue"):
            async with asyncio.timeout(PUBLISH_SECONDS):
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                await declare_own(connection, subscriber_queues(name)[1])
        return cls(channel, name)

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
                await self._channel.default_exchange.publish(message, self._queue)
