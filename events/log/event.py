"""Events: what a decision states, what the log records of it, and its form on the wire."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Protocol, get_args

from events.log.commitments import NOTHING_SEALED, jcs, root_of_values
from events.person.commands import Command
from events.person.schema.declarations import PersonSchema, Value
from events.times import rfc3339

EventType = Literal[
    "person.created",
    "person.updated",
    "person.image_changed",
    "person.deleted",
    "person.held",
    "person.hold_lifted",
    "person.erased",
]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
EVENT_SCHEMA: Final = 2
EVENT_SOURCE: Final = "/rollcall/people"
CLEAR_TYPES: Final = frozenset({"person.erased"})
"""Types of events that seal nothing, as nobody could open it."""
CODE_TYPES: Final = frozenset({"person.held", "person.hold_lifted", "person.erased"})
"""Types of events whose data are codes and references, no fields of a person: clear, of no person schema."""
GONE: Final = frozenset({"person.deleted", "person.erased"})
"""Types of events after which there is nobody to show."""
GENESIS: Final = "0" * 64
"""`prev` of a person's first event."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a decision states: its type and the values that it sets.

    Attributes:
        type: The event's type, past tense.
        data: All given fields (created), the changed ones with null for removed (updated), all that
            belongs to the image, or nulls (image_changed), none (deleted); a reason (erased), with a
            reference (held, hold_lifted).
    """

    type: EventType
    data: dict[str, Value | None]


class EventKey(Protocol):
    """A person's key, as events are sealed with it."""

    def salts(self, event_id: str, count: int) -> list[str]:
        """Return the salts of an event's sealed names, in their order."""

    def seal(self, hash_: str, content: bytes) -> bytes:
        """Return sealed values; `content` is JSON of the values by name, `hash_` the event's."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as the log keeps it.

    Attributes:
        event_id: UUID version 7.
        version: 1, 2, 3 … within the person's stream.
        schema: Number of the payload's schema; upcasters lift older ones.
        data: The clear values, and the sealed ones where they were opened.
        actor_name: That of the actor, as the token had it; sealed, so None unless it was opened.
        accepted_at: When the command API took the command, UTC, milliseconds.
        applied_at: When the worker decided; never earlier than the event before it.
        source_address: Of who asked; sealed likewise.
        user_agent: The program that asked; sealed likewise.
        prev: `hash` of the person's event before it, or `GENESIS`.
        hash: SHA-256 over `canonical(event)`, hexadecimal.
        sealed_fields: The names of the sealed values, ascending; `@actor_name` and such among them.
        values: The root over what commits to them (`events.log.commitments`).
        sealed: They themselves, under the person's key, in no hash; None if there are none, or here not.
        person_schema: The number of the person schema that `data` is written in; None for accounts.
        idempotency_id: That of the command; kept beside the event, in no hash, export or announcement.
    """

    event_id: str
    person_id: str
    version: int
    type: EventType
    schema: int
    data: Mapping[str, Value | None]
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
    sealed_fields: tuple[str, ...] = ()
    values: str = NOTHING_SEALED
    sealed: bytes | None = None
    idempotency_id: str | None = None


ATTRIBUTES: Final = {
    "@actor_name": "actor_name",
    "@source_address": "source_address",
    "@user_agent": "user_agent",
}
"""What of an event is sealed with its data: names in `sealed_fields`, and those of the event."""
HASHED: Final = (
    *("event_id", "person_id", "version", "type", "schema", "person_schema", "command_id", "actor"),
    *("accepted_at", "applied_at", "correlation_id", "causation_id", "traceparent", "prev", "data"),
    *("sealed_fields", "values"),
)
"""The members that the hash covers, no more and no fewer."""
_ANNOUNCED: Final = {
    "event_id": "id",
    "person_id": "subject",
    "schema": "schemaversion",
    "applied_at": "time",
    "prev": "prevhash",
}
"""Their names where an event is announced, but for those that lose their underscores alone."""


def clear_data(event: RecordedEvent) -> dict[str, Value | None]:
    """Return an event's clear values."""
    return {name: value for name, value in event.data.items() if name not in event.sealed_fields}


def sealed_values(event: RecordedEvent) -> dict[str, Value | None]:
    """Return the values of an opened event that are sealed in the log, by name, ascending."""
    return {
        name: getattr(event, ATTRIBUTES[name]) if name in ATTRIBUTES else event.data[name]
        for name in event.sealed_fields
    }


def _hashed(event: RecordedEvent) -> dict[str, Any]:
    content = {name: getattr(event, name) for name in HASHED}
    content["data"] = clear_data(event)
    content["accepted_at"], content["applied_at"] = rfc3339(event.accepted_at), rfc3339(event.applied_at)
    return content


def canonical(event: RecordedEvent) -> bytes:
    """Return the bytes that are hashed: the members in `HASHED`, as RFC 8785 (JCS) has it.

    Times are RFC 3339 with milliseconds; of the sealed values there are their names and their root.
    """
    return jcs(_hashed(event))


