"""The bodies that tell of people, and of what became of a command."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from events.person.schema import with_fields
from query_api.people.filters import COUNTED
from service_kit.http.answers import Person
from service_kit.http.formats import Id, Next


@with_fields(
    {name: (field.rebuild_annotation(), None) for name, field in Person.model_fields.items() if name != "id"}
)
class SparsePerson(BaseModel):
    """A person with the fields alone that `fields` asks for."""

    id: Id


class ShownPerson(RootModel[Person | SparsePerson]):
    """A person, whole unless `fields` asks for some fields alone."""


class PageOfPeople(BaseModel):
    """Some of the people that were asked for."""

    items: list[Person | SparsePerson]
    next: Next
    count: int = Field(
        default=0, description=f"With `count`: how many match in all; not more than {COUNTED:,} with `true`"
    )
    count_exact: bool = Field(default=True, description="With `count`: false if there are more than that")


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
