"""Owns handing commands to RabbitMQ: confirmed by the broker, bounded in number and time, or refused."""

import asyncio
from typing import Final, cast

import aio_pika
import orjson
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from pamqp.commands import Basic

from events.commands import CONTENT_TYPE, Command, encode_command
from events.errors import BrokerUnavailable
from service_kit.broker import broker_errors, declare, keep_connected
from service_kit.topology import COMMANDS

PUBLISH_SECONDS: Final = 5.0
MAX_IN_FLIGHT: Final = 1000
_PERSISTENT: Final = 2


class CommandPublisher:
    """Publishes commands to the hash exchange and returns when the broker has them on disk.

    Args:
        url: AMQP URL.
        partitions: Number of command queues to declare.
    """

    def __init__(self, url: str, partitions: int) -> None:
        self._url = url
        self._partitions = partitions
        self._connection: AbstractConnection | None = None
        self._channel: Channel | None = None
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        await keep_connected(self._url, "command-api publisher", self._use)

    async def _use(self, connection: AbstractConnection) -> None:
        await declare(connection, self._partitions)
        with broker_errors("opening a channel"):
            # Unroutable is an error here, not a silent return (aio-pika's default).
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            self._channel = cast(Channel, await channel.get_underlay_channel())
            self._connection = connection
            try:
                await channel.closed()
            finally:
                self._channel = self._connection = None

    async def check(self) -> None:
        """Return if commands can be published now.

        Raises:
            BrokerUnavailable: Not connected, or blocked by an alarm of the broker.
        """
        if self._connection is None:
            raise BrokerUnavailable("RabbitMQ is not connected")
        with broker_errors("blocked by an alarm"):
            async with asyncio.timeout(0.5):
                await self._connection.ready()
                await _unblocked(self._connection)

    async def publish(self, command: Command, reply: tuple[str, str] | None = None) -> None:
        """Publish one command, persistent and mandatory, and wait for the broker's confirm.

        After a failure it is not known whether the broker has the command: whoever repeats it must
        repeat its id.

        Args:
            command: What to publish.
            reply: Queue and correlation id for the outcome, if someone waits for it.

        Raises:
            BrokerUnavailable: No confirm within `PUBLISH_SECONDS`: down, blocked, full or unroutable.
        """
        properties = Basic.Properties(
            content_type=CONTENT_TYPE,
            delivery_mode=_PERSISTENT,
            message_id=command.command_id,
            message_type=command.type,
            reply_to=reply[0] if reply else None,
            correlation_id=reply[1] if reply else None,
        )
        body = orjson.dumps(encode_command(command))
        with broker_errors("publishing a command"):
            async with asyncio.timeout(PUBLISH_SECONDS), self._slots:
                channel, connection = self._channel, self._connection
                if channel is None or connection is None:
                    raise BrokerUnavailable("RabbitMQ is not connected")
                await _unblocked(connection)
                await channel.basic_publish(
                    body,
                    exchange=COMMANDS,
                    routing_key=command.person_id,
                    properties=properties,
                    mandatory=True,
                    wait=False,
                )


async def _unblocked(connection: AbstractConnection) -> None:
    """Return when no alarm of the broker blocks the connection (the client holds this as readiness)."""
    if connection.transport is None:
        raise aio_pika.exceptions.ConnectionClosed
    await connection.transport.connection.ready()