def hash_of(event: RecordedEvent) -> str:
    """Return the hash that an event must bear: SHA-256 over `canonical`, hexadecimal."""
    return hashlib.sha256(canonical(event)).hexdigest()


def export_line(event: RecordedEvent) -> bytes:
    """Return the event as a line of an exported log, without its end and without its sealed values.

    Whoever has the lines can recompute every hash; `python -m verifier` does.
    """
    return jcs({**_hashed(event), "hash": event.hash})


def event_of_line(line: bytes) -> RecordedEvent:
    """Return the event in a line of an exported log, closed. Its hash is not checked.

    Raises:
        ValueError: It is no such line.
    """
    try:
        content = json.loads(line)
        content.pop("opened", None)
        times = {name: datetime.fromisoformat(content[name]) for name in ("accepted_at", "applied_at")}
        absent = dict.fromkeys(ATTRIBUTES.values())
        return RecordedEvent(
            **{**content, **absent, **times, "sealed_fields": tuple(content["sealed_fields"])}
        )
    except (TypeError, KeyError, ValueError, RecursionError) as exc:
        raise ValueError(f"no event of an exported log: {type(exc).__name__}") from None


def encode_event(event: RecordedEvent) -> dict[str, Any]:
    """Return an event as a CloudEvents 1.0 structured-mode message, JSON-ready: sealed."""
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
        "acceptedat": rfc3339(event.accepted_at),
        "correlationid": event.correlation_id,
        "causationid": event.causation_id,
        "traceparent": event.traceparent,
        "prevhash": event.prev,
        "hash": event.hash,
        "personschema": event.person_schema,
        "sealedfields": list(event.sealed_fields),
        "values": event.values,
        "sealed": None if event.sealed is None else event.sealed.hex(),
        "data": clear_data(event),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def announced_hash(content: Mapping[str, Any]) -> str:
    """Return the hash that an event must bear, from what announces it, as of `encode_event`.

    Raises:
        TypeError: It holds what no event holds.
        ValueError: Likewise.
    """
    members = {name: content.get(_ANNOUNCED.get(name, name.replace("_", ""))) for name in HASHED}
    return hashlib.sha256(jcs(members)).hexdigest()


def record(
    event: Event,
    command: Command,
    *,
    schema: PersonSchema,
    key: EventKey,
    event_id: str,
    version: int,
    applied_at: datetime,
    prev: str,
) -> RecordedEvent:
    """Return the event as the log will hold it, sealed, and opened in memory.

    Args:
        event: What was decided.
        command: What it was decided on; gives actor, times and trace.
        schema: The schema of its data: says what is personal.
        key: The person's.
        event_id: UUID version 7 for it.
        version: The person's version that it makes.
        applied_at: UTC, whole milliseconds, not before the event before it.
        prev: Hash of the event before it.
    """
    secret: dict[str, Value | None] = {}
    if event.type not in CLEAR_TYPES:
        for name, attribute in ATTRIBUTES.items():
            if (value := getattr(command, attribute)) is not None:
                secret[name] = value
        clear = schema.clear
        if event.type not in CODE_TYPES:
            secret |= {name: value for name, value in sorted(event.data.items()) if name not in clear}
    names = tuple(secret)
    values = root_of_values(key.salts(event_id, len(names)), secret.items()) if names else NOTHING_SEALED
    attributes: dict[str, Any] = {name: secret.get(f"@{name}") for name in ATTRIBUTES.values()}
    content: dict[str, Any] = {
        "event_id": event_id,
        "person_id": command.person_id,
        "version": version,
        "type": event.type,
        "schema": EVENT_SCHEMA,
        "data": event.data,
        "command_id": command.command_id,
        "actor": command.actor,
        "accepted_at": command.accepted_at,
        "applied_at": applied_at,
        "correlation_id": command.correlation_id,
        "causation_id": command.causation_id,
        "traceparent": command.traceparent,
        "prev": prev,
        "person_schema": schema.version,
        "sealed_fields": names,
        "values": values,
    }
    hash_ = _hash_of_content(content)
    return RecordedEvent(
        **content,
        **attributes,
        hash=hash_,
        sealed=key.seal(hash_, jcs(secret)) if names else None,
        idempotency_id=command.idempotency_id,
    )


def recorded(content: Mapping[str, Any]) -> RecordedEvent:
    """Return the event of a stream without sealed values.

    Args:
        content: What is hashed of it, but for what says that nothing is sealed and no person schema applies.
    """
    absent: dict[str, Any] = dict.fromkeys(ATTRIBUTES.values())
    whole = {"person_schema": None, "sealed_fields": (), "values": NOTHING_SEALED, **content}
    return RecordedEvent(**whole, **absent, hash=_hash_of_content(whole))


def _hash_of_content(content: Mapping[str, Any]) -> str:
    sealed = content["sealed_fields"]
    hashed = {
        **content,
        "data": {name: value for name, value in content["data"].items() if name not in sealed},
        "accepted_at": rfc3339(content["accepted_at"]),
        "applied_at": rfc3339(content["applied_at"]),
    }
    return hashlib.sha256(jcs(hashed)).hexdigest()
