"""The events of the person schema: each puts one on record, as a whole, with who did it and when. Pure.

Their stream's id has a colon in it, as those of accounts have, so it is no person's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from events.log.event import EVENT_SCHEMA, GENESIS, RecordedEvent, recorded
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import parse_schema

SCHEMA_STREAM: Final = "schema:person"
SchemaEventType = Literal["schema.applied"]
SCHEMA_EVENT_TYPES: Final[tuple[SchemaEventType, ...]] = get_args(SchemaEventType)


@dataclass(frozen=True, slots=True)
class AppliedSchema:
    """A person schema on record.

    Attributes:
        schema: What was put in force.
        text: Its file's content, as `schema_text` writes it.
        version: Its place in the stream.
        hash: The event's.
        actor: Who did it.
        applied_at: When, UTC.
    """

    schema: PersonSchema
    text: str
    version: int
    hash: str
    actor: str
    applied_at: datetime


def schema_text(schema: PersonSchema) -> str:
    """Return the content of a schema's file as one line; the fields keep their order."""
    return json.dumps(schema.document, ensure_ascii=False, separators=(",", ":"))


def record_schema(
    schema: PersonSchema,
    last: AppliedSchema | None,
    *,
    event_id: str,
    command_id: str,
    actor: str,
    user_agent: str,
    now: datetime,
) -> RecordedEvent:
    """Return the event that puts a schema on record, sealed.

    Args:
        schema: What comes into force.
        last: The one that is; None for the first on record.
        event_id: UUID version 7 for it.
        command_id: Likewise, of what was asked for.
        actor: Who asked for it.
        user_agent: The program that did it.
        now: UTC, whole milliseconds.
    """
    content: dict[str, Any] = {
        "event_id": event_id,
        "person_id": SCHEMA_STREAM,
        "version": last.version + 1 if last else 1,
        "type": SCHEMA_EVENT_TYPES[0],
        "schema": EVENT_SCHEMA,
        "data": {"number": schema.version, "document": schema_text(schema), "user_agent": user_agent},
        "command_id": command_id,
        "actor": actor,
        "accepted_at": now,
        "applied_at": max(now, last.applied_at) if last else now,
        "correlation_id": command_id,
        "causation_id": None,
        "traceparent": None,
        "prev": last.hash if last else GENESIS,
    }
    return recorded(content)


def applied_schema(document: Mapping[str, Any]) -> AppliedSchema:
    """Return the schema in a document of the collection `schema_events`.

    Raises:
        WrongFile: It is none: this code is older than what put it on record.
    """
    text = document["data"]["document"]
    return AppliedSchema(
        schema=parse_schema(text),
        text=text,
        version=document["version"],
        hash=document["hash"],
        actor=document["actor"],
        applied_at=document["applied_at"],
    )
