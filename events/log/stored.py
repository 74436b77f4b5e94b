"""Converts events to their documents in the log's collections, and back. Pure.

`payload_of` and `events.person.decider.evolve` say what an event means, in the newest schema's form
(`events.log.upcasting`). `event_of` gives it as it was recorded, for those who prove it or tell it on.
"""

from collections.abc import Mapping
from typing import Any, Final

from events.log.commitments import NOTHING_SEALED
from events.log.event import ATTRIBUTES, CODE_TYPES, EventType, RecordedEvent, clear_data
from events.log.upcasting import lift
from events.person.schema.declarations import PersonSchema, Value
from events.person.schema.lifting import lift_values

EVENTS: Final = "events"
"""The collection with the events of people."""
ACCOUNT_EVENTS: Final = "account_events"
"""The collection with those of accounts: who keeps accounts has no business with people's."""
SCHEMA_EVENTS: Final = "schema_events"
"""The collection with those of the person schema: what was in force, since when, and by whom."""
NULLABLE: Final = ("causation_id", "traceparent", "person_schema", "sealed")
"""Fields of an event that its document leaves out when there is nothing to say."""
OPENED: Final = tuple(ATTRIBUTES.values())
"""Fields of an event that only an opened document has."""
BESIDE: Final = "idempotency_id"
"""What a document has beside the event, if its command had a key: no hash covers it, and no export has it."""


def event_document(event: RecordedEvent) -> dict[str, Any]:
    """Return an event as its collection keeps it: sealed, absent values left out."""
    document: dict[str, Any] = {
        "_id": event.event_id,
        "person_id": event.person_id,
        "version": event.version,
        "type": event.type,
        "schema": event.schema,
        "data": clear_data(event),
        "command_id": event.command_id,
        "actor": event.actor,
        "accepted_at": event.accepted_at,
        "applied_at": event.applied_at,
        "correlation_id": event.correlation_id,
        "prev": event.prev,
        "hash": event.hash,
        "sealed_fields": list(event.sealed_fields),
        "values": event.values,
    }
    for name in (*NULLABLE, BESIDE):
        value = getattr(event, name)
        if value is not None:
            document[name] = value
    return document


def payload_of(
    document: Mapping[str, Any], schema: PersonSchema | None = None
) -> tuple[EventType, Mapping[str, Value | None]]:
    """Return the type and data of the event in a document of the log, in the newest schema's form.

    Args:
        document: The event, opened (`service_kit.seals.opening`).
        schema: The person schema in whose form the fields are; None for what has none.

    Raises:
        NewerSchema: This code is too old to know what it means.
        UnknownSchema: It has a schema that there has never been.
    """
    type_ = document["type"]
    data: Mapping[str, Value | None] = lift(type_, document["schema"], document["data"])
    if schema is not None and schema.earlier and type_ not in CODE_TYPES:
        data = lift_values(type_, document.get("person_schema"), data, schema)
    return type_, data


def event_of(document: Mapping[str, Any]) -> RecordedEvent:
    """Return the event in a document of the log, as it was recorded; opened if the document was opened."""
    return RecordedEvent(
        event_id=document["_id"],
        person_id=document["person_id"],
        version=document["version"],
        type=document["type"],
        schema=document["schema"],
        data=document["data"],
        command_id=document["command_id"],
        actor=document["actor"],
        actor_name=document.get("actor_name"),
        accepted_at=document["accepted_at"],
        applied_at=document["applied_at"],
        correlation_id=document["correlation_id"],
        causation_id=document.get("causation_id"),
        traceparent=document.get("traceparent"),
        source_address=document.get("source_address"),
        user_agent=document.get("user_agent"),
        prev=document["prev"],
        hash=document["hash"],
        person_schema=document.get("person_schema"),
        sealed_fields=tuple(document.get("sealed_fields", ())),
        values=document.get("values", NOTHING_SEALED),
        sealed=document.get("sealed"),
        idempotency_id=document.get(BESIDE),
    )
