"""The bodies that tell operators of dead letters."""

from typing import Literal

from pydantic import BaseModel, Field

from service_kit.http.formats import Id, Time


class DeadMessage(BaseModel):
    """A message that its consumer gave up."""

    id: str = Field(description="Made of its content; repeats of a message share it")
    message_id: str | None = Field(description="As the sender named it")
    queue: str = Field(description="Where it came from, and goes when it is handed in")
    dead_queue: str = Field(description="Where it is")
    reason: str
    time: Time | None = Field(description="Since when; null if nobody wrote it down")
    bytes: int
    type: str | None = Field(description="Of the command or event, if it can be read")
    person_id: Id | None


class WholeDeadMessage(DeadMessage):
    """A dead letter with its body: as text if it is text, else in base64."""

    body: str = ""
    body_base64: str = ""


class RetriedDeadMessage(DeadMessage):
    """A dead letter that was published again."""

    status: Literal["published"]
    before: list[DeadMessage] = Field(description="Of its person, published before it")


class DroppedDeadMessage(DeadMessage):
    """A dead letter that was deleted."""

    status: Literal["dropped"]


class DeadMessages(BaseModel):
    """Dead messages, oldest first."""

    items: list[DeadMessage]
    more: bool = Field(description="Whether there are more than are listed")


class RetriedDeadMessages(BaseModel):
    """What was published again, and what is left."""

    items: list[DeadMessage]
    left: list[DeadMessage] = Field(description="What cannot be read")
