"""The commands, and their form on the wire: CloudEvents 1.0, structured mode, JSON.

Attribute names follow https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md; the lower-case
ones beyond that specification are our extension attributes.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)

from events.errors import MalformedMessage
from events.person.expected_versions import Versions, written_versions
from events.person.fields import Image, PersonChanges, PersonFields, stored_forms
from events.person.schema.declarations import PersonSchema
from events.person.schema.lifting import lift_values
from events.person.schema.messages import older_schema
from events.times import rfc3339

Id = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
]


CONTENT_TYPE: Final = "application/cloudevents+json"
SOURCE: Final = "/rollcall/command-api"


class Envelope(BaseModel):
    """What every message in a command queue carries; `accepted_at` is UTC with milliseconds.

    `idempotency_id` stands for the client's key: the command that has it first is the only one of its person.
    `expected_versions` are those to which it may be applied; None: to any.
    `person_schema` is the number of the person schema that its data is written in.
    One that is `late` was a dead letter, and comes after commands that were accepted after it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    type: str
    specversion: Literal["1.0"] = "1.0"
    command_id: Id = Field(alias="id")
    person_id: Id = Field(alias="subject")
    source: str = SOURCE
    accepted_at: datetime = Field(alias="time")
    datacontenttype: Literal["application/json"] = "application/json"
    schema_number: Literal[1] = Field(default=1, alias="schemaversion")
    person_schema: int | None = Field(default=None, alias="personschema")
    actor: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    actor_name: str | None = Field(default=None, alias="actorname")
    expected_versions: Versions | None = Field(
        default=None, validation_alias=AliasChoices("expectedversions", "expectedversion")
    )
    idempotency_id: Id | None = Field(default=None, alias="idempotencyid")
    correlation_id: str = Field(alias="correlationid")
    causation_id: str | None = Field(default=None, alias="causationid")
    traceparent: str | None = None
    source_address: str | None = Field(default=None, alias="sourceaddress")
    user_agent: str | None = Field(default=None, alias="useragent")
    late: bool = False


class CreatePerson(Envelope):
    """Ask for a new person with these fields."""

    type: Literal["person.create"] = "person.create"
    data: PersonFields


class UpdatePerson(Envelope):
    """Ask for some fields of a person to change."""

    type: Literal["person.update"] = "person.update"
    data: PersonChanges


class UpsertPerson(Envelope):
    """Ask for a person to have these fields: one that exists is changed, else one is created."""

    type: Literal["person.upsert"] = "person.upsert"
    data: PersonChanges


class ChangeImage(Envelope):
    """Ask for another image of a person, or for none; it is in its store already."""

    type: Literal["person.change_image"] = "person.change_image"
    data: Image


class DeletePerson(Envelope):
    """Ask for a person to be forgotten."""

    type: Literal["person.delete"] = "person.delete"


class Reversion(BaseModel):
    """Which of a person's versions is wanted back: the data of `person.revert`.

    Attributes:
        to_version: The version.
        left: Fields that stay as they are: those that the client may not set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    to_version: int = Field(ge=1)
    left: tuple[str, ...] = ()


class RevertPerson(Envelope):
    """Ask for a person's fields to be again as they were."""

    type: Literal["person.revert"] = "person.revert"
    data: Reversion


HoldReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:/@+\-]{1,40}$")]
"""Names a hold: a case's number, say. It is in the clear for ever, so it is no free text."""
HoldReason = Literal["litigation", "investigation", "contract", "other"]
ErasureReason = Literal["asked", "retention", "mistake", "other"]


class Hold(BaseModel):
    """What forbids erasing a person: the data of `person.hold`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: HoldReason
    reference: HoldReference


class HoldPerson(Envelope):
    """Ask that a person is not erased while there is this hold."""

    type: Literal["person.hold"] = "person.hold"
    data: Hold


class Lifting(BaseModel):
    """Which hold is lifted: the data of `person.lift_hold`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: HoldReference


class LiftHold(Envelope):
    """Ask for an end of a hold."""

    type: Literal["person.lift_hold"] = "person.lift_hold"
    data: Lifting


class Erasure(BaseModel):
    """Why a person is erased: the data of `person.erase`.

    Attributes:
        reason: A code, since the event stays in the clear.
        from_journal: Whether it was done before, and a backup has brought the person back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: ErasureReason
    from_journal: bool = False


class ErasePerson(Envelope):
    """Ask for the destruction of a person's key, so that nothing personal can be opened again."""

    type: Literal["person.erase"] = "person.erase"
    data: Erasure


