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
from service_kit.seals.messages import OUTCOME, WORKER, is_id, sealed_message
from service_kit.seals.transport import TransportKey
from workers.outcomes import UnreadableMessage

CONFIRM_SECONDS: Final = 15.0
_REASON_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """An outcome for one who waits.

    Attributes:
        queue: Where.
        correlation_id: What the one who waits knows it by.
        person_id: Whom it is about; empty where that is not known.
        outcome: What is told.
    """

    queue: str
    correlation_id: str | None
    person_id: str
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

    async def send_replies(self, replies: Sequence[Reply], key: TransportKey) -> None:
        """Send outcomes; one whose queue is gone is dropped by the broker: nobody waits any more.

        Args:
            replies: The outcomes.
            key: What they are sealed with.

        Raises:
            BrokerUnavailable: The connection was lost.
        """
        frames = [
            encode_frames(
                self._channel,
                Basic.Publish(routing_key=reply.queue),
                Basic.Properties(correlation_id=reply.correlation_id),
                sealed_message(
                    key,
                    id_=reply.correlation_id,
                    type_=OUTCOME,
                    source=WORKER,
                    content=orjson.dumps(reply.outcome.model_dump()),
                    person_id=reply.person_id,
                ),
            )
            for reply in replies
            # Services of ours name what they wait for so, and nobody else is told anything.
            if reply.correlation_id is not None and is_id(reply.correlation_id)
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
