"""The query parameters of history and audit search, and the MongoDB filters that they mean.

A value from a client only ever stands where a value stands: it never names a field or an operator.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo

from events.accounts.event import ACCOUNT_EVENT_TYPES, AccountEventType, is_stream
from events.log.applied_schema import SCHEMA_EVENT_TYPES, SCHEMA_STREAM, SchemaEventType
from events.log.event import EVENT_TYPES, EventType
from events.log.stored import ACCOUNT_EVENTS, EVENTS, SCHEMA_EVENTS
from query_api.reading.cursors import MAX_CURSOR
from query_api.reading.forms import MAX_PAGE, TimedQuery, zone_in
from query_api.reading.times import span_of

_Cursor = Annotated[str, Field(max_length=MAX_CURSOR)]


def _stream(text: str) -> str:
    return text if text == SCHEMA_STREAM or is_stream(text) else str(UUID(text))


_Id = Annotated[str, Field(max_length=300), AfterValidator(_stream)]
_FAMILIES: Final[dict[str, tuple[str, ...]]] = {"person.*": EVENT_TYPES, "account.*": ACCOUNT_EVENT_TYPES}

_HOMES: Final = {"person": EVENTS, "account": ACCOUNT_EVENTS, "schema": SCHEMA_EVENTS}
"""By what types begin with, the collection of their events."""
_TYPES: Final[dict[str, tuple[str, ...]]] = {
    ACCOUNT_EVENTS: ACCOUNT_EVENT_TYPES,
    SCHEMA_EVENTS: SCHEMA_EVENT_TYPES,
}


def _start(text: str, info: ValidationInfo) -> str:
    """Return a moment; of a day, the first of it."""
    return span_of(text, zone_in(info))[0].isoformat()


_Time = Annotated[
    str, Field(max_length=64, json_schema_extra={"format": "date-time"}), AfterValidator(_start)
]
_STEERING: Final = frozenset({"consistency", "tz", "sort", "limit", "cursor"})


class SpanQuery(TimedQuery):
    """Parameters that choose what was decided within some time."""

    from_: _Time | None = Field(default=None, alias="from", description="Then or later: RFC 3339, or a day")
    to: _Time | None = Field(
        default=None, description="Before then: RFC 3339, or a day, which is not included"
    )

    @property
    def is_span(self) -> bool:
        """Return whether a time is given."""
        return not (self.from_ is None and self.to is None)

    def within(self, field: str) -> list[dict[str, Any]]:
        """Return the MongoDB conditions on the time in a field."""
        bounds = (("$gte", self.from_), ("$lt", self.to))
        return [
            {field: {operator: datetime.fromisoformat(bound)}}
            for operator, bound in bounds
            if bound is not None
        ]


class HistoryQuery(SpanQuery):
    """Parameters of a person's history."""

    include: Literal["rejected"] | None = Field(
        default=None, description="`rejected`: also the commands that were refused"
    )
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Entries a page")
    cursor: _Cursor | None = Field(default=None, description="`next` of the page before")

    @property
    def is_search(self) -> bool:
        """Return whether many more entries may be read for it than are shown: no index has all of it."""
        return self.include is not None or self.is_span


class EventsQuery(SpanQuery):
    """Parameters of the search over everybody's events."""

    type: Literal[EventType, AccountEventType, SchemaEventType, "person.*", "account.*"] | None = Field(
        default=None, description="An event's type, or all that begin so"
    )
    actor: str | None = Field(default=None, max_length=255, description="Subject of who did it")
    person_id: _Id | None = Field(
        default=None,
        description="A person's id; or `account:NAME`, `address:ADDRESS`, `invitation:ID`, `token:ID`, "
        "`schema:person`",
    )
    correlation_id: str | None = Field(default=None, max_length=255, description="As the command gave it")
    sort: Literal["applied_at", "-applied_at"] = Field(
        default="-applied_at", description="Oldest first, or newest first"
    )
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Events a page")
    cursor: _Cursor | None = Field(default=None, description="`next` of the page before")

    @property
    def filters(self) -> dict[str, str]:
        """Return the parameters that choose events, not order or page."""
        return {name: value for name, value in self if value is not None and name not in _STEERING}

    @property
    def is_search(self) -> bool:
        """Return whether many more events may be read for it than are shown: no index has all of it."""
        given = [self.type, self.actor, self.person_id, self.correlation_id]
        return self.person_id is not None or len(given) - given.count(None) > 1

    @property
    def descending(self) -> bool:
        """Return whether the newest come first."""
        return self.sort.startswith("-")

    @property
    def order(self) -> list[tuple[str, int]]:
        """Return the order as MongoDB takes it."""
        direction = -1 if self.descending else 1
        return [("applied_at", direction), ("_id", direction)]

    @property
    def collections(self) -> tuple[str, ...]:
        """Return where events may be that are asked for: of people, accounts, the schema, or all."""
        if self.person_id == SCHEMA_STREAM:
            return (SCHEMA_EVENTS,)
        if self.person_id is not None:
            return (ACCOUNT_EVENTS,) if is_stream(self.person_id) else (EVENTS,)
        if self.type is not None:
            return (_HOMES[self.type.partition(".")[0]],)
        return EVENTS, ACCOUNT_EVENTS, SCHEMA_EVENTS

    @property
    def conditions(self) -> list[dict[str, Any]]:
        """Return the MongoDB conditions, all of which must hold."""
        found: list[dict[str, Any]] = []
        for name in ("type", "actor", "person_id", "correlation_id"):
            value = getattr(self, name)
            if name == "type" and value in _FAMILIES:
                # One index serves several equal values and the order; it would not a range.
                found.append({name: {"$in": list(_FAMILIES[value])}})
            elif value is not None:
                found.append({name: {"$eq": value}})
        return found + self.within("applied_at")

    def conditions_in(self, collection: str) -> list[dict[str, Any]]:
        """Return the conditions of the events in one of the collections.

        Who may add to another log than people's could write an event of a person there: it is none.
        """
        if collection in _TYPES and self.type is None:
            return [*self.conditions, {"type": {"$in": list(_TYPES[collection])}}]
        return self.conditions


def place_of(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return an event's place in the order of the search."""
    return document["applied_at"], document["_id"]


def all_of(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the filter of documents for which all the conditions hold."""
    return {"$and": conditions} if conditions else {}
