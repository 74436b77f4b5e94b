"""The body that tells all that is kept about a person."""

from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from events.person.schema.declarations import PersonSchema
from query_api.accesses.answers import Access
from query_api.history.answers import HistoryEntry
from service_kit.http.answers import person_answers
from service_kit.http.formats import Id, Time

_More = Field(description="Where the others are, that are not told here; null if these are all")


class ReportedHistory(BaseModel):
    """What was done to the person, newest first."""

    items: list[HistoryEntry]
    next: str | None = _More


class ReportedAccesses(BaseModel):
    """Who read about the person, newest first."""

    items: list[Access]
    next: str | None = _More


class ReportedRecipients(BaseModel):
    """Exports of people, and followers of events, since the person is there: each may have had it."""

    items: list[Access]
    next: str | None = _More


class ReportedCommand(BaseModel):
    """A command that waits, since one before it failed."""

    command_id: Id
    type: str
    actor: str
    reason: str
    accepted_at: Time
    parked_at: Time


class ReportedWaiting(BaseModel):
    """What waits of the person, in order."""

    items: list[ReportedCommand]
    next: str | None = _More


class ReportedHold(BaseModel):
    """What forbids erasing the person."""

    reference: str
    reason: str


class Retention(BaseModel):
    """How long what is kept, but for values, which are kept until the person is erased."""

    access_days: int = Field(description="Access records, and what was searched for")


@lru_cache(maxsize=16)
def report_answer(schema: PersonSchema) -> type[BaseModel]:
    """Return the body of a report on a person of a schema; made once."""
    person = person_answers(schema).person
    fields: dict[str, Any] = {
        "person_id": (Id, ...),
        "status": (
            Literal["active", "deleted", "erased", "absent"],
            Field(description="`absent`: there are waiting commands alone"),
        ),
        "made_at": (Time, ...),
        "person": (person | None, Field(description="Present values; null of a person who is not active")),
        "unique": (list[str], Field(description="Which values, or values together, nobody else may have")),
        "history": (ReportedHistory, ...),
        "accesses": (
            ReportedAccesses | None,
            Field(description="Null of an erased person, of whom there is only the proof"),
        ),
        "recipients": (ReportedRecipients | None, Field(description="Null of an erased person")),
        "waiting": (ReportedWaiting, ...),
        "holds": (list[ReportedHold], ...),
        "retention": (Retention, ...),
    }
    return create_model("PersonReport", __doc__="All that is kept about a person.", **fields)
