"""The bodies with which both APIs answer: a problem, a person, a command that was accepted, readiness."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel

from events.errors import RollcallError
from events.person.fields import stored_forms, stored_type, with_fields
from events.person.rejections import taken_code
from events.person.schema.declarations import FieldDeclaration, PersonSchema
from service_kit.http.formats import Date, Email, Id, ImageAddress, Time
from service_kit.http.problems import FRAMEWORK_CODES, URN
from service_kit.person_view import scopes_told


def _codes(kind: type[RollcallError]) -> Iterator[str]:
    yield kind.code
    for child in kind.__subclasses__():
        yield from _codes(child)


def problem_types(schema: PersonSchema) -> list[str]:
    """Return every `type` that a problem may have where people are of a schema."""
    taken = map(taken_code, schema.unique)
    return [f"{URN}{code}" for code in sorted({*_codes(RollcallError), *FRAMEWORK_CODES, *taken})]


class FieldError(BaseModel):
    """What is wrong with one field, parameter or header."""

    field: str
    code: str = Field(description="The kind of reason; stable, for programs")
    reason: str = Field(description="In words, in the same language")


class Problem(BaseModel):
    """Why a request was not carried out: RFC 9457 problem details."""

    type: str
    title: str = Field(description="The kind of problem, in English or Spanish by `Accept-Language`")
    status: int
    detail: str = Field(description="This case in words, in the same language")
    errors: list[FieldError] = Field(default=[], description="Of `invalid-fields`: each that is wrong")
    violated_policies: list[Literal["address", "subject"]] = Field(
        default=[], alias="violated-policies", description="Of `too-many-requests`: the quota"
    )
    version: int = Field(default=0, description="Of `version-mismatch`: the person's")
    fields: list[str] = Field(default=[], description="Of `duplicate-…`: the fields whose values are taken")
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


class PersonVersion(BaseModel):
    """What is told of a person to one who may not see the values that were brought back."""

    id: Id
    version: int


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


def _shown(field: FieldDeclaration) -> tuple[Any, Any]:
    """Return the type and the default of a field in answers.

    Each stands there, if only with null; but one that wants a scope does for those who have it alone.
    """
    form: Any = (
        {"birth-date": Date, "date": Date, "email": Email}.get(field.format)
        if field.type == "string"
        else None
    )
    form = form or stored_type(field)
    form = form if field.required else form | None
    if told := scopes_told(field):
        form = Annotated[form, Field(description=told)]
    return form, None if field.read else ...


@dataclass(frozen=True, slots=True)
class PersonAnswers:
    """The bodies that tell of a schema's people.

    Attributes:
        person: A person as both APIs show it.
        reverted: A person whose values were brought back; or its version alone.
    """

    person: type[BaseModel]
    reverted: type[BaseModel]


@lru_cache(maxsize=16)
def person_answers(schema: PersonSchema) -> PersonAnswers:
    """Return the bodies that tell of a schema's people; made once."""
    shown = {field.name: _shown(field) for field in schema.fields}
    system = {
        "id": (Id, ...),
        "image_url": (ImageAddress | None, ...),
        "thumbnail_url": (ImageAddress | None, ...),
        "created_at": (Time, ...),
        "updated_at": (Time, ...),
    }
    base = type("Person", (stored_forms(schema).view,), {"__doc__": "A person as both APIs show it."})
    person: Any = with_fields(shown | system)(base)
    reverted = type(
        "RevertedPerson",
        (RootModel[person | PersonVersion],),
        {"__doc__": "A person whose values were brought back; or its version alone."},
    )
    return PersonAnswers(person, reverted)
