"""Reads and changes queues of dead letters for operators.

To look at a message is to take it and give it back, which the broker counts as a delivery: the queue's limit
must be high (see `service_kit.broker.topology`). What is held when the connection is lost is back by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from events.errors import BrokerUnavailable, InvalidRequest, NotFound
from service_kit.broker.connection import broker_errors, connected
from service_kit.broker.dead_messages import SUBSCRIBER_DEAD, DeadMessage, dead_message
from service_kit.broker.declaring import declare_queue, exists
from service_kit.broker.handing_in import publish
from service_kit.broker.topology import DEAD, DEAD_QUEUES, dead_queue_of

LOOK_SECONDS: Final = 10.0
MOST: Final = 1000
MOST_BYTES: Final = 32 * 1024 * 1024
AT_ONCE: Final = 100
"""Messages that are handed in while one look lasts."""


@dataclass(frozen=True, slots=True)
class ReadDeadLetters:
    """The messages that were seen, oldest first, and whether there are more than those."""

    messages: list[DeadMessage]
    more: bool


@dataclass(slots=True)
class HandedInDeadLetters:
    """What was handed in, in order, and what was left where it is."""

    done: list[DeadMessage] = field(default_factory=list)
    left: list[DeadMessage] = field(default_factory=list)


def dead_queues(names: Sequence[str]) -> list[str]:
    """Return the queues of dead letters to look at: those that are named, or all that are known.

    Raises:
        InvalidRequest: A name is none of such a queue.
    """
    for name in names:
        if name != DEAD and not SUBSCRIBER_DEAD.fullmatch(name):
            raise InvalidRequest(f"a queue of dead letters is {DEAD} or events.NAME.dead, not {name[:100]!r}")
    return list(names or DEAD_QUEUES)


async def look(url: str, queues: Sequence[str] = DEAD_QUEUES, most: int = MOST) -> ReadDeadLetters:
    """Return what is in queues of dead letters, and leave it there.

    Args:
        url: AMQP URL.
        queues: Which.
        most: How many to look at in each.

    Raises:
        BrokerUnavailable: RabbitMQ is away, or not done within `LOOK_SECONDS`.
    """
    looked: list[DeadMessage] = []
    any_more = False
    for queue in queues:
        async with _holding(url, queue, most) as (_, messages, more):
            looked += [message for _, message in (messages[:-1] if more else messages)]
            any_more = any_more or more
    return ReadDeadLetters(looked, any_more)


async def find(url: str, id_: str, queues: Sequence[str] = DEAD_QUEUES) -> DeadMessage:
    """Return one message, and leave it there.

    Raises:
        NotFound: There is none with this id among the first `MOST` of each queue.
        BrokerUnavailable: RabbitMQ is away.
    """
    for message in (await look(url, queues)).messages:
        if message.id == id_:
            return message
    raise NotFound(f"there is no dead letter {id_} among the first {MOST}")


async def hand_in(url: str, id_: str, queues: Sequence[str] = DEAD_QUEUES) -> list[DeadMessage]:
    """Publish a message to its queue again, after those of its person that died before it.

    Each is taken out once the broker has confirmed it. Cut in between, it is in both queues: commands and
    events are recognised by their ids.

    Returns:
        What was published, in order; the one that is meant is the last.

    Raises:
        NotFound: There is none with this id among the first `MOST`, or it does not tell where it belongs.
        BrokerUnavailable: RabbitMQ is away, or does not confirm; nothing unconfirmed is taken out.
    """
    meant = await find(url, id_, queues)
    if meant.target is None:
        raise NotFound(f"the message does not tell its partition: its queue is {meant.queue!r}")
    async with _holding(url, meant.dead_queue, MOST) as (channel, messages, _):
        ids = [message.id for _, message in messages]
        if id_ not in ids:
            raise NotFound(f"there is no dead letter {id_} any more")
        upto = messages[: ids.index(id_)]
        before = [pair for pair in upto if meant.person_id and pair[1].person_id == meant.person_id]
        for delivery, message in (*before, messages[ids.index(id_)]):
            await _hand_in(channel, delivery, message)
        return [message for _, message in before] + [meant]


async def hand_in_all(
    url: str, queues: Sequence[str] = DEAD_QUEUES, person_id: str | None = None
) -> HandedInDeadLetters:
    """Publish what can be read to its queue again, in the order in which it died.

    Args:
        url: AMQP URL.
        queues: Which queues of dead letters.
        person_id: Whose; None for everybody's.

    Returns:
        What was published; and what was left, since it cannot be read, or since there was too much before it.

    Raises:
        BrokerUnavailable: RabbitMQ is away, or does not confirm; what was published until then is done.
    """
    handed = HandedInDeadLetters()
    for queue in queues:
        tried: set[str] = set()
        while True:
            async with _holding(url, queue, MOST) as (channel, messages, _):
                # A message that dies again meanwhile goes to the end of the queue, and is not tried twice.
                mine = [pair for pair in messages if _may_go(pair[1], person_id) and pair[1].id not in tried]
                for delivery, message in mine[:AT_ONCE]:
                    await _hand_in(channel, delivery, message)
                    handed.done.append(message)
            if not mine:
                break
            tried |= {message.id for _, message in mine[:AT_ONCE]}
        handed.left += [
            message for _, message in messages if person_id is None and not _may_go(message, None)
        ]
    return handed


def _may_go(message: DeadMessage, person_id: str | None) -> bool:
    readable = message.subject is not None and message.target is not None
    return readable and person_id in (None, message.person_id)


async def give_up(url: str, id_: str, queues: Sequence[str] = DEAD_QUEUES) -> DeadMessage:
    """Delete a message.

    Raises:
        NotFound: There is none with this id among the first `MOST`.
        BrokerUnavailable: RabbitMQ is away.
    """
    queue = (await find(url, id_, queues)).dead_queue
    async with _holding(url, queue, MOST) as (_, messages, _more):
        for delivery, message in messages:
            if message.id == id_:
                with broker_errors("acknowledging"):
                    await delivery.ack()
                return message
    raise NotFound(f"there is no dead letter {id_} any more")


async def give_up_all_of(url: str, person_ids: Collection[str]) -> int:
    """Delete the dead commands of people; return how many there were.

    Raises:
        BrokerUnavailable: RabbitMQ is away.
    """
    count = 0
    async with _holding(url, DEAD, MOST) as (_, messages, _more):
        for delivery, message in messages:
            if message.person_id in person_ids:
                with broker_errors("acknowledging"):
                    await delivery.ack()
                count += 1
    return count


async def _hand_in(channel: AbstractChannel, delivery: AbstractIncomingMessage, message: DeadMessage) -> None:
    """Publish a message again, and take it out once that is confirmed."""
    if message.target is None:
        raise BrokerUnavailable(f"RabbitMQ: the message {message.id} belongs to no queue")
    with broker_errors("publishing again"):
        await publish(channel, message.target, message.again, message.message_id)
        await delivery.ack()


Taken = list[tuple[AbstractIncomingMessage, DeadMessage]]


@asynccontextmanager
async def _holding(url: str, queue: str, most: int) -> AsyncIterator[tuple[AbstractChannel, Taken, bool]]:
    """Hold the first messages of a queue; what is not acknowledged goes back when the block ends.

    A queue that is not there has none.
    """
    async with connected(url, "dead letters") as connection:
        with broker_errors("looking at dead letters"):
            async with asyncio.timeout(LOOK_SECONDS):
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                deliveries, more = await _take(connection, channel, queue, most)
        with broker_errors("holding dead letters"):
            async with asyncio.timeout(LOOK_SECONDS):
                yield channel, [(one, _read(one, queue)) for one in deliveries], more
                for message in deliveries:
                    if not message.processed:
                        await message.nack(requeue=True)


async def _take(
    connection: AbstractConnection, channel: AbstractChannel, name: str, most: int
) -> tuple[list[AbstractIncomingMessage], bool]:
    """Return the first messages, and whether there may be more.

    Raises:
        OutdatedQueue: It is that of an older version, where a look costs order, or the message itself.
    """
    deliveries: list[AbstractIncomingMessage] = []
    if not await exists(connection, name):
        return deliveries, False
    async with connection.channel() as trying:
        await declare_queue(trying, dead_queue_of(name))
    queue = await channel.get_queue(name, ensure=False)
    size, more = 0, False
    while not more and (message := await queue.get(fail=False)) is not None:
        # One message more than is shown tells that there are more; it goes back like the others.
        more = len(deliveries) == most or size > MOST_BYTES
        deliveries.append(message)
        size += len(message.body)
    return deliveries, more


def _read(message: AbstractIncomingMessage, queue: str) -> DeadMessage:
    return dead_message(message.body, message.message_id, dict(message.headers or {}), queue)
