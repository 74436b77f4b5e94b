"""Owns handing commands to RabbitMQ: confirmed by the broker, bounded in number and time, or refused."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError
from pamqp.commands import Basic

from events.commands import CONTENT_TYPE, encode_command
from events.controls import Message
from events.errors import BrokerUnavailable
from service_kit.broker import Lost, broker_errors, declare, keep_connected
from service_kit.publishing import PERSISTENT, Template, encode_frames, publish, publish_each
from service_kit.topology import COMMANDS, partition_of

PUBLISH_SECONDS: Final = 5.0
MAX_IN_FLIGHT: Final = 2000
RENEW_SECONDS: Final = 1.0
"""How long a channel is used at least. On a channel that first publishes to a queue just after a node of the
cluster died, RabbitMQ 3.10 may look for the queue's leader on that node, and refuse every publish until
the node is back, although the queue works. Another channel asks anew."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A command that is encoded already; `type_` is the command's."""

    type_: str
    command_id: str
    person_id: str
    body: bytes


class CommandPublisher:
    """Publishes commands to the hash exchange and returns when the broker has them on disk.

    Args:
        url: AMQP URL.
        partitions: Number of command queues to declare.
    """

    def __init__(self, url: str, partitions: int) -> None:
        self._url = url
        self._partitions = partitions
        self._open: _Open | None = None
        self._lost = Lost()
        self._in_flight = 0

    async def run(self) -> None:
        """Stay connected until cancelled."""
        await keep_connected(self._url, "command-api publisher", self._use, self._lost)

    async def _use(self, connection: AbstractConnection) -> None:
        await declare(connection, self._partitions)
        retired: deque[tuple[float, AbstractChannel]] = deque()
        try:
            with broker_errors("opening a channel"):
                while True:
                    # Unroutable is an error here, not a silent return (aio-pika's default).
                    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                    raw = cast(Channel, await channel.get_underlay_channel())
                    self._open = _Open(connection, raw, self._partitions)
                    began = time.monotonic()
                    if not await self._open.refuses(channel):
                        return
                    await asyncio.sleep(began + RENEW_SECONDS - time.monotonic())
                    # The old one lives on until what it was given is surely settled.
                    retired.append((time.monotonic() + PUBLISH_SECONDS, channel))
                    while retired[0][0] < time.monotonic():
                        await retired.popleft()[1].close()
        finally:
            self._open = None

    def _ready(self) -> "_Open":
        if self._open is None:
            raise BrokerUnavailable("RabbitMQ is not connected")
        if self._open.blocked():
            raise BrokerUnavailable("RabbitMQ is blocked by an alarm of its own")
        return self._open

    async def check(self) -> None:
        """Return if commands can be published now.

        Raises:
            BrokerUnavailable: Not connected, with the reason; or blocked by an alarm of the broker.
        """
        if self._open is None:
            raise BrokerUnavailable(self._lost.reason)
        self._ready()

    async def publish(self, command: Message, reply: tuple[str, str] | None = None) -> None:
        """Publish one command, persistent and mandatory, and wait for the broker's confirm.

        After a failure it is not known whether the broker has the command: whoever repeats it must
        repeat its id.

        Args:
            command: What to publish.
            reply: Queue and correlation id for the outcome, if someone waits for it.

        Raises:
            BrokerUnavailable: No confirm within `PUBLISH_SECONDS`: down, blocked, full or unroutable;
                or `MAX_IN_FLIGHT` publishes wait for theirs already.
        """
        ready = self._ready()
        frames = ready.frames(command, orjson.dumps(encode_command(command)), reply)
        if self._in_flight >= MAX_IN_FLIGHT:
            raise BrokerUnavailable("too many commands wait for RabbitMQ's confirm")
        self._in_flight += 1
        try:
            await publish(ready.channel, [frames], PUBLISH_SECONDS, (command.command_id,))
        except BrokerUnavailable as exc:
            if isinstance(exc.__cause__, DeliveryError):
                ready.refused.set()
            raise
        finally:
            self._in_flight -= 1

    async def publish_many(self, commands: Sequence[Outgoing]) -> list[Outgoing]:
        """Publish commands, persistent and mandatory, and return those that the broker refused.

        Whoever calls this bounds how many are in flight; `MAX_IN_FLIGHT` is for single ones alone.

        Args:
            commands: At least one.

        Raises:
            BrokerUnavailable: As for `publish`; nothing is then known of any of them.
        """
        ready = self._ready()
        frames = [ready.plain_frames(one.type_, one.person_id, one.command_id, one.body) for one in commands]
        ids = tuple(one.command_id for one in commands)
        refused = await publish_each(ready.channel, frames, PUBLISH_SECONDS, ids)
        if refused:
            ready.refused.set()
        return [commands[position] for position in refused]


class _Open:
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

    def frames(self, command: Message, body: bytes, reply: tuple[str, str] | None) -> bytes:
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
