"""Owns what the worker publishes: announcements, replies, dead letters; all confirmed by the broker."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiormq.channel import Channel
from pamqp.commands import Basic

from events.commands import CONTENT_TYPE
from events.facts import RecordedEvent, encode_event
from events.outcomes import Outcome
from service_kit.broker import broker_errors
from service_kit.topology import DEAD, EVENTS

CONFIRM_SECONDS: Final = 15.0
_PERSISTENT: Final = 2
_REASON_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """An outcome for one who waits."""

    queue: str
    correlation_id: str | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that cannot be read, as it came, and why."""

    body: bytes
    message_id: str | None
    queue: str
    reason: str


class Announcer:
    """Publishes on one channel, in the order of the calls.

    Args:
        channel: With publisher confirms, on a connection that nothing is consumed from.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def announce(self, events: Sequence[RecordedEvent]) -> None:
        """Publish events to the topic exchange, and return when the broker has them all.

        Frames leave in the order of `events`; the confirms are awaited together.

        Raises:
            BrokerUnavailable: Not all are confirmed; announcing them all again is harmless.
        """
        await self._confirmed(
            [
                self._publish(
                    EVENTS,
                    event.type,
                    orjson.dumps(encode_event(event)),
                    Basic.Properties(
                        content_type=CONTENT_TYPE,
                        delivery_mode=_PERSISTENT,
                        message_id=event.event_id,
                        message_type=event.type,
                    ),
                )
                for event in events
            ]
        )

    async def reply(self, replies: Sequence[Reply]) -> None:
        """Send outcomes; one whose queue is gone is dropped by the broker: nobody waits any more.

        Raises:
            BrokerUnavailable: The connection was lost.
        """
        await self._confirmed(
            [
                self._publish(
                    "",
                    reply.queue,
                    orjson.dumps(reply.outcome.model_dump()),
                    Basic.Properties(correlation_id=reply.correlation_id, delivery_mode=1),
                )
                for reply in replies
            ]
        )

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Put messages into the dead-letter queue with the reason in a header.

        Raises:
            BrokerUnavailable: Not all are confirmed.
        """
        await self._confirmed(
            [
                self._publish(
                    DEAD,
                    "",
                    letter.body,
                    Basic.Properties(
                        delivery_mode=_PERSISTENT,
                        message_id=letter.message_id,
                        headers={
                            "x-rollcall-reason": letter.reason[:_REASON_CHARACTERS],
                            "x-rollcall-queue": letter.queue,
                        },
                    ),
                )
                for letter in letters
            ]
        )

    async def _publish(
        self, exchange: str, routing_key: str, body: bytes, properties: Basic.Properties
    ) -> None:
        await self._channel.basic_publish(
            body, exchange=exchange, routing_key=routing_key, properties=properties, wait=False
        )

    async def _confirmed(self, publishes: Sequence[Coroutine[Any, Any, None]]) -> None:
        with broker_errors("publishing"):
            async with asyncio.timeout(CONFIRM_SECONDS):
                # Tasks start in order, and the channel's lock is first come, first served.
                await asyncio.gather(*publishes)
