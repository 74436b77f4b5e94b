"""Owns what the worker publishes: announcements, replies, dead letters; all confirmed by the broker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from pamqp.commands import Basic

from events.facts import RecordedEvent, encode_event
from events.outcomes import Outcome
from service_kit.broker import broker_errors
from service_kit.topology import DEAD
from workers.frames import PERSISTENT, AnnouncementFrames, publish_frames

CONFIRM_SECONDS: Final = 15.0
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
        self._announcements = AnnouncementFrames(channel)

    async def announce(self, events: Sequence[RecordedEvent]) -> None:
        """Publish events to the topic exchange, and return when the broker has them all.

        Raises:
            BrokerUnavailable: Not all are confirmed; announcing them all again is harmless.
        """
        frames = self._announcements.frames
        await self._publish(
            [frames(event.type, event.event_id, orjson.dumps(encode_event(event))) for event in events]
        )

    async def reply(self, replies: Sequence[Reply]) -> None:
        """Send outcomes; one whose queue is gone is dropped by the broker: nobody waits any more.

        Raises:
            BrokerUnavailable: The connection was lost.
        """
        await self._publish(
            [
                publish_frames(
                    self._channel,
                    "",
                    reply.queue,
                    Basic.Properties(correlation_id=reply.correlation_id),
                    orjson.dumps(reply.outcome.model_dump()),
                )
                for reply in replies
            ]
        )

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Put messages into the dead-letter queue with the reason in a header.

        Raises:
            BrokerUnavailable: Not all are confirmed.
        """
        await self._publish(
            [
                publish_frames(
                    self._channel,
                    DEAD,
                    "",
                    Basic.Properties(
                        delivery_mode=PERSISTENT,
                        message_id=letter.message_id,
                        headers={
                            "x-rollcall-reason": letter.reason[:_REASON_CHARACTERS],
                            "x-rollcall-queue": letter.queue,
                        },
                    ),
                    letter.body,
                )
                for letter in letters
            ]
        )

    async def _publish(self, messages: Sequence[bytes]) -> None:
        """Write the frames of several messages in one go, and wait for the confirm of each.

        The channel numbers publishes from 1 and looks a confirm up by that number (publisher confirms,
        https://www.rabbitmq.com/docs/confirms), so each gets the same tally.
        """
        if not messages:
            return
        channel = self._channel
        tally = _Tally(len(messages))
        with broker_errors("publishing"):
            async with asyncio.timeout(CONFIRM_SECONDS):
                async with channel.lock:
                    for _ in messages:
                        channel.delivery_tag += 1
                        channel.confirmations[channel.delivery_tag] = cast(Any, tally)
                    await channel.write_queue.put(ChannelFrame(b"".join(messages), should_close=False))
                await tally.complete


class _Tally:
    """Counts the confirms of several publishes; stands for the future that the channel expects of each."""

    def __init__(self, count: int) -> None:
        self.complete = asyncio.get_running_loop().create_future()
        self._missing = count

    def done(self) -> bool:
        return self.complete.done()

    def cancelled(self) -> bool:
        return self.complete.cancelled()

    def set_result(self, _frame: object) -> None:
        self._missing -= 1
        if self._missing == 0:
            self.complete.set_result(None)

    def set_exception(self, exc: Exception) -> None:
        self.complete.set_exception(exc)
