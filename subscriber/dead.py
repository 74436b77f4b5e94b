"""Owns the queue of what a subscriber gave up on: with the reason, confirmed before anything is forgotten."""

import asyncio
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractConnection

from service_kit.broker import broker_errors

PUBLISH_SECONDS: Final = 10.0
_BYTES: Final = 128 * 1024 * 1024
_REASON_CHARACTERS: Final = 500


def queue_name(name: str) -> str:
    """Return the name of a subscriber's queue; the broker's rights want it to begin so."""
    return f"events.{name}"


class DeadLetters:
    """The queue `events.<name>.dead`.

    Args:
        channel: With publisher confirms, raising what is returned.
        name: The subscriber's.
    """

    def __init__(self, channel: Any, name: str) -> None:
        self._channel = channel
        self._queue = f"{queue_name(name)}.dead"

    @classmethod
    async def open(cls, connection: AbstractConnection, name: str) -> "DeadLetters":
        """Return the queue, declared.

        Raises:
            BrokerUnavailable: It cannot be.
        """
        with broker_errors("declaring the dead letters' queue"):
            async with asyncio.timeout(PUBLISH_SECONDS):
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                letters = cls(channel, name)
                arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-max-length-bytes": _BYTES}
                await channel.declare_queue(letters._queue, durable=True, arguments=arguments)
        return letters

    async def put(self, body: bytes, reason: str) -> None:
        """Keep a message and why it was given up.

        Raises:
            BrokerUnavailable: The broker does not confirm that it has it.
        """
        message = aio_pika.Message(
            body,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers={"x-rollcall-reason": reason[:_REASON_CHARACTERS]},
        )
        with broker_errors("publishing a dead letter"):
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._channel.default_exchange.publish(message, self._queue)
