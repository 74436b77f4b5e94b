"""Opens connections to RabbitMQ, notices their end, and names their failures."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

import aio_pika
import aiormq
import structlog
from aio_pika.abc import AbstractConnection
from yarl import URL

from events.errors import BrokerUnavailable
from service_kit.broker.addresses import broker_urls
from service_kit.retries import BACKOFF_CAP, backoff
from service_kit.tasks import end

CONNECT_TIMEOUT: Final = 5.0
HEARTBEAT: Final = 10
"""Seconds, unless the URL has its own; the client gives a silent peer up after some three of them."""
WATCH_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 5.0

log = structlog.get_logger()


@contextmanager
def broker_errors(doing: str) -> Iterator[None]:
    """Turn every failure of the AMQP client into ours.

    Args:
        doing: What was tried, for the message.

    Raises:
        BrokerUnavailable: In place of any AMQP, socket or time-out error, and of the stray cancellation
            that the client lets out when a heartbeat kills its connection.
    """
    try:
        yield
        if _is_ending():
            # aio-pika may have swallowed the cancellation, and this task would then go on for ever.
            raise asyncio.CancelledError
    except (aio_pika.exceptions.AMQPError, aiormq.exceptions.AMQPError, OSError, RuntimeError) as exc:
        if _is_ending():
            # aio-pika may have turned the cancellation into an error of its own.
            raise asyncio.CancelledError from exc
        what = "no answer in time" if isinstance(exc, TimeoutError) else type(exc).__name__
        raise BrokerUnavailable(f"RabbitMQ: {doing}: {what}") from exc
    except asyncio.CancelledError as exc:
        if _is_ending():
            raise
        raise BrokerUnavailable(f"RabbitMQ: {doing}: the connection was lost") from exc


def _is_ending() -> bool:
    """Return whether the task that runs is asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def connect(url: str, name: str) -> AbstractConnection:
    """Return an open connection that does not reconnect by itself.

    Its owner decides what a loss means: what was in flight has no confirm yet, and nothing of
    the old connection lives on in the new one. The nodes are tried in random order, so that clients
    spread over them; each gets its share of the time that is left, so that one which hangs leaves
    enough for the others.

    Args:
        url: AMQP URL, of one node or several (see `broker_urls`).
        name: Shown in RabbitMQ's management.

    Raises:
        BrokerUnavailable: No connection to any node within `CONNECT_TIMEOUT`.
    """
    nodes = broker_urls(url)
    random.shuffle(nodes)
    deadline = time.monotonic() + CONNECT_TIMEOUT
    while True:
        share = (deadline - time.monotonic()) / len(nodes)
        try:
            return await _connect_to(nodes.pop(), name, share)
        except BrokerUnavailable as exc:
            if not nodes:
                raise
            log.debug("broker node unavailable", connection=name, reason=exc.detail)


async def _connect_to(node: str, name: str, seconds: float) -> AbstractConnection:
    target = URL(node)
    if "heartbeat" not in target.query:
        target = target.update_query(heartbeat=HEARTBEAT)
    connection = aio_pika.Connection(target, client_properties={"connection_name": name})
    try:
        with broker_errors(f"connecting to {target.host_port_subcomponent}"):
            async with asyncio.timeout(seconds):
                await connection.connect()
    except BaseException:
        # Otherwise aio-pika closes it when it is garbage-collected, at a time that nobody can wait for.
        await connection.close()
        raise
    return connection


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncIterator[AbstractConnection]:
    """Give an open connection, and close it when the block ends; a peer that hangs delays that little.

    Args:
        url: AMQP URL, of one node or several.
        name: Shown in RabbitMQ's management.

    Raises:
        BrokerUnavailable: No connection to any node within `CONNECT_TIMEOUT`.
    """
    connection = await connect(url, name)
    try:
        yield connection
    finally:
        # Nobody needs the connection any more, so a failure to close it does not matter.
        with suppress(BrokerUnavailable), broker_errors("closing"):
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.close()


async def lost(connection: AbstractConnection) -> None:
    """Return once a connection is dead, whoever ended it and however.

    The library's own `closed()` is done by its own `close()` alone: of a connection that the broker, the
    network or a heartbeat has ended it says nothing, ever. So this looks at what is beneath, the tasks
    that read and write, and at how long the peer has been silent.

    Args:
        connection: It was open.
    """
    if connection.transport is None:
        return
    beneath = cast(aiormq.Connection, connection.transport.connection)
    closing = beneath.closing
    try:
        while beneath.is_opened and not beneath.is_connection_was_stuck:
            done, _ = await asyncio.wait({closing}, timeout=WATCH_SECONDS)
            if done:
                return
    finally:
        closing.cancel()


async def until_lost(connection: AbstractConnection, work: Coroutine[Any, Any, None]) -> None:
    """Do some work, and break it off when the connection that it needs is dead.

    Args:
        connection: It was open.
        work: May wait for anything, even for ever.

    Raises:
        BrokerUnavailable: The connection was lost before the work was done.
    """
    task, watch = asyncio.create_task(work), asyncio.create_task(lost(connection))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() or task.cancelled():
            raise BrokerUnavailable("RabbitMQ: the connection was lost")
        task.result()
    finally:
        await end([task, watch])


@dataclass(slots=True)
class Outage:
    """Why there is no connection, for as long as there is none: what readiness tells."""

    reason: str = "RabbitMQ is not connected"


async def keep_connected(
    url: str,
    name: str,
    use: Callable[[AbstractConnection], Coroutine[Any, Any, None]],
    outage: Outage | None = None,
) -> None:
    """Connect, use the connection until it is lost, and begin again, for ever.

    Args:
        url: AMQP URL.
        name: Shown in RabbitMQ's management and in the log.
        use: Gets each new connection, and is cancelled when that is dead (see `lost`); may return or raise
            `BrokerUnavailable` to have another one.
        outage: Is told the reason of each loss.
    """
    attempt = 0
    while True:
        began = time.monotonic()
        try:
            async with connected(url, name) as connection:
                await until_lost(connection, use(connection))
            reason = "the connection was closed"
        except BrokerUnavailable as exc:
            reason = exc.detail
        if _is_ending():
            # aio-pika may have turned the cancellation into an error of its own.
            raise asyncio.CancelledError
        if outage is not None:
            outage.reason = reason
        # A connection that lived a while was a good one: its loss is a first failure, not the next.
        attempt = 1 if time.monotonic() - began > BACKOFF_CAP * 2 else attempt + 1
        pause = backoff(attempt)
        log.warning("broker lost", connection=name, reason=reason, retry_in=round(pause, 2))
        await asyncio.sleep(pause)
