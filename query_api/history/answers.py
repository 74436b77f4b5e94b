"""The bodies that tell auditors of events and of what was refused."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, RootModel

from events.accounts.event import AccountEventType
from events.log.applied_schema import SchemaEventType
from events.log.event import EventType
from events.person.schema.declarations import Value
from service_kit.http.formats import Hash, Id, Next, Time

_ERASED: Final = "The fields whose values are erased; of an erased person's events alone"


class Actor(BaseModel):
    """Who gave a command."""

    subject: str
    name: str | None


class _Asked(BaseModel):
    """What is known of a command, whatever became of it."""

    actor: Actor
    accepted_at: Time
    source_address: str | None
    user_agent: str | None
    command_id: Id
    correlation_id: str
    causation_id: str | None
    traceparent: str | None


class _Recorded(_Asked):
    event_id: Id
    version: int
    applied_at: Time
    schema_: int = Field(alias="schema", description="Number of the event's schema")
    prev: Hash = Field(description="`hash` of the event before it in its stream")
    hash: Hash


class Event(_Recorded):
    """An event of the log."""

    person_id: str = Field(
        description="A person's id; or `account:NAME`, `address:ADDRESS`, `invitation:ID`, `token:ID`, "
        "`schema:person`"
    )
    type: Literal[EventType, AccountEventType, SchemaEventType]
    data: dict[str, Value | None] = Field(description="What it sets; null for what it removes")
    erased: list[str] = Field(description=_ERASED)


class PageOfEvents(BaseModel):
    """Some of the events that were asked for."""

    items: list[Event]
    next: Next


class Change(BaseModel):
    """A field before and after."""

    from_: Value | None = Field(alias="from")
    to: Value | None


class AppliedEntry(_Recorded):
    """An event in a person's history."""

    status: Literal["applied"]
    type: EventType
    changes: dict[str, Change] = Field(description="By field")
    erased: list[str] = Field(description=_ERASED)
    former_names: dict[str, str] = Field(
        description="By field, what it was called when the event was written, if that was otherwise",
    )


class RejectedEntry(_Asked):
    """A command in a person's history that was refused."""

    status: Literal["rejected"]
    type: str = Field(description="Of the command")
    reason: str = Field(description="The code of the rejection")
    detail: str
    rejected_at: Time


class HistoryEntry(RootModel[Annotated[AppliedEntry | RejectedEntry, Field(discriminator="status")]]):
    """An entry of a person's history."""


class PageOfHistory(BaseModel):
    """Some of a person's history, newest first."""

    person_id: Id
    items: list[HistoryEntry]
    next: Next
