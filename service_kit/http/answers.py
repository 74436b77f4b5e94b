"""The bodies with which both APIs answer: a problem, a person, a command that was accepted, readiness."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel, WithJsonSchema

from events.errors import RollcallError
from events.person.fields import PersonView, stored_type
from events.person.schema import FIELDS, FieldDeclaration, with_fields
from service_kit.http.formats import Date, Email, Id, ImageAddress, Time
from service_kit.http.problems import FRAMEWORK_CODES, URN


def _codes(kind: type[RollcallError]) -> Iterator[str]:
    yield kind.code
    for child in kind.__subclasses__():
        yield from _codes(child)


_TYPES = [f"{URN}{code}" for code in sorted({*_codes(RollcallError), *FRAMEWORK_CODES})]


class FieldError(BaseModel):
    """What is wrong with one field, parameter or header."""

    field: str
    code: str = Field(description="The kind of reason; stable, for programs")
    reason: str = Field(description="In words, in the same language")


class Problem(BaseModel):
    """Why a request was not carried out: RFC 9457 problem details."""

    type: Annotated[str, WithJsonSchema({"type": "string", "enum": _TYPES})]
    title: str = Field(description="The kind of problem, in English or Spanish by `Accept-Language`")
    status: int
    detail: str = Field(description="This case in words, in the same language")
    errors: list[FieldError] = Field(default=[], description="Of `invalid-fields`: each that is wrong")
    violated_policies: list[Literal["address", "subject"]] = Field(
        default=[], alias="violated-policies", description="Of `too-many-requests`: the quota"
    )
    version: int = Field(default=0, description="Of `version-mismatch`: the person's")
    fields: list[str] = Field(
        default=[], description="Of `duplicate-document` and `duplicate-email`: the fields that are taken"
    )
    next: str = Field(
        default="", description="Of `position-gone`: where the query API has the events since then"
    )
    event_id: Id = Field(default="", description="Of `position-gone`: the event at the position")


class Liveness(BaseModel):
    """Whether the process runs."""

    status: Literal["alive"]


class Readiness(BaseModel):
    """Whether a service can do what it is for."""

    ready: bool
    parts: dict[str, str] = Field(description="`ok`, or what is wrong, for each part that it needs")
    remarks: dict[str, str] = Field(description="The same for what leaves the service ready")


def _shown(field: FieldDeclaration) -> Any:
    """Return the type of a field in answers, where each field stands, if only with null."""
    form = {"birth-date": Date, "email": Email}.get(field.format, stored_type(field))
    return form if field.required else form | None


@with_fields({field.name: (_shown(field), ...) for field in FIELDS})
class Person(PersonView):
    """A person as both APIs show it."""

    id: Id
    image_url: ImageAddress | None
    thumbnail_url: ImageAddress | None
    created_at: Time
    updated_at: Time


class PersonVersion(BaseModel):
    """What is told of a person to one who may not see the values that were brought back."""

    id: Id
    version: int


class RevertedPerson(RootModel[Person | PersonVersion]):
    """A person whose values were brought back; or its version alone."""


class DeletedPerson(BaseModel):
    """What is told of a person who was deleted."""

    id: Id
    version: int
    deleted: Literal[True]


class AcceptedCommand(BaseModel):
    """A command that is durable in the broker."""

    person_id: Id
    command_id: Id
    status: Literal["accepted", "parked", "unreadable"] = Field(
        description="With `Prefer: wait`, `parked`: it waits until an operator has seen to its person; "
        "`unreadable`: no worker can read it, by a fault of ours"
    )
