"""The commands, and their form on the wire: CloudEvents 1.0, structured mode, JSON.

Attribute names follow https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md; the lower-case
ones beyond that specification are our extension attributes.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
)

from events.errors import MalformedMessage
from events.person.envelope import CONTENT_TYPE as CONTENT_TYPE
from events.person.envelope import SOURCE as SOURCE
from events.person.envelope import Envelope as Envelope
from events.person.envelope import Id as Id
from events.person.erasing import (
    PROTECTIONS as PROTECTIONS,
)
from events.person.erasing import (
    ErasePerson as ErasePerson,
)
from events.person.erasing import (
    Erasure as Erasure,
)
from events.person.erasing import (
    ErasureReason as ErasureReason,
)
from events.person.erasing import (
    Hold as Hold,
)
from events.person.erasing import (
    HoldPerson as HoldPerson,
)
from events.person.erasing import (
    HoldReason as HoldReason,
)
from events.person.erasing import (
    HoldReference as HoldReference,
)
from events.person.erasing import (
    LiftHold as LiftHold,
)
from events.person.erasing import (
    Lifting as Lifting,
)
from events.person.erasing import (
    Protection as Protection,
)
from events.person.expected_versions import written_versions
from events.person.fields import Image, PersonChanges, PersonFields, stored_forms
from events.person.schema.declarations import PersonSchema
from events.person.schema.lifting import lift_values
from events.person.schema.messages import older_schema
from events.times import rfc3339


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
