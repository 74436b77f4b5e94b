"""The commands that erase a person, and those that set and lift what forbids it."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from events.person.envelope import Envelope

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
"""Their types."""
