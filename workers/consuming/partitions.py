"""Consumes partitions, each on its own channel, and hands over those beyond a fair share."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Queue

from events.errors import BrokerUnavailable
from service_kit.broker.connection import broker_errors
from service_kit.broker.topology import DEAD, DELIVERY_COUNTS, PROBE, WORKERS, partition_queue
from workers import metrics
from workers.consuming.deliveries import Delivery, DeliveryQueue, Partition

PREFETCH: Final = 250
"""Per partition; also how much a crash makes the broker deliver again."""
SHARE_SECONDS: Final = 1.0
ASK_SECONDS: Final = 20.0
OPEN_SECONDS: Final = 10.0

log = structlog.get_logger()


async def _ask_queue(watch: AbstractChannel, queue: str) -> Queue.DeclareOk:
    """Return what the broker tells of a queue on a passive declare."""
    with broker_errors("watching the queues"):
        async with asyncio.timeout(OPEN_SECONDS):
            return (await watch.declare_queue(queue, passive=True)).declaration_result


def _redeliveries(headers: Mapping[str, Any] | None) -> int:
    """Return how often a message came back: https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling."""
    counts = [(headers or {}).get(name) for name in DELIVERY_COUNTS]
    return max((count for count in counts if isinstance(count, int)), default=0)


async def _ignore(_message: DeliveredMessage) -> None:
    """Take nothing: to be there is all."""


class PartitionConsumers:
    """One connection's consumers: one channel and one registration for each partition.

    The broker delivers a partition to its single active consumer, the first that registered, and never
    moves it. So a worker that is active on more than its share lets some go: it finishes what it
    took, then closes that channel. Cancelling the consumer instead would let the next one begin while
    we still hold messages, out of order.

    Args:
        connection: Open; nothing is published on it, so that no alarm of the broker can block it.
        deliveries: Takes what comes.
        partitions: Number of command queues.
        send_probes: Publishes a probe into each of some partitions: whoever consumes it is told so by that.

    Attributes:
        partitions: As they are consumed now, by number; one that is handed over is another one afterwards.
        count: How many there are.
        seen: When the broker last told that every queue has its consumer, by `time.monotonic`.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        deliveries: DeliveryQueue,
        partitions: int,
        send_probes: Callable[[Sequence[int]], Awaitable[None]],
    ) -> None:
        self.partitions: dict[int, Partition] = {}
        self.count = partitions
        self._connection = connection
        self._deliveries = deliveries
        self._send_probes = send_probes
        self.seen = time.monotonic()

    async def register_all(self) -> None:
        """Register for every partition.

        Raises:
            BrokerUnavailable: The connection was lost.
        """
        for number in range(self.count):
            await self._register(number)

    async def keep_fair_share(self) -> None:
        """Watch the queues and hand over what is beyond the fair share, until cancelled.

        Raises:
            BrokerUnavailable: The connection was lost, or the broker has forgotten a consumer.
        """
        with broker_errors("watching the queues"):
            watch = await self._connection.channel(publisher_confirms=False)
            channel = cast(Channel, await watch.get_underlay_channel())
            await channel.basic_consume(WORKERS, _ignore)
        asked = -math.inf
        while True:
            # A partition without commands has a consumer, too, whom else nothing would tell so.
            unknown = [number for number, one in self.partitions.items() if not one.active]
            if unknown and time.monotonic() - asked > ASK_SECONDS:
                await self._send_probes(unknown)
                asked = time.monotonic()
            await asyncio.sleep(SHARE_SECONDS)
            # All workers reckon alike, from the broker's count: they need not talk to each other, and after
            # a join or a death each lets go, or is delivered, its part (docs/adr/0007).
            workers = await self._observe(watch)
            active = [p for p in self.partitions.values() if p.active]
            metrics.ACTIVE_PARTITIONS.set(len(active))
            for partition in active[math.ceil(self.count / workers) :]:
                await self._hand_over(partition)

    async def _observe(self, watch: AbstractChannel) -> int:
        """Note each queue's depth; return how many workers there are."""
        for name in (*map(partition_queue, range(self.count)), DEAD):
            seen = await _ask_queue(watch, name)
            metrics.QUEUE_DEPTH.labels(name).set(seen.message_count or 0)
            if name != DEAD and not seen.consumer_count:
                raise BrokerUnavailable(f"RabbitMQ: the consumer of {name} is gone")
        self.seen = time.monotonic()
        return max(1, (await _ask_queue(watch, WORKERS)).consumer_count or 0)

    async def _hand_over(self, partition: Partition) -> None:
        await self._deliveries.drain(partition)
        with broker_errors("handing a partition over"):
            async with asyncio.timeout(OPEN_SECONDS):
                await partition.owner.close()
        log.info("handed over", partition=partition.number)
        await self._register(partition.number)

    async def _register(self, number: int) -> None:
        with broker_errors("consuming"):
            async with asyncio.timeout(OPEN_SECONDS):
                owner = await self._connection.channel(publisher_confirms=False)
                await owner.set_qos(prefetch_count=PREFETCH)
                channel = cast(Channel, await owner.get_underlay_channel())
                # A new object each time: what is still said of the old one cannot touch the new.
                partition = Partition(number, owner, channel)
                self.partitions[number] = partition
                await channel.basic_consume(partition_queue(number), partial(self._take_delivery, partition))

    async def _take_delivery(self, partition: Partition, message: DeliveredMessage) -> None:
        properties = message.header.properties
        if properties.message_type == PROBE:
            # That it was delivered here is its answer: only the single active consumer gets anything.
            partition.active = True
            with broker_errors("acknowledging"):
                await partition.channel.basic_ack(message.delivery_tag or 0, wait=False)
            return
        self._deliveries.enqueue(
            Delivery(
                partition=partition,
                tag=message.delivery_tag or 0,
                body=message.body,
                message_id=properties.message_id,
                reply_to=properties.reply_to,
                correlation_id=properties.correlation_id,
                returns=_redeliveries(properties.headers),
            )
        )
