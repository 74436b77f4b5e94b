"""The events of the person schema: what is prepared, withdrawn or put in force, by whom and when. Pure.

Their stream's id has a colon in it, as those of accounts have, so it is no person's. What makes something
unique is prepared first: until it is in force or withdrawn, workers claim for it without refusing.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from events.log.event import EVENT_SCHEMA, GENESIS, RecordedEvent, recorded
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import parse_schema

SCHEMA_STREAM: Final = "schema:person"
SchemaEventType = Literal["schema.applied", "schema.prepared", "schema.withdrawn"]
SCHEMA_EVENT_TYPES: Final[tuple[SchemaEventType, ...]] = get_args(SchemaEventType)
APPLIED, PREPARED, WITHDRAWN = SCHEMA_EVENT_TYPES


@dataclass(frozen=True, slots=True)
class AppliedSchema:
    """A person schema on record.

    Attributes:
        schema: What was put in force, or prepared.
        text: Its file's content, as `schema_text` writes it.
        version: Its place in the stream.
        hash: The event's.
        actor: Who did it.
        applied_at: When, UTC.
        type: Which of the two it was.
    """

    schema: PersonSchema
    text: str
    version: int
    hash: str
    actor: str
    applied_at: datetime
    type: SchemaEventType = APPLIED

    @property
    def number(self) -> int:
        """The schema's number."""
        return self.schema.version


@dataclass(frozen=True, slots=True)
class WithdrawnSchema:
    """That a schema which was prepared does not come into force.

    Attributes:
        number: The schema's.
        kinds: Of claims, of which two people had the same values; none if somebody asked for it.
        version: Its place in the stream.
        hash: The event's.
        actor: Who did it.
        applied_at: When, UTC.
    """

    number: int
    kinds: tuple[str, ...]
    version: int
    hash: str
    actor: str
    applied_at: datetime
    type: SchemaEventType = WITHDRAWN


@dataclass(frozen=True, slots=True)
class SchemaLog:
    """All that is on record of the person schema, the oldest first."""

    events: tuple[AppliedSchema | WithdrawnSchema, ...]

    @property
    def applied(self) -> list[AppliedSchema]:
        """What was put in force, the oldest first."""
        return [one for one in self.events if isinstance(one, AppliedSchema) and one.type == APPLIED]

    @property
    def prepared(self) -> AppliedSchema | None:
        """What is prepared now."""
        last = self.last
        return last if isinstance(last, AppliedSchema) and last.type == PREPARED else None

    @property
    def last(self) -> AppliedSchema | WithdrawnSchema | None:
        """The newest event."""
        return self.events[-1] if self.events else None


def schema_text(schema: PersonSchema) -> str:
    """Return the content of a schema's file as one line; the fields keep their order."""
    return json.dumps(schema.document, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Who puts something on record, and when.

    Attributes:
        event_id: UUID version 7 for the event.
        command_id: Likewise, of what was asked for.
        actor: Who asked for it.
        user_agent: The program that did it.
        now: UTC, whole milliseconds.
    """

    event_id: str
    command_id: str
    actor: str
    user_agent: str
    now: datetime


def record_schema(
    schema: PersonSchema,
    last: AppliedSchema | WithdrawnSchema | None,
    stamp: Stamp,
    type_: SchemaEventType = APPLIED,
) -> RecordedEvent:
    """Return the event that puts a schema on record, sealed.

    Args:
        schema: What comes into force, or is prepared.
        last: The newest event; None if there is none.
        stamp: Who does it, and when.
        type_: Which of the two it is.
    """
    return _recorded(type_, {"number": schema.version, "document": schema_text(schema)}, last, stamp)


def record_withdrawal(prepared: AppliedSchema, kinds: Collection[str], stamp: Stamp) -> RecordedEvent:
    """Return the event that says that a schema does not come into force.

    Args:
        prepared: The schema; the newest event.
        kinds: Of claims, of which two people have the same values.
        stamp: Who does it, and when.
    """
    return _recorded(WITHDRAWN, {"number": prepared.number, "kinds": sorted(kinds)}, prepared, stamp)


def _recorded(
    type_: SchemaEventType,
    data: Mapping[str, Any],
    last: AppliedSchema | WithdrawnSchema | None,
    stamp: Stamp,
) -> RecordedEvent:
    content: dict[str, Any] = {
        "event_id": stamp.event_id,
        "person_id": SCHEMA_STREAM,
        "version": last.version + 1 if last else 1,
        "type": type_,
        "schema": EVENT_SCHEMA,
        "data": {**data, "user_agent": stamp.user_agent},
        "command_id": stamp.command_id,
        "actor": stamp.actor,
        "accepted_at": stamp.now,
        "applied_at": max(stamp.now, last.applied_at) if last else stamp.now,
        "correlation_id": stamp.command_id,
        "causation_id": None,
        "traceparent": None,
        "prev": last.hash if last else GENESIS,
    }
    return recorded(content)


def schema_log(documents: Iterable[Mapping[str, Any]]) -> SchemaLog:
    """Return what is on record by the documents of the collection `schema_events`, the oldest first.

    Raises:
        WrongFile: One of them is none: this code is older than what put it on record.
    """
    return SchemaLog(
        tuple(_withdrawn(one) if one["type"] == WITHDRAWN else applied_schema(one) for one in documents)
    )


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
        type=document["type"],
    )


def _withdrawn(document: Mapping[str, Any]) -> WithdrawnSchema:
    return WithdrawnSchema(
        number=document["data"]["number"],
        kinds=tuple(document["data"]["kinds"]),
        version=document["version"],
        hash=document["hash"],
        actor=document["actor"],
        applied_at=document["applied_at"],
    )
