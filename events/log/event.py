"""Events: what a decision states, what the log records of it, and its form on the wire."""

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal, get_args

from events.person.commands import Command
from events.person.schema.declarations import Value
from events.times import rfc3339

EventType = Literal["person.created", "person.updated", "person.image_changed", "person.deleted"]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
EVENT_SCHEMA: Final = 1
EVENT_SOURCE: Final = "/rollcall/people"
GENESIS: Final = "0" * 64
"""`prev` of a person's first event."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a decision states: its type and the values that it sets.

    Attributes:
        type: The event's type, past tense.
        data: All given fields (created), the changed ones with null for removed (updated), all that
            belongs to the image, or nulls (image_changed), none (deleted).
    """

    type: EventType
    data: dict[str, Value | None]


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as the log keeps it; field by field what the collection `events` holds.

    Attributes:
        event_id: UUID version 7.
        version: 1, 2, 3 … within the person's stream.
        schema: Number of the payload's schema; upcasters lift older ones.
        accepted_at: When the command API took the command, UTC, milliseconds.
        applied_at: When the worker decided; never earlier than the event before it.
        prev: `hash` of the person's event before it, or `GENESIS`.
        hash: SHA-256 over `canonical(event)`, hexadecimal.
        person_schema: The number of the person schema that `data` is written in; None for accounts, and in no
            hash then.
        idempotency_id: That of the command; kept beside the event, in no hash, export or announcement.
    """

    event_id: str
    person_id: str
    version: int
    type: EventType
    schema: int
    data: dict[str, Value | None]
    command_id: str
    actor: str
    actor_name: str | None
    accepted_at: datetime
    applied_at: datetime
    correlation_id: str
    causation_id: str | None
    traceparent: str | None
    source_address: str | None
    user_agent: str | None
    prev: str
    hash: str
    person_schema: int | None = None
    idempotency_id: str | None = None


_FIELDS: Final = tuple(field.name for field in fields(RecordedEvent) if field.name != "idempotency_id")
_HASHED: Final = tuple(name for name in _FIELDS if name != "hash")
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def _encode(content: dict[str, Any]) -> bytes:
    times = {
        "accepted_at": rfc3339(content["accepted_at"]),
        "applied_at": rfc3339(content["applied_at"]),
    }
    if content.get("person_schema", 0) is None:
        content = {name: value for name, value in content.items() if name != "person_schema"}
    return _CANONICAL({**content, **times}).encode()


def canonical(event: RecordedEvent) -> bytes:
    """Return the bytes that are hashed: every field but `hash`, as JSON with sorted keys.

    Strings, whole numbers, nulls and one level of nesting only, so this is RFC 8785 (JCS) for ASCII keys.
    Times are RFC 3339 with milliseconds.
    """
    return _encode({name: getattr(event, name) for name in _HASHED})


def seal(event: RecordedEvent) -> str:
    """Return the hash that an event must bear: SHA-256 over `prev` and all the rest, hexadecimal."""
    return hashlib.sha256(canonical(event)).hexdigest()


def export_line(event: RecordedEvent) -> bytes:
    """Return the event as a line of an exported log, without its end: `canonical`, with the hash.

    Whoever has the lines can recompute every hash; `python -m verifier` does.
    """
    return _encode({name: getattr(event, name) for name in _FIELDS})


def event_of_line(line: bytes) -> RecordedEvent:
    """Return the event in a line of an exported log. Its hash is not checked.

    Raises:
        ValueError: It is no such line.
    """
    try:
        content = json.loads(line)
        times = {name: datetime.fromisoformat(content[name]) for name in ("accepted_at", "applied_at")}
        return RecordedEvent(**{**content, **times})
    except (TypeError, KeyError, ValueError, RecursionError) as exc:
        raise ValueError(f"no event of an exported log: {type(exc).__name__}") from None


def encode_event(event: RecordedEvent) -> dict[str, Any]:
    """Return an event as a CloudEvents 1.0 structured-mode message, JSON-ready."""
    attributes = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": EVENT_SOURCE,
        "type": event.type,
        "subject": event.person_id,
        "time": rfc3339(event.applied_at),
        "datacontenttype": "application/json",
        "schemaversion": event.schema,
        "partitionkey": event.person_id,
        "version": event.version,
        "commandid": event.command_id,
        "actor": event.actor,
        "actorname": event.actor_name,
        "acceptedat": rfc3339(event.accepted_at),
        "correlationid": event.correlation_id,
        "causationid": event.causation_id,
        "traceparent": event.traceparent,
        "sourceaddress": event.source_address,
        "useragent": event.user_agent,
        "prevhash": event.prev,
        "hash": event.hash,
        "personschema": event.person_schema,
        "data": event.data,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def record(
    event: Event,
    command: Command,
    *,
    person_schema: int,
    event_id: str,
    version: int,
    applied_at: datetime,
    prev: str,
) -> RecordedEvent:
    """Return the event as the log will hold it, sealed.

    Args:
        event: What was decided.
        command: What it was decided on; gives actor, times and trace.
        person_schema: Number of the schema of its data.
        event_id: UUID version 7 for it.
        version: The person's version that it makes.
        applied_at: UTC, whole milliseconds, not before the event before it.
        prev: Hash of the event before it.
    """
    content: dict[str, Any] = {
        "event_id": event_id,
        "person_id": command.person_id,
        "version": version,
        "type": event.type,
        "schema": EVENT_SCHEMA,
        "data": event.data,
        "command_id": command.command_id,
        "actor": command.actor,
        "actor_name": command.actor_name,
        "accepted_at": command.accepted_at,
        "applied_at": applied_at,
        "correlation_id": command.correlation_id,
        "causation_id": command.causation_id,
        "traceparent": command.traceparent,
        "source_address": command.source_address,
        "user_agent": command.user_agent,
        "prev": prev,
        "person_schema": person_schema,
    }
    return sealed(content, command.idempotency_id)


def sealed(content: dict[str, Any], idempotency_id: str | None = None) -> RecordedEvent:
    """Return the event with this content, all that is hashed, and the hash that it must bear."""
    hash_ = hashlib.sha256(_encode(content)).hexdigest()
    return RecordedEvent(**content, hash=hash_, idempotency_id=idempotency_id)
