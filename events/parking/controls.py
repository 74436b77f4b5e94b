"""Controls: what operators ask about a parked person, in the same queue as that person's commands."""

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from events.person.commands import Command, Envelope, Id, command_type, lifted, malformed
from events.person.schema.declarations import PersonSchema
from events.person.schema.messages import older_schema


class RetryParked(Envelope):
    """Ask for a person's waiting commands to be applied, in order."""

    type: Literal["person.retry_parked"] = "person.retry_parked"


class Chosen(BaseModel):
    """Which waiting commands are meant; all of the person's if none is named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_ids: tuple[Id, ...] = ()


class DropParked(Envelope):
    """Ask for waiting commands of a person to be given up, on record."""

    type: Literal["person.drop_parked"] = "person.drop_parked"
    data: Chosen


Control = RetryParked | DropParked
Message = Command | Control
"""What a command queue carries."""


@lru_cache(maxsize=16)
def _reader(schema: PersonSchema) -> TypeAdapter[Message]:
    form: Any = Annotated[command_type(schema) | RetryParked | DropParked, Field(discriminator="type")]
    return TypeAdapter(form)


def decode_message(body: bytes, schema: PersonSchema) -> Message:
    """Return the command or control in a message's body.

    Args:
        body: Of the message.
        schema: The person schema that its data is held to.

    Raises:
        MalformedMessage: The body is no JSON, no CloudEvent, or of no known type and schema.
    """
    older = older_schema(body, schema)
    try:
        message = _reader(older or schema).validate_json(body)
    except ValidationError as exc:
        raise malformed(exc) from exc
    return lifted(message, schema) if older else message
