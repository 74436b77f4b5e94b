"""The worker's two connections to the broker, and all that works on them until they are lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from events.errors import BrokerUnavailable
from service_kit.broker.connection import Outage, broker_errors, connected, keep_connected, lost
from service_kit.broker.declaring import declare
from service_kit.tasks import end
from workers.announcing.reconciler import FeedReconciler
from workers.consuming.deliveries import DeliveryQueue
from workers.consuming.partitions import PartitionConsumers
from workers.consuming.pipeline import Pipeline

STALE_SECONDS: Final = 30.0
"""A worker that has not seen its consumers for so long is not ready."""
STOP_SECONDS: Final = 12.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Consumption:
    """What works on one pair of connections; all of it goes when they are lost."""

    deliveries: DeliveryQueue
    consumers: PartitionConsumers
    reconciler: FeedReconciler
    pipeline: Pipeline


Wire = Callable[[AbstractConnection, Channel], Consumption]


class CommandConsumer:
    """Consumes the command queues until it is stopped; begins anew whenever the broker was lost.

    What is in memory then goes with the connection: the broker delivers it again, to whoever is first, and
    what was applied of it is found on record.

    Args:
        url: AMQP URL.
        partitions: Number of command queues.
        wire: Puts together what works on a connection to consume from, and a channel to publish on.
    """

    def __init__(self, url: str, partitions: int, wire: Wire) -> None:
        self._url = url
        self._partitions = partitions
        self._wire = wire
        self._current: Consumption | None = None
        self._outage = Outage()
        self._finished = asyncio.Event()

    async def check_consuming(self) -> None:
        """Return if the queues are consumed, as the broker said lately.

        Raises:
            BrokerUnavailable: No connection to the broker, or it says nothing.
        """
        if self._current is None:
            raise BrokerUnavailable(f"the command queues are not consumed: {self._outage.reason}")
        if (silence := time.monotonic() - self._current.consumers.seen) > STALE_SECONDS:
            raise BrokerUnavailable(f"RabbitMQ: no word on the command queues for {silence:.0f} s")

    async def consume(self) -> None:
        """Work until cancelled; what is under way then is delivered again, to another worker."""
        await keep_connected(self._url, "worker consumer", self._consume_until_lost, self._outage)

    async def finish_batches(self) -> None:
        """Take nothing more, and return when the batches under way are acknowledged.

        Returns after `STOP_SECONDS` in any case: what could not be finished is delivered again.
        """
        if self._current is None:
            return
        self._current.deliveries.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._finished.wait()
        except TimeoutError:
            log.warning("stopping with batches under way; they will be delivered again")

    async def _consume_until_lost(self, connection: AbstractConnection) -> None:
        await declare(connection, self._partitions)
        # A second connection: a broker that blocks publishers must not keep us from acknowledging.
        async with connected(self._url, "worker publisher") as publishing:
            with broker_errors("opening a channel"):
                channel = await publishing.channel(publisher_confirms=True)
                wired = self._wire(connection, cast(Channel, await channel.get_underlay_channel()))
            self._finished.clear()
            try:
                await wired.consumers.register_all()
                self._current = wired
                log.info("consuming", partitions=self._partitions)
                await _until_first_ends(
                    wired.pipeline.process_batches(),
                    wired.reconciler.keep_reconciled(),
                    wired.consumers.keep_fair_share(),
                    _ended(channel.closed()),
                    _ended(lost(publishing)),
                )
            finally:
                self._current = None
                self._finished.set()


async def _ended(ending: Awaitable[object]) -> None:
    await ending
    raise BrokerUnavailable("RabbitMQ: the connection was closed")


async def _until_first_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one returns or raises; end the others; raise what it raised.

    They go together: commands must not be decided on while nobody reconciles the feed, nor announced to a
    channel that is gone.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(tasks)
