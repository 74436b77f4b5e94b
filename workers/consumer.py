"""Owns the worker's life with the broker: two connections, a channel per partition, a fair share of them."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Queue

from events.errors import BrokerUnavailable
from service_kit.broker import Outage, broker_errors, connected, declare, keep_connected, lost
from service_kit.topology import DEAD, DELIVERY_COUNTS, PROBE, WORKERS, partition_queue
from workers import metrics
from workers.announcer import Announcer
from workers.feed_store import FeedStore
from workers.intake import Delivery, Intake, Partition
from workers.lines import Stamps
from workers.pipeline import Pipeline
from workers.prover import Prover
from workers.store import Store

LIVED_SECONDS: Final = 10.0
"""So long a worker has lived before it tries suspects: in one that ends sooner, the fault is elsewhere."""
PREFETCH: Final = 250
"""Per partition; also how much a crash makes the broker deliver again."""
SHARE_SECONDS: Final = 1.0
ASK_SECONDS: Final = 20.0
STALE_SECONDS: Final = 30.0
"""A worker that has not seen its consumers for so long is not ready."""
OPEN_SECONDS: Final = 10.0
STOP_SECONDS: Final = 12.0

log = structlog.get_logger()


class Worker:
    """Consumes the command queues until it is stopped; begins anew whenever the broker was lost.

    Args:
        url: AMQP URL.
        partitions: Number of command queues.
        store: The collections.
        feed: What is on record about the feed.
        stamps: Clock, ids and rules of uniqueness.
        lived_seconds: How long it must have lived before it tries suspects.
    """

    def __init__(
        self,
        url: str,
        partitions: int,
        store: Store,
        feed: FeedStore,
        stamps: Stamps,
        lived_seconds: float = LIVED_SECONDS,
    ) -> None:
        self._url = url
        self._partitions = partitions
        self._store = store
        self._feed = feed
        self._stamps = stamps
        self._try_from = time.monotonic() + lived_seconds
        self._intake: Intake | None = None
        self._outage = Outage()
        self._session: Session | None = None
        self._finished = asyncio.Event()

    async def check(self) -> None:
        """Return if the queues are consumed, as the broker said lately.

        Raises:
            BrokerUnavailable: No session with the broker, or it says nothing.
        """
        if self._intake is None or self._session is None:
            raise BrokerUnavailable(f"the command queues are not consumed: {self._outage.reason}")
        if (silence := time.monotonic() - self._session.seen) > STALE_SECONDS:
            raise BrokerUnavailable(f"RabbitMQ: no word on the command queues for {silence:.0f} s")

    async def run(self) -> None:
        """Work until cancelled; what is under way then is delivered again, to another worker."""
        await keep_connected(self._url, "worker consumer", self._consume, self._outage)

    async def stop(self) -> None:
        """Take nothing more, and return when the batches under way are acknowledged.

        Returns after `STOP_SECONDS` in any case: what could not be finished is delivered again.
        """
        if self._intake is None:
            return
        self._intake.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._finished.wait()
        except TimeoutError:
            log.warning("stopping with batches under way; they will be delivered again")

    async def _consume(self, connection: AbstractConnection) -> None:
        await declare(connection, self._partitions)
        async with connected(self._url, "worker publisher") as publishing:
            with broker_errors("opening a channel"):
                channel = await publishing.channel(publisher_confirms=True)
                announcer = Announcer(cast(Channel, await channel.get_underlay_channel()))
            intake = Intake()
            session = Session(connection, intake, self._partitions, announcer.ask_whose)
            prover = Prover(
                connection, announcer, self._feed, session, intake, self._store.gaps, self._stamps
            )
            pipeline = Pipeline(intake, self._store, announcer, self._stamps, prover.admit, self._try_from)
            self._finished.clear()
            try:
                await session.open()
                self._intake, self._session = intake, session
                log.info("consuming", partitions=self._partitions)
                await _until_first_ends(
                    pipeline.run(),
                    prover.run(),
                    session.share(),
                    _ended(channel.closed()),
                    _ended(lost(publishing)),
                )
            finally:
                self._intake = self._session = None
                self._finished.set()


async def _ended(ending: Awaitable[object]) -> None:
    await ending
    raise BrokerUnavailable("RabbitMQ: the connection was closed")


async def _until_first_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one returns or raises; cancel the others; raise what it raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _look(watch: AbstractChannel, queue: str) -> Queue.DeclareOk:
    """Return what the broker tells of a queue on a passive declare."""
    with broker_errors("watching the queues"):
        async with asyncio.timeout(OPEN_SECONDS):
            return (await watch.declare_queue(queue, passive=True)).declaration_result


def _returns(headers: Mapping[str, Any] | None) -> int:
    """Return how often a message came back: https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling."""
    counts = [(headers or {}).get(name) for name in DELIVERY_COUNTS]
    return max((count for count in counts if isinstance(count, int)), default=0)


async def _ignore(_message: DeliveredMessage) -> None:
    """Take nothing: to be there is all."""


class Session:
    """One connection's consumers: one channel and one registration for each partition.

    The broker delivers a partition to its single active consumer, the first that registered, and never
    moves it. So a worker that is active on more than its share lets some go: it finishes what it
    took, then closes that channel. Cancelling the consumer instead would let the next one begin while
    we still hold messages, out of order.

    Args:
        connection: Open; nothing is published on it, so that no alarm of the broker can block it.
        intake: Takes the deliveries.
        partitions: Number of command queues.
        ask_whose: Publishes a probe into each of some partitions: whoever consumes it is told so by that.

    Attributes:
        partitions: As they are consumed now, by number; one that is handed over is another one afterwards.
        count: How many there are.
        seen: When the broker last told that every queue has its consumer, by `time.monotonic`.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        intake: Intake,
        partitions: int,
        ask_whose: Callable[[Sequence[int]], Awaitable[None]],
    ) -> None:
        self.partitions: dict[int, Partition] = {}
        self.count = partitions
        self._connection = connection
        self._intake = intake
        self._ask_whose = ask_whose
        self.seen = time.monotonic()

    async def open(self) -> None:
        """Register for every partition.

        Raises:
            BrokerUnavailable: The connection was lost.
        """
        for number in range(self.count):
            await self._register(number)

    async def share(self) -> None:
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
                await self._ask_whose(unknown)
                asked = time.monotonic()
            await asyncio.sleep(SHARE_SECONDS)
            workers = await self._observe(watch)
            active = [p for p in self.partitions.values() if p.active]
            metrics.ACTIVE_PARTITIONS.set(len(active))
            for partition in active[math.ceil(self.count / workers) :]:
                await self._hand_over(partition)

    async def _observe(self, watch: AbstractChannel) -> int:
        """Note each queue's depth; return how many workers there are."""
        for name in (*map(partition_queue, range(self.count)), DEAD):
            seen = await _look(watch, name)
            metrics.QUEUE_DEPTH.labels(name).set(seen.message_count or 0)
            if name != DEAD and not seen.consumer_count:
                raise BrokerUnavailable(f"RabbitMQ: the consumer of {name} is gone")
        self.seen = time.monotonic()
        return max(1, (await _look(watch, WORKERS)).consumer_count or 0)

    async def _hand_over(self, partition: Partition) -> None:
        await self._intake.leave(partition)
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
                partition = Partition(number, owner, channel)
                self.partitions[number] = partition
                await channel.basic_consume(partition_queue(number), partial(self._receive, partition))

    async def _receive(self, partition: Partition, message: DeliveredMessage) -> None:
        properties = message.header.properties
        if properties.message_type == PROBE:
            partition.active = True
            with broker_errors("acknowledging"):
                await partition.channel.basic_ack(message.delivery_tag or 0, wait=False)
            return
        self._intake.put(
            Delivery(
                partition=partition,
                tag=message.delivery_tag or 0,
                body=message.body,
                message_id=properties.message_id,
                reply_to=properties.reply_to,
                correlation_id=properties.correlation_id,
                returns=_returns(properties.headers),
            )
        )
