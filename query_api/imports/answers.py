"""The body that tells of an import."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from events.imports.states import STATES, Mode
from query_api.history.answers import Actor
from service_kit.http.formats import Hash, Id, Time

_State = Annotated[str, WithJsonSchema({"type": "string", "enum": list(STATES)})]


class Import(BaseModel):
    """How far an import is."""

    import_id: Id
    state: _State = Field(description="; ".join(f"`{name}`: {words}" for name, words in STATES.items()))
    reason: str | None = Field(description="Why it was read no further")
    read: int = Field(description="Rows so far")
    accepted: int = Field(description="Rows that became commands, or would, in a dry run")
    applied: int = Field(description="Of those, the ones that workers applied")
    unchanged: int = Field(description="Of those, the ones that would change nothing")
    rejected: int = Field(description="`invalid` and `refused` together")
    invalid: int = Field(description="Rows that are not valid")
    refused: int = Field(description="Rows that workers refused: a duplicate, say")
    rows_left_out: int = Field(description="Rows that are not valid and whose errors are not kept")
    mode: Mode
    dry_run: bool
    media_type: Literal[
        "text/csv",
        "application/x-ndjson",
        "application/json",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ]
    packed: bool = Field(description="Whether it came as gzip")
    delimiter: str | None
    columns: list[str | None] | None = Field(
        description="The field of each column; null for one that was let go"
    )
    sha256: Hash | None = Field(description="Over all rows, each ended by a line feed, once all are read")
    actor: Actor
    begun_at: Time
    updated_at: Time
