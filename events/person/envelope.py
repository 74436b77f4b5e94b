"""What every message in a command queue carries, whatever it asks."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

from events.person.expected_versions import Versions

Id = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
]


CONTENT_TYPE: Final = "application/cloudevents+json"
SOURCE: Final = "/rollcall/command-api"


class Envelope(BaseModel):
    """What every message in a command queue carries; `accepted_at` is UTC with milliseconds.

    `idempotency_id` stands for the client's key: the command that has it first is the only one of its person.
    `expected_versions` are those to which it may be applied; None: to any.
    `person_schema` is the number of the person schema that its data is written in.
    One that is `late` was a dead letter, and comes after commands that were accepted after it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    type: str
    specversion: Literal["1.0"] = "1.0"
    command_id: Id = Field(alias="id")
    person_id: Id = Field(alias="subject")
    source: str = SOURCE
    accepted_at: datetime = Field(alias="time")
    datacontenttype: Literal["application/json"] = "application/json"
    schema_number: Literal[1] = Field(default=1, alias="schemaversion")
    person_schema: int | None = Field(default=None, alias="personschema")
    actor: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    actor_name: str | None = Field(default=None, alias="actorname")
    expected_versions: Versions | None = Field(
        default=None, validation_alias=AliasChoices("expectedversions", "expectedversion")
    )
    idempotency_id: Id | None = Field(default=None, alias="idempotencyid")
    correlation_id: str = Field(alias="correlationid")
    causation_id: str | None = Field(default=None, alias="causationid")
    traceparent: str | None = None
    source_address: str | None = Field(default=None, alias="sourceaddress")
    user_agent: str | None = Field(default=None, alias="useragent")
    late: bool = False
