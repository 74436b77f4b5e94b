"""The bodies that ask for an erasure or a hold."""

from typing import Final, get_args

from pydantic import BaseModel, ConfigDict, Field

from events.person.commands import ErasureReason, HoldReason, HoldReference

REFERENCE: Final = "Names the hold: a case's number, say; stays in the clear for ever"


class ErasureInput(BaseModel):
    """Why a person is to be erased."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": get_args(ErasureReason)[0]}]}
    )

    reason: ErasureReason = Field(description="A code, since the event stays in the clear for ever")


class HoldInput(BaseModel):
    """What is to forbid erasing a person."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": get_args(HoldReason)[0], "reference": "2026-114"}]},
    )

    reason: HoldReason = Field(description="A code, since the event stays in the clear for ever")
    reference: HoldReference = Field(description=REFERENCE)
