"""The bodies that tell auditors who read what."""

from typing import Literal

from pydantic import BaseModel, Field

from service_kit.http.formats import Id, Next, Time


class Access(BaseModel):
    """One read of personal data, or one that was refused."""

    id: str = Field(description="Of the process, and the access's number there")
    at: Time
    service: str
    subject: str | None = Field(description="Who asked; null where no token said so")
    address: str | None
    method: str
    route: str = Field(description="The route's template")
    status: int
    outcome: Literal["answered", "absent", "refused"]
    purpose: str | None = Field(description="`Rollcall-Purpose` of the request")
    filters: list[str] = Field(description="The names of its parameters")
    values: dict[str, str] | None = Field(
        description="Their values, but of fields that the caller may not read; null once their month's key "
        "has ended"
    )
    people: list[Id] = Field(description="Whom it showed, or asked for")
    left_out: int = Field(description="How many more people it showed")
    position: str | None = Field(description="Of an export, its place in the feed")
    lines: int | None = Field(description="Of an export that has ended, how many lines were sent")
    whole: bool | None = Field(description="Whether that was all of it")
    begun: str | None = Field(description="The access with which that export began")
    times: int = Field(description="How many requests it stands for: those without a token are counted")


class PageOfAccesses(BaseModel):
    """Some of the accesses that were asked for, newest first."""

    items: list[Access]
    next: Next
