"""Owns what became of a command, as the worker tells those who wait for it."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_FROZEN: Final = ConfigDict(frozen=True)


class Applied(BaseModel):
    """The command made an event.

    Attributes:
        person: The person as it is after this event, in the form of the query API; nothing after a
            deletion.
    """

    model_config = _FROZEN

    status: Literal["applied"] = "applied"
    version: int
    event_id: str
    person: dict[str, Any] | None = None


class Rejected(BaseModel):
    """The rules refused the command; `code` is that of a `Rejection`."""

    model_config = _FROZEN

    status: Literal["rejected"] = "rejected"
    code: str
    detail: str


class Parked(BaseModel):
    """The command waits until an operator has its person's line retried; `reason` is a `Reason`'s kind."""

    model_config = _FROZEN

    status: Literal["parked"] = "parked"
    reason: str
    detail: str


Outcome = Applied | Rejected | Parked

_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Annotated[Outcome, Field(discriminator="status")])


def decode_outcome(body: bytes) -> Outcome:
    """Return the outcome in a reply's body."""
    return _OUTCOME.validate_json(body)
