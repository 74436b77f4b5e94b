"""Publishes commands to RabbitMQ: confirmed by the broker, bounded in number and time, or refused."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError

from command_api.dispatch.confirms import Confirms
from command_api.dispatch.open_channel import OpenChannel
from events.errors import BrokerUnavailable
from events.parking.controls import Message
from service_kit.broker.connection import Outage, broker_errors, keep_connected
from service_kit.broker.declaring import check_declared
from service_kit.broker.publishing import publish, publish_each
from service_kit.broker.topology import partition_of
from service_kit.ids import new_id
from service_kit.mongo.transport_keys import TransportKeys
from service_kit.seals.messages import sealed_command, sealed_message
from service_kit.seals.transport import TransportKey
from service_kit.tasks import together

PUBLISH_SECONDS: Final = 5.0
MAX_IN_FLIGHT: Final = 2000
RENEW_SECONDS: Final = 1.0
"""How long a channel is used at least. On a channel that first publishes to a queue just after a node of the
cluster died, RabbitMQ 3.10 may look for the queue's leader on that node, and refuse every publish until
the node is back, although the queue works. Another channel asks anew."""
CLOSE_SECONDS: Final = 1.0

LOOK_SECONDS: Final = 1.0
"""How often it is looked which partitions are to be probed."""
PROBE_ROOM: Final = 100
"""Messages in a queue beyond which no probe is added: without a worker, probes pile up no further."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A command that is encoded already, and not sealed yet.

    Attributes:
        type_: The command's.
        command_id: Its id.
        person_id: Its person's.
        source: Who sends it.
        time: When it was accepted, RFC 3339.
        body: The CloudEvent.
    """

    type_: str
    command_id: str
    person_id: str
    source: str
    time: str
    body: bytes


class CommandPublisher:
    """Publishes commands to the hash exchange and returns when the broker has them on disk.

    Args:
        url: AMQP URL.
        partitions: Number of command queues; workers make them.
        keys: What commands are sealed with.
    """

    def __init__(self, url: str, partitions: int, keys: TransportKeys) -> None:
        self._url = url
        self._keys = keys
        self._partitions = partitions
        self._open: OpenChannel | None = None
        self._outage = Outage()
        self._in_flight = 0
        self._confirms = Confirms(partitions)

    async def run(self) -> None:
        """Stay connected, and know which partitions take commands, until cancelled."""
        await together(
            keep_connected(self._url, "command-api publisher", self._keep_channel_open, self._outage),
            self._keep_probing(),
        )

    async def _keep_probing(self) -> None:
        while True:
            ready = self._open
            if ready is not None and not ready.blocked():
                await asyncio.gather(*(self._probe(ready, number) for number in self._confirms.due()))
            await asyncio.sleep(LOOK_SECONDS if ready else LOOK_SECONDS / 10)

    async def _probe(self, ready: OpenChannel, number: int) -> None:
        """Prove that a partition takes messages: by one without a body, which a worker drops.

        Where many wait, the queue's word on how many is proof enough, unless a publish has just failed.
        """
        try:
            if not self._confirms.failing(number) and await ready.depth(number) > PROBE_ROOM:
                self._confirms.note_confirm(number)
                return
            id_ = new_id()
            await self._send(ready, ready.probe_frames(number, id_), id_, number)
        except BrokerUnavailable as exc:
            self._confirms.note_refusal(number, exc.detail)

    async def _send(self, ready: OpenChannel, frames: bytes, id_: str, number: int) -> None:
        try:
            await publish(ready.channel, [frames], PUBLISH_SECONDS, (id_,))
        except BrokerUnavailable as exc:
            if isinstance(exc.__cause__, DeliveryError):
                ready.refused.set()
            self._confirms.note_refusal(number, exc.detail)
            raise
        self._confirms.note_confirm(number)

    async def _keep_channel_open(self, connection: AbstractConnection) -> None:
        await check_declared(connection, self._partitions)
        retired: deque[tuple[float, AbstractChannel]] = deque()
        try:
            with broker_errors("opening a channel"):
                while True:
                    # Unroutable is an error here, not a silent return (aio-pika's default).
                    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                    raw = cast(Channel, await channel.get_underlay_channel())
                    self._open = OpenChannel(connection, raw, self._partitions)
                    began = time.monotonic()
                    if not await self._open.refuses(channel):
                        return
                    await asyncio.sleep(began + RENEW_SECONDS - time.monotonic())
                    # The old one lives on until what it was given has surely been confirmed or refused.
                    retired.append((time.monotonic() + PUBLISH_SECONDS, channel))
                    while retired and retired[0][0] < time.monotonic():
                        # One whose close is not answered ends with the connection.
                        with suppress(TimeoutError):
                            async with asyncio.timeout(CLOSE_SECONDS):
                                await retired.popleft()[1].close()
        finally:
            self._open = None

    def _ready(self) -> OpenChannel:
        if self._open is None:
            raise BrokerUnavailable("RabbitMQ is not connected")
        if self._open.blocked():
            raise BrokerUnavailable("RabbitMQ is blocked by an alarm of its own")
        return self._open

    def check_connection(self) -> None:
        """Return if commands can be handed to the broker, whether its queues are full or not.

        Raises:
            BrokerUnavailable: Not connected, or blocked by an alarm of the broker.
        """
        self._ready()

    async def check(self) -> None:
        """Return if commands can be published: every partition has confirmed its newest publish, lately.

        Raises:
            BrokerUnavailable: Not connected, with the reason; blocked by an alarm of the broker; or a
                partition takes nothing.
        """
        if self._open is None:
            raise BrokerUnavailable(self._outage.reason)
        self._ready()
        self._confirms.check_partitions()

    async def publish_command(self, command: Message, reply: tuple[str, str] | None = None) -> None:
        """Publish one command, persistent and mandatory, and wait for the broker's confirm.

        After a failure it is not known whether the broker has the command: whoever repeats it must
        repeat its id.

        Args:
            command: What to publish.
            reply: Queue and correlation id for the outcome, if someone waits for it.

        Raises:
            BrokerUnavailable: No confirm within `PUBLISH_SECONDS`: down, blocked, full or unroutable;
                or `MAX_IN_FLIGHT` publishes wait for theirs already.
            KeyTrouble: There is no transport key yet.
        """
        ready = self._ready()
        frames = ready.command_frames(command, sealed_command(self._keys.current(), command), reply)
        if self._in_flight >= MAX_IN_FLIGHT:
            raise BrokerUnavailable("too many commands wait for RabbitMQ's confirm")
        self._in_flight += 1
        try:
            number = partition_of(command.person_id, self._partitions)
            await self._send(ready, frames, command.command_id, number)
        finally:
            self._in_flight -= 1

    async def publish_many(self, commands: Sequence[Outgoing]) -> list[Outgoing]:
        """Publish commands, persistent and mandatory, and return those that the broker refused.

        Whoever calls this bounds how many are in flight; `MAX_IN_FLIGHT` is for single ones alone.

        Args:
            commands: At least one.

        Raises:
            BrokerUnavailable: As for `publish_command`; nothing is then known of any of them.
            KeyTrouble: There is no transport key yet.
        """
        ready, key = self._ready(), self._keys.current()
        frames = [
            ready.plain_frames(one.type_, one.person_id, one.command_id, _sealed(one, key))
            for one in commands
        ]
        ids = tuple(one.command_id for one in commands)
        refused = await publish_each(ready.channel, frames, PUBLISH_SECONDS, ids)
        numbers = [partition_of(one.person_id, self._partitions) for one in commands]
        for number in set(numbers) - {numbers[position] for position in refused}:
            self._confirms.note_confirm(number)
        if refused:
            ready.refused.set()
        for position in refused:
            self._confirms.note_refusal(numbers[position], "the broker refused a command")
        return [commands[position] for position in refused]


def _sealed(one: Outgoing, key: TransportKey) -> bytes:
    return sealed_message(
        key,
        id_=one.command_id,
        type_=one.type_,
        source=one.source,
        content=one.body,
        person_id=one.person_id,
        time=one.time,
    )
