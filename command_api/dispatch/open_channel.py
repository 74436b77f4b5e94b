"""One open channel of the publisher: whether it is blocked, how full a queue is, the frames of commands."""

import asyncio
from typing import Any, Final

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.channel import Channel
from pamqp.commands import Basic

from events.parking.controls import Message
from events.person.commands import CONTENT_TYPE
from service_kit.broker.connection import broker_errors
from service_kit.broker.declaring import depth
from service_kit.broker.publishing import PERSISTENT, Template, encode_frames
from service_kit.broker.topology import COMMANDS, PROBE, partition_of, partition_queue

LOOK_SECONDS: Final = 5.0


class OpenChannel:
    """An open channel, and the frames of commands on it.

    Args:
        connection: Its connection.
        channel: In confirm mode, raising what is returned.
        partitions: How many there are.

    Attributes:
        channel: The same.
        refused: Set when the broker has refused a publish.
    """

    def __init__(self, connection: AbstractConnection, channel: Channel, partitions: int) -> None:
        self.channel = channel
        self.refused = asyncio.Event()
        self._connection = connection
        self._partitions = partitions
        self._templates: dict[tuple[str, str], Template] = {}

    async def refuses(self, channel: AbstractChannel) -> bool:
        """Wait until the broker has refused a publish, then return True; or False once it is closed."""
        refused = asyncio.create_task(self.refused.wait())
        try:
            await asyncio.wait(
                [refused, asyncio.ensure_future(channel.closed())], return_when="FIRST_COMPLETED"
            )
            return refused.done()
        finally:
            refused.cancel()

    def blocked(self) -> bool:
        """Return whether an alarm of the broker blocks the connection.

        The client tells it only to those who await its readiness, so this takes the first step of that:
        a connection that is ready ends there.
        """
        transport = self._connection.transport
        if transport is None:
            return True
        waiting = transport.connection.ready().__await__()
        try:
            next(waiting)
        except StopIteration:
            return False
        finally:
            waiting.close()
        return True

    async def depth(self, number: int) -> int:
        """Return how many messages wait in a partition's queue.

        Raises:
            BrokerUnavailable: No answer within `LOOK_SECONDS`.
        """
        with broker_errors("looking at a queue"):
            async with asyncio.timeout(LOOK_SECONDS):
                return await depth(self._connection, partition_queue(number))

    def probe_frames(self, number: int, id_: str) -> bytes:
        """Return the frames of a probe of a partition."""
        method = Basic.Publish(exchange=COMMANDS, routing_key=str(number), mandatory=True)
        # Not by a template: nothing is nothing, while an empty frame would be one too many.
        return encode_frames(
            self.channel, method, Basic.Properties(message_id=id_, **_properties(PROBE)), b""
        )

    def command_frames(self, command: Message, body: bytes, reply: tuple[str, str] | None) -> bytes:
        """Return the frames of a command, on its way to its person's partition."""
        if reply is None:
            return self.plain_frames(command.type, command.person_id, command.command_id, body)
        key = str(partition_of(command.person_id, self._partitions))
        method = Basic.Publish(exchange=COMMANDS, routing_key=key, mandatory=True)
        properties = Basic.Properties(
            message_id=command.command_id,
            reply_to=reply[0],
            correlation_id=reply[1],
            **_properties(command.type),
        )
        return encode_frames(self.channel, method, properties, body)

    def plain_frames(self, type_: str, person_id: str, command_id: str, body: bytes) -> bytes:
        """Return the frames of a command that nobody waits for."""
        key = str(partition_of(person_id, self._partitions))
        return self._template(type_, key).frames(command_id, body)

    def _template(self, type_: str, key: str) -> Template:
        template = self._templates.get((type_, key))
        if template is None:
            template = Template(self.channel, COMMANDS, key, mandatory=True, **_properties(type_))
            self._templates[type_, key] = template
        return template


def _properties(type_: str) -> dict[str, Any]:
    return {"content_type": CONTENT_TYPE, "delivery_mode": PERSISTENT, "message_type": type_}
