"""Owns the worker's life with the broker: two connections, and all that works on them until they are lost."""

import asyncio
import time
from collections.abc import Awaitable, Coroutine
from typing import Any, Final, cast

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from events.errors import BrokerUnavailable
from service_kit.broker import Outage, broker_errors, connected, keep_connected, lost
from service_kit.declaring import declare
from service_kit.tasks import end
from workers.announcer import Announcer
from workers.feed_store import FeedStore
from workers.intake import Intake
from workers.lines import Stamps
from workers.pipeline import Pipeline
from workers.prover import Prover
from workers.session import Session
from workers.store import Store

LIVED_SECONDS: Final = 10.0
"""So long a worker has lived before it tries suspects: in one that ends sooner, the fault is elsewhere."""
STALE_SECONDS: Final = 30.0
"""A worker that has not seen its consumers for so long is not ready."""
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
    """Run all until one returns or raises; end the others; raise what it raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(tasks)
