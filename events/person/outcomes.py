"""The outcome of a command as the worker tells it to a client that waits."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_FROZEN: Final = ConfigDict(frozen=True)

UNCHANGED: Final = "unchanged"
UNREADABLE: Final = "unreadable"
NOT_REJECTED: Final = (UNCHANGED, UNREADABLE)
"""What stands on record, beside the rejections, where the code of a rejection stands."""


class Applied(BaseModel):
    """The command made an event.

    Attributes:
        replayed: Whether the outcome was on record: the command came before.
        person: The person as it is after this event, in the form of the query API; nothing after a
            deletion.
        former: Whether the person has changed since.
    """

    model_config = _FROZEN

    status: Literal["applied"] = "applied"
    version: int
    event_id: str
    replayed: bool = False
    person: dict[str, Any] | None = None
    former: bool = False


class Unchanged(BaseModel):
    """The command would change nothing: the person was so before.

    Attributes:
        version: The person's.
        replayed: As of `Applied`.
        person: The person, in the form of the query API; nothing of a deleted one, who was held before.
        former: As of `Applied`.
    """

    model_config = _FROZEN

    status: Literal["unchanged"] = "unchanged"
    version: int
    replayed: bool = False
    person: dict[str, Any] | None = None
    former: bool = False


class Rejected(BaseModel):
    """The rules refused the command.

    Attributes:
        code: That of a `Rejection`.
        version: The person's, where it is the reason.
        replayed: As of `Applied`.
    """

    model_config = _FROZEN

    status: Literal["rejected"] = "rejected"
    code: str
    detail: str
    version: int | None = None
    replayed: bool = False


class Parked(BaseModel):
    """The command waits until an operator has its person's line retried; `reason` is a `Reason`'s kind."""

    model_config = _FROZEN

    status: Literal["parked"] = "parked"
    reason: str
    detail: str


class Unreadable(BaseModel):
    """No worker can read the command, although we published it: a fault of ours, and now a dead letter."""

    model_config = _FROZEN

    status: Literal["unreadable"] = "unreadable"
    detail: str


Outcome = Applied | Unchanged | Rejected | Parked | Unreadable

_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Annotated[Outcome, Field(discriminator="status")])


def decode_outcome(body: bytes) -> Outcome:
    """Return the outcome in a reply's body."""
    return _OUTCOME.validate_json(body)
