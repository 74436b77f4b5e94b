"""Publishes events to one queue as workers announce them: confirmed, mandatory, each person's in order."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, Final, cast

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.channel import Channel

from events.errors import BrokerUnavailable
from events.log.event import RecordedEvent
from events.log.stored import event_of
from operations.errors import SetupError
from operations.replay.log import Event
from service_kit.broker.announcements import announcement, announcements
from service_kit.broker.connection import broker_errors, connect
from service_kit.broker.declaring import exists
from service_kit.broker.publishing import Template, publish
from service_kit.retries import Patience

CONFIRM_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 60.0
"""So long a broker may refuse or be away before a replay stops."""


class QueueSink:
    """A queue that events go to by the default exchange, so that no other subscriber sees them.

    Args:
        url: AMQP URL.
        queue: The queue's name; it must be there.
    """

    def __init__(self, url: str, queue: str) -> None:
        self._url, self._queue = url, queue
        self._connection: AbstractConnection | None = None
        self._owner: AbstractChannel | None = None
        self._templates: dict[str, Template] = {}

    async def deliver(self, documents: Sequence[Event]) -> None:
        """Publish events and return when the broker has them all; it may have some of them twice then.

        Raises:
            BrokerUnavailable: It is away, or refuses, for `PATIENCE_SECONDS`.
            SetupError: There is no such queue.
        """
        for events in rounds([event_of(_zoned(document)) for document in documents]):
            await self._insist(events)

    async def _insist(self, events: Sequence[RecordedEvent]) -> None:
        patience = Patience(PATIENCE_SECONDS)
        while True:
            try:
                await self._publish(events)
            except BrokerUnavailable:
                await self.close()
                pause = patience.pause()
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                return

    async def _publish(self, events: Sequence[RecordedEvent]) -> None:
        channel = await self._open()
        frames = []
        for event in events:
            if event.type not in self._templates:
                self._templates[event.type] = announcements(channel, event.type, self._queue)
            frames.append(self._templates[event.type].frames(event.event_id, announcement(event)))
        ids = tuple(event.event_id for event in events)
        await publish(channel, frames, CONFIRM_SECONDS, ids)

    async def _open(self) -> Channel:
        if self._connection is None or self._owner is None:
            self._connection = await connect(self._url, "rollcall replay")
            with broker_errors("looking for the queue"):
                async with asyncio.timeout(CONFIRM_SECONDS):
                    there = await exists(self._connection, self._queue)
                    self._owner = await self._connection.channel(
                        publisher_confirms=True, on_return_raises=True
                    )
            if not there:
                raise SetupError(f"RabbitMQ has no queue {self._queue}: let the subscriber make it first.")
        with broker_errors("opening a channel"):
            return cast(Channel, await self._owner.get_underlay_channel())

    async def close(self) -> None:
        """Close the connection; the next delivery opens another."""
        connection, self._connection, self._owner = self._connection, None, None
        self._templates = {}
        if connection is not None:
            with contextlib.suppress(BrokerUnavailable), broker_errors("closing"):
                async with asyncio.timeout(CONFIRM_SECONDS):
                    await connection.close()


def rounds(events: Sequence[RecordedEvent]) -> Iterator[list[RecordedEvent]]:
    """Yield events in order, no person twice in a round.

    Of several publishes under way, the broker may refuse one and take those after it: a person's later event
    must wait until the earlier one is confirmed.
    """
    round_: list[RecordedEvent] = []
    people: set[str] = set()
    for event in events:
        if event.person_id in people:
            yield round_
            round_, people = [], set()
        round_.append(event)
        people.add(event.person_id)
    if round_:
        yield round_


def _zoned(document: Event) -> dict[str, Any]:
    times = {name: document[name].replace(tzinfo=UTC) for name in ("accepted_at", "applied_at")}
    return {**document, **times}
