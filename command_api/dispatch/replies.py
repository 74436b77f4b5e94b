"""Waits for the outcomes of commands, on one reply queue a process that exists once somebody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage

from events.errors import MalformedMessage, StoreUnavailable
from events.person.outcomes import Outcome, decode_outcome
from service_kit.background import Work
from service_kit.broker.connection import broker_errors, keep_connected
from service_kit.mongo.transport_keys import TransportKeys, content_of

MAX_WAITING: Final = 2000
OPEN_SECONDS: Final = 3.0

log = structlog.get_logger()


@dataclass(slots=True)
class Waiting:
    """One request that waits.

    Attributes:
        reply: Queue and correlation id to put on the command.
        outcome: Done when the worker has answered; cancelled when the connection is lost.
    """

    reply: tuple[str, str]
    outcome: asyncio.Future[Outcome]


class ReplyInbox:
    """Receives outcomes on its own connection: an alarm blocks those that publish, not this one.

    Args:
        url: AMQP URL.
        start: Does a work beside, for as long as the process lives.
        keys: What outcomes are sealed with.
    """

    def __init__(self, url: str, start: Callable[[Work], None], keys: TransportKeys) -> None:
        self._url = url
        self._keys = keys
        self._start = start
        self._queue: str | None = None
        self._opened = asyncio.Event()
        self._started = False
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}

    @asynccontextmanager
    async def expect(self, correlation_id: str) -> AsyncIterator[Waiting | None]:
        """Receive the outcome that bears the correlation id, for as long as the block runs.

        Gives nothing where no reply can be had: too many wait already, or there is no reply queue. To
        wait is a preference (RFC 7240); the command can do without.

        Args:
            correlation_id: Unique to this request.
        """
        queue = await self._open() if len(self._waiting) < MAX_WAITING else None
        if queue is None:
            yield None
            return
        outcome = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = outcome
        try:
            yield Waiting((queue, correlation_id), outcome)
        finally:
            del self._waiting[correlation_id]
            outcome.cancel()

    async def _open(self) -> str | None:
        if not self._started:
            self._started = True
            self._start(keep_connected(self._url, "command-api replies", self._receive_replies))
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._opened.wait()
        except TimeoutError:
            log.warning("no reply queue: answering without waiting")
        return self._queue

    async def _receive_replies(self, connection: AbstractConnection) -> None:
        with broker_errors("receiving replies"):
            channel = await connection.channel(publisher_confirms=False)
            queue = await channel.declare_queue(
                exclusive=True, auto_delete=True, arguments={"x-max-length": 10 * MAX_WAITING}
            )
            raw = await channel.get_underlay_channel()
            await raw.basic_consume(queue.name, self._hand_over_reply, no_ack=True)
            self._queue = queue.name
            self._opened.set()
            try:
                await channel.closed()
            finally:
                self._opened.clear()
                self._queue = None
                for outcome in self._waiting.values():
                    outcome.cancel()

    async def _hand_over_reply(self, message: DeliveredMessage) -> None:
        waiting = self._waiting.get(message.header.properties.correlation_id or "")
        if waiting is None:
            return
        try:
            (opened,) = await self._keys.open_all([message.body])
            outcome = decode_outcome(content_of(opened))
        except (MalformedMessage, StoreUnavailable) as exc:
            # Who waits is told, when the time is over, what is known without it.
            log.warning("reply not opened", reason=exc.detail)
            return
        if not waiting.done():
            waiting.set_result(outcome)
