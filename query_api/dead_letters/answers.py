"""The bodies that tell operators who is parked, and what waits."""

from pydantic import BaseModel, Field

from service_kit.http.formats import Id, Next, Time


class _Parked(BaseModel):
    command_id: Id
    reason: str = Field(description="`waits-behind`, or the kind of failure")
    detail: str
    attempts: int
    tried_at: Time | None


class ParkedPerson(_Parked):
    """A person whose commands wait, with the first of them."""

    person_id: Id
    waiting: int = Field(description="Commands")
    since: Time


class PageOfParkedPeople(BaseModel):
    """Some of the people who are parked."""

    items: list[ParkedPerson]
    next: Next


class WaitingCommand(_Parked):
    """A command of a parked person."""

    type: str
    actor: str
    accepted_at: Time
    parked_at: Time
    message: str | None = Field(
        description="The command as it was accepted: a CloudEvent, JSON. With the scope `audit:read` alone, "
        "and only while its key is there"
    )


class PageOfWaitingCommands(BaseModel):
    """Some of what waits of a person, in order."""

    person_id: Id
    items: list[WaitingCommand]
    next: Next