Protection = HoldPerson | LiftHold
"""What is about holds: when its person is parked, it is decided before an erase goes ahead of what waits."""
PROTECTIONS: Final = ("person.hold", "person.lift_hold")
Command = (
    CreatePerson
    | UpdatePerson
    | UpsertPerson
    | ChangeImage
    | DeletePerson
    | RevertPerson
    | HoldPerson
    | LiftHold
    | ErasePerson
)
COMMAND_TYPES: Final = (
    "person.create",
    "person.update",
    "person.upsert",
    "person.change_image",
    "person.delete",
    "person.revert",
    "person.hold",
    "person.lift_hold",
    "person.erase",
)


@lru_cache(maxsize=16)
def command_type(schema: PersonSchema) -> Any:
    """Return the type of the commands whose data a schema's forms hold; made once.

    It is a union, told apart by `type`.
    """
    forms = stored_forms(schema)
    data: Mapping[type[Envelope], type[BaseModel]] = {
        CreatePerson: forms.fields,
        UpdatePerson: forms.changes,
        UpsertPerson: forms.changes,
    }
    create, update, upsert = (
        create_model(kind.__name__, __base__=kind, __doc__=kind.__doc__, data=(form, ...))
        for kind, form in data.items()
    )
    return (
        create
        | update
        | upsert
        | ChangeImage
        | DeletePerson
        | RevertPerson
        | HoldPerson
        | LiftHold
        | ErasePerson
    )


@lru_cache(maxsize=16)
def _reader(schema: PersonSchema) -> TypeAdapter[Command]:
    form: Any = Annotated[command_type(schema), Field(discriminator="type")]
    return TypeAdapter(form)


def encode_command(command: Envelope) -> dict[str, Any]:
    """Return the CloudEvents attributes and data of a command, JSON-ready; absent values left out."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": command.command_id,
        "source": command.source,
        "type": command.type,
        "subject": command.person_id,
        "time": rfc3339(command.accepted_at),
        "datacontenttype": "application/json",
        "schemaversion": command.schema_number,
        "personschema": command.person_schema,
        "partitionkey": command.person_id,
        "actor": command.actor,
        "actorname": command.actor_name,
        "expectedversions": written_versions(command.expected_versions),
        "idempotencyid": command.idempotency_id,
        "correlationid": command.correlation_id,
        "causationid": command.causation_id,
        "traceparent": command.traceparent,
        "sourceaddress": command.source_address,
        "useragent": command.user_agent,
        "late": command.late or None,
    }
    message = {name: value for name, value in attributes.items() if value is not None}
    data = getattr(command, "data", None)
    if data is not None:
        message["data"] = data.model_dump(exclude_unset=True)
    return message


def decode_command(body: bytes, schema: PersonSchema) -> Command:
    """Return the command in a message's body.

    Args:
        body: Of the message.
        schema: The person schema that its data is held to.

    Raises:
        MalformedMessage: The body is no JSON, no CloudEvent, or no command of a known type and schema.
    """
    older = older_schema(body, schema)
    try:
        command = _reader(older or schema).validate_json(body)
    except ValidationError as exc:
        raise malformed(exc) from exc
    return lifted(command, schema) if older else command


Written = TypeVar("Written", bound=Envelope)


def lifted(command: Written, schema: PersonSchema) -> Written:
    """Return a command of an earlier schema in the form of the one in force, which cannot refuse it.

    Args:
        command: As it was written; it was held to the schema of then.
        schema: The one in force.
    """
    data, number, forms = getattr(command, "data", None), command.person_schema, stored_forms(schema)
    if isinstance(data, Reversion):
        left = tuple(lift_values("person.update", number, dict.fromkeys(data.left, True), schema))
        return command.model_copy(update={"data": data.model_copy(update={"left": left})})
    if not isinstance(data, PersonFields | PersonChanges):
        return command
    form = forms.fields if isinstance(data, PersonFields) else forms.changes
    values = lift_values(command.type, number, data.model_dump(exclude_unset=True), schema)
    present = {name: value for name, value in values.items() if name in schema.by_name}
    return command.model_copy(update={"data": form.model_construct(set(present), **present)})


_TOLD: Final = ("id", "subject", "type", "time", "actor", "correlationid", "causationid")


def envelope_of(body: bytes) -> Envelope | None:
    """Return whose a message of ours is that cannot be read; None if it does not say so much.

    Args:
        body: Of the message.
    """
    try:
        message = json.loads(body)
        if message["source"] != SOURCE:
            return None
        return Envelope.model_validate({name: message[name] for name in _TOLD if name in message})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def malformed(exc: ValidationError) -> MalformedMessage:
    """Return why a message cannot be read: where, and which kind of fault; nothing of what is in it."""
    first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    # A model of ours says it in our words, pydantic perhaps with a pattern.
    ours = first["type"] == "value_error"
    fault = first["msg"].removeprefix("Value error, ") if ours else first["type"].replace("_", " ")
    return MalformedMessage(f"{where}: {fault}")
