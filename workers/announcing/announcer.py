"""Publishes what the worker has to say: announcements, replies, dead letters; the broker confirms all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from aiormq.channel import Channel
from pamqp.commands import Basic

from events.log.event import EVENT_TYPES, RecordedEvent
from events.person.outcomes import Outcome
from events.times import rfc3339
from service_kit.broker.announcements import announcement, announcements
from service_kit.broker.publishing import PERSISTENT, encode_frames, publish, publish_each
from service_kit.broker.topology import COMMANDS, DEAD, PROBE
from workers.outcomes import UnreadableMessage

CONFIRM_SECONDS: Final = 15.0
_REASON_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """An outcome for one who waits."""

    queue: str
    correlation_id: str | None
    outcome: Outcome


class Announcer:
    """Publishes on one channel, in the order of the calls.

    Args:
        channel: With publisher confirms, on a connection that nothing is consumed from.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._announcements = {type_: announcements(channel, type_) for type_ in EVENT_TYPES}

    def encode_announcement(self, event: RecordedEvent) -> bytes:
        """Return the frames of an event's announcement."""
        return self._announcements[event.type].frames(event.event_id, announcement(event))

    async def announce(self, frames: Sequence[bytes]) -> None:
        """Publish announcements to the topic exchange, and return when the broker has them all.

        Args:
            frames: Of each, as `encode_announcement` returns them.

        Raises:
            BrokerUnavailable: Not all are confirmed; announcing them all again is harmless.
        """
        await publish(self._channel, frames, CONFIRM_SECONDS)

    async def send_probes(self, partitions: Sequence[int]) -> None:
        """Publish a probe into each of some partitions; one that refuses it is asked another time.

        Raises:
            BrokerUnavailable: The connection was lost.
        """
        frames = [
            encode_frames(
                self._channel,
                Basic.Publish(exchange=COMMANDS, routing_key=str(number)),
                Basic.Properties(message_type=PROBE),
                b"",
            )
            for number in partitions
        ]
        await publish_each(self._channel, frames, CONFIRM_SECONDS, ())

    async def send_replies(self, replies: Sequence[Reply]) -> None:
        """Send outcomes; one whose queue is gone is dropped by the broker: nobody waits any more.

        Raises:
            BrokerUnavailable: The connection was lost.
        """
        frames = [
            encode_frames(
                self._channel,
                Basic.Publish(routing_key=reply.queue),
                Basic.Properties(correlation_id=reply.correlation_id),
                orjson.dumps(reply.outcome.model_dump()),
            )
            for reply in replies
        ]
        await publish(self._channel, frames, CONFIRM_SECONDS)

    async def bury(self, letters: Sequence[UnreadableMessage]) -> None:
        """Put unreadable messages into the dead-letter queue with the reason in a header.

        Raises:
            BrokerUnavailable: Not all are confirmed.
        """
        frames = [
            encode_frames(
                self._channel,
                Basic.Publish(exchange=DEAD),
                Basic.Properties(
                    delivery_mode=PERSISTENT,
                    message_id=letter.message_id,
                    headers={
                        "x-rollcall-reason": letter.reason[:_REASON_CHARACTERS],
                        "x-rollcall-queue": letter.queue,
                        "x-rollcall-time": rfc3339(letter.time),
                    },
                ),
                letter.body,
            )
            for letter in letters
        ]
        await publish(self._channel, frames, CONFIRM_SECONDS)
