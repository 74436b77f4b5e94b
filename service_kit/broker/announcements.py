"""The message that announces an event, whoever publishes it: its body and its properties."""

import orjson
from aiormq.channel import Channel

from events.log.event import RecordedEvent, encode_event
from events.person.commands import CONTENT_TYPE
from service_kit.broker.publishing import PERSISTENT, Template
from service_kit.broker.topology import EVENTS


def announcements(channel: Channel, event_type: str, queue: str | None = None) -> Template:
    """Return what makes the publishes of events of one type; a message's id is the event's.

    Args:
        channel: Where they will be published.
        event_type: The type.
        queue: The one queue that they go to, and are mandatory for; by default they go to all subscribers.
    """
    return Template(
        channel,
        EVENTS if queue is None else "",
        event_type if queue is None else queue,
        mandatory=queue is not None,
        content_type=CONTENT_TYPE,
        delivery_mode=PERSISTENT,
        message_type=event_type,
    )


def announcement(event: RecordedEvent) -> bytes:
    """Return the body: a CloudEvent, its data as it was recorded."""
    return orjson.dumps(encode_event(event))
