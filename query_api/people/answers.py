"""The bodies that tell of people, and of what became of a command."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel, create_model

from events.person.fields import with_fields
from events.person.schema.declarations import PersonSchema
from query_api.people.filters import COUNTED
from service_kit.http.answers import person_answers
from service_kit.http.formats import Id, Next


class _Decided(BaseModel):
    person_id: Id
    command_id: Id


class AppliedCommand(_Decided):
    """A command that made an event."""

    status: Literal["applied"]
    version: int
    event_id: Id


class UnchangedCommand(_Decided):
    """A command that would change nothing: the person was so before."""

    status: Literal["unchanged"]
    version: int = Field(description="The person's")


class RejectedCommand(_Decided):
    """A command that the rules do not allow."""

    status: Literal["rejected"]
    reason: str = Field(description="The code of the rejection")
    detail: str


class ParkedCommand(_Decided):
    """A command that waits until an operator has seen to its person."""

    status: Literal["parked"]
    reason: str = Field(description="`waits-behind`, or the kind of failure")
    detail: str


class UnreadableCommand(_Decided):
    """A command that no worker can read, by a fault of ours; it is with the dead letters."""

    status: Literal["unreadable"]
    detail: str


_Status = AppliedCommand | UnchangedCommand | RejectedCommand | ParkedCommand | UnreadableCommand


class CommandStatus(RootModel[Annotated[_Status, Field(discriminator="status")]]):
    """What became of a command."""


@dataclass(frozen=True, slots=True)
class PeopleAnswers:
    """The bodies that tell of a schema's people.

    Attributes:
        shown: A person, whole unless `fields` asks for some fields alone.
        page: Some of the people that were asked for.
    """

    shown: type[BaseModel]
    page: type[BaseModel]


class _Sparse(BaseModel):
    id: Id


@lru_cache(maxsize=16)
def people_answers(schema: PersonSchema) -> PeopleAnswers:
    """Return the bodies that tell of a schema's people; made once."""
    person = person_answers(schema).person
    names: dict[str, Any] = {
        name: (field.rebuild_annotation(), None)
        for name, field in person.model_fields.items()
        if name != "id"
    }
    told = "A person with the fields alone that `fields` asks for."
    sparse: Any = with_fields(names)(type("SparsePerson", (_Sparse,), {"__doc__": told}))
    told = "A person, whole unless `fields` asks for some fields alone."
    shown = type("ShownPerson", (RootModel[person | sparse],), {"__doc__": told})  # type: ignore[valid-type]
    page = create_model(
        "PageOfPeople",
        __doc__="Some of the people that were asked for.",
        items=(list[person | sparse], ...),  # type: ignore[valid-type]
        next=(Next, ...),
        count=(
            int,
            Field(
                default=0,
                description=f"With `count`: how many match in all; not more than {COUNTED:,} with `true`",
            ),
        ),
        count_exact=(
            bool,
            Field(default=True, description="With `count`: false if there are more than that"),
        ),
    )
    return PeopleAnswers(shown, page)
