"""Owns the AMQP frames of announcements, made from templates: only id, body and its size differ.

The client library encodes every property anew and runs a task for each publish; measured, that was a
third of a worker's time (see docs/adr/0011).
"""

from typing import Final

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from events.commands import CONTENT_TYPE
from events.facts import EVENT_TYPES, EventType
from service_kit.topology import EVENTS

PERSISTENT: Final = 2
_SAMPLE_ID: Final = "00000000-0000-0000-0000-000000000000"
# Frame header (type, channel, size), then class and weight; then the body's size, 8 bytes.
# https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, 2.3.5 and 2.3.5.2
_SIZE_AT: Final = 11
_BODY_FRAME: Final = b"\x03"
_FRAME_END: Final = b"\xce"


def publish_frames(
    channel: Channel, exchange: str, routing_key: str, properties: Basic.Properties, body: bytes
) -> bytes:
    """Return the frames of one publish, as the client library makes them."""
    size = channel.max_content_size
    bodies = [ContentBody(body[at : at + size]) for at in range(0, len(body), size)]
    method = Basic.Publish(exchange=exchange, routing_key=routing_key)
    header = ContentHeader(properties=properties, body_size=len(body))
    return ChannelFrame.marshall(channel.number, [method, header, *bodies]).payload


class AnnouncementFrames:
    """Makes the frames of announcements on one channel.

    Args:
        channel: Where they will be published.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._number = channel.number.to_bytes(2, "big")
        self._templates = {type_: self._template(type_) for type_ in EVENT_TYPES}

    def _properties(self, event_type: str, event_id: str) -> Basic.Properties:
        return Basic.Properties(
            content_type=CONTENT_TYPE,
            delivery_mode=PERSISTENT,
            message_id=event_id,
            message_type=event_type,
        )

    def _template(self, event_type: str) -> tuple[bytes, bytes, bytes]:
        """Return the frames around the body's size and the event's id, with a place for each."""
        method = Basic.Publish(exchange=EVENTS, routing_key=event_type)
        header = ContentHeader(properties=self._properties(event_type, _SAMPLE_ID), body_size=0)
        frames = [frame.marshal(part, self._channel.number) for part in (method, header)]
        before, after = frames[1][:_SIZE_AT], frames[1][_SIZE_AT + 8 :]
        to_id, _, rest = after.partition(_SAMPLE_ID.encode())
        return frames[0] + before, to_id, rest

    def frames(self, event_type: EventType, event_id: str, body: bytes) -> bytes:
        """Return the frames that announce an event.

        Args:
            event_type: Its type, also the routing key.
            event_id: Its id.
            body: Its CloudEvents message.
        """
        if len(body) > self._channel.max_content_size:
            properties = self._properties(event_type, event_id)
            return publish_frames(self._channel, EVENTS, event_type, properties, body)
        start, to_id, rest = self._templates[event_type]
        size = len(body)
        return b"".join(
            (
                start,
                size.to_bytes(8, "big"),
                to_id,
                event_id.encode(),
                rest,
                _BODY_FRAME,
                self._number,
                size.to_bytes(4, "big"),
                body,
                _FRAME_END,
            )
        )
