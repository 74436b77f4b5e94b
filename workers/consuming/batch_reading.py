"""Reads deliveries as batches of commands, and holds what is newer than this worker."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from events.errors import MalformedMessage, NewerSchema
from events.parking.controls import Control, Message, decode_message
from events.person.commands import Envelope, envelope_of
from events.person.schema.declarations import PersonSchema
from events.person.schema.lifting import refuse_newer
from events.person.schema.messages import person_schema_of
from service_kit.broker.topology import partition_queue
from service_kit.mongo.transport_keys import Opened, content_of
from service_kit.seals.messages import FOREIGN, is_id, read_sealed
from workers.consuming.deliveries import Batch, Delivery, DeliveryQueue
from workers.outcomes import UnreadableMessage

UNKNOWN_ACTOR: Final = "unknown"
"""Stands for who asked for what cannot be opened."""

log = structlog.get_logger()


async def read_or_hold(
    queue: DeliveryQueue,
    deliveries: Sequence[Delivery],
    opened: Sequence[Opened],
    now: datetime,
    schema: PersonSchema,
    set_aside_if_suspect: Callable[[Delivery, Message], bool],
) -> list[Batch]:
    """Return deliveries as batches; if one of them is too new, return nothing, once the worker ends.

    Nothing of them is acknowledged then: when the newer schema is on record, this worker ends, and the next
    one, which goes by it, gets all of it again.

    Args:
        queue: Where they were taken; closed when the worker ends.
        deliveries: As of `read_batches`, like the rest.
        opened: What is in each.
        now: The time, UTC.
        schema: What a person is.
        set_aside_if_suspect: Tells whether a message is set aside.
    """
    try:
        return read_batches(deliveries, opened, now, schema, set_aside_if_suspect)
    except NewerSchema as exc:
        log.warning("holding commands", reason=exc.detail)
        await queue.until_closed()
        return []


def read_batches(
    deliveries: Sequence[Delivery],
    opened: Sequence[Opened],
    now: datetime,
    schema: PersonSchema,
    set_aside_if_suspect: Callable[[Delivery, Message], bool] = lambda _delivery, _message: False,
) -> list[Batch]:
    """Return the deliveries as batches, in order: a control has one of its own.

    What is neither command nor control is set apart as unreadable.

    Args:
        deliveries: In order of arrival.
        opened: What is in each, or why it cannot be opened.
        now: The time, UTC.
        schema: What a person is.
        set_aside_if_suspect: Tells whether a message is set aside, and no part of a batch.

    Raises:
        NewerSchema: A command was written by a newer person schema than this one.
    """
    batches = [Batch()]
    for delivery, one in zip(deliveries, opened, strict=True):
        try:
            message = decode_message(content_of(one), schema)
        except MalformedMessage as exc:
            if isinstance(one, bytes):
                refuse_newer(person_schema_of(one), schema)
            batches[-1].unreadable.append(_unreadable(delivery, one, exc.detail, now))
        else:
            if not isinstance(message, Control):
                refuse_newer(message.person_schema, schema)
            if set_aside_if_suspect(delivery, message):
                continue
            if isinstance(message, Control):
                batches += [Batch([delivery], control=message), Batch()]
                continue
            batches[-1].commands.append((delivery, message))
        batches[-1].deliveries.append(delivery)
    return [batch for batch in batches if batch.deliveries]


def _unreadable(delivery: Delivery, opened: Opened, reason: str, now: datetime) -> UnreadableMessage:
    envelope = envelope_of(opened) if isinstance(opened, bytes) else _closed(delivery.body, now)
    message_id = delivery.message_id if is_id(delivery.message_id) else None
    message_id = message_id or (envelope.command_id if envelope else None)
    queue = partition_queue(delivery.partition.number)
    waiting = {"reply_to": delivery.reply_to, "correlation_id": delivery.correlation_id}
    return UnreadableMessage(delivery.body, message_id, queue, reason, now, envelope, **waiting)


def _closed(body: bytes, now: datetime) -> Envelope | None:
    """Return what a sealed message says of itself that cannot be opened."""
    sealed = read_sealed(body)
    if sealed is None or sealed.type == FOREIGN or not sealed.person_id:
        return None
    return Envelope(
        type=sealed.type,
        command_id=sealed.id,
        person_id=sealed.person_id,
        accepted_at=now,
        actor=UNKNOWN_ACTOR,
        correlation_id=sealed.id,
    )
