"""Controls: what operators ask about a parked person, in the same queue as that person's commands."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from events.person.commands import Command, Envelope, Id, malformed


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

_MESSAGE: Final[TypeAdapter[Message]] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def decode_message(body: bytes) -> Message:
    """Return the command or control in a message's body.

    Raises:
        MalformedMessage: The body is no JSON, no CloudEvent, or of no known type and schema.
    """
    try:
        return _MESSAGE.validate_json(body)
    except ValidationError as exc:
        raise malformed(exc) from exc
