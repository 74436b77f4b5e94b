"""A subscriber's own durable queue on the topic exchange: the broker remembers what it has not had."""

import asyncio
from collections.abc import Sequence
from typing import Final, cast

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from events.errors import BrokerUnavailable
from service_kit.broker.connection import broker_errors, keep_connected
from service_kit.broker.topology import EVENTS, EVENTS_AGAIN, subscriber_queues
from subscriber.dead import DeadLetters, declare_own
from subscriber.handling import ATTEMPTS, Handler, Handling
from subscriber.opening import EventOpener

PREFETCH: Final = 50
OPEN_SECONDS: Final = 10.0


async def subscribe(
    url: str,
    name: str,
    handle: Handler,
    *,
    topics: Sequence[str] = ("#",),
    attempts: int = ATTEMPTS,
    opener: EventOpener | None = None,
) -> None:
    """Handle each event that comes into the subscriber's queue, in order, until cancelled.

    The queue `events.<name>` is made at the first call, and collects events from then on also while
    nobody runs, 1 GB at most: beyond that the oldest are dropped, and the stream has them.

    Args:
        url: AMQP URL.
        name: The subscriber's; what it gives up on goes to `events.<name>.dead`.
        handle: Gets each event; see `Handler`.
        topics: Which events: `person.created`, `person.*`, `#`.
        attempts: How often an event is tried before it is given up.
        opener: Opens what is sealed; without one, events have what is in the clear.
    """
    handling = Handling(handle, attempts, opener)

    async def use(connection: AbstractConnection) -> None:
        letters = await DeadLetters.open(connection, name)
        inbox: asyncio.Queue[DeliveredMessage | None] = asyncio.Queue()  # the prefetch bounds it
        _owner, channel = await _open(connection, name, topics, inbox)
        while messages := await _next_messages(inbox):
            events = await handling.read([message.body for message in messages])
            for message, event in zip(messages, events, strict=True):
                if (reason := await handling.take(event)) is not None:
                    await letters.put(message.body, reason)
                with broker_errors("acknowledging"):
                    await channel.basic_ack(message.delivery_tag or 0, wait=False)
        raise BrokerUnavailable("RabbitMQ: the queue is not delivered any more")

    await keep_connected(url, f"subscriber {name}", use)


async def _next_messages(inbox: asyncio.Queue[DeliveredMessage | None]) -> list[DeliveredMessage]:
    """Return the messages that are there, at least one; none once no more will come."""
    messages = []
    message = await inbox.get()
    while message is not None:
        messages.append(message)
        if inbox.empty():
            return messages
        message = inbox.get_nowait()
    if messages:
        inbox.put_nowait(None)
    return messages


async def _open(
    connection: AbstractConnection,
    name: str,
    topics: Sequence[str],
    inbox: asyncio.Queue[DeliveredMessage | None],
) -> tuple[AbstractChannel, Channel]:
    """Return the open channel; both forms of it, since the connection holds the first weakly."""

    async def receive(message: DeliveredMessage) -> None:
        inbox.put_nowait(message)

    def lose(_closing: object) -> None:
        inbox.put_nowait(None)

    async def cancelled(_frame: object) -> None:
        inbox.put_nowait(None)

    with broker_errors("consuming"):
        async with asyncio.timeout(OPEN_SECONDS):
            owner = await connection.channel(publisher_confirms=False)
            await owner.set_qos(prefetch_count=PREFETCH)
            own, _ = subscriber_queues(name)
            await declare_own(connection, own)
            queue = await owner.get_queue(own.name, ensure=False)
            for topic in topics:
                await queue.bind(EVENTS, topic)
            await queue.bind(EVENTS_AGAIN, own.name)
            channel = cast(Channel, await owner.get_underlay_channel())
            channel.closing.add_done_callback(lose)
            channel.on_consumer_cancel_callbacks.add(cancelled)
            await channel.basic_consume(queue.name, receive)
    return owner, channel
