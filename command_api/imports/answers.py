"""The body that `POST /people/import` answers with."""

from pydantic import BaseModel, Field

from events.imports.states import MAX_TOLD, OVER_BUDGET, STATES, UNREADABLE_FILE, State
from service_kit.http.formats import Id


class RowError(BaseModel):
    """What is wrong with a row."""

    field: str
    code: str = Field(description="Stable: programs may go by it")
    reason: str


class UnderstoodRow(BaseModel):
    """A row of a dry run, as it would be kept."""

    row: int
    values: dict[str, str | None] = Field(description="By field; nothing for a row that is not valid")
    errors: list[RowError]


class RowErrorLine(RowError):
    """What is wrong with a row of a dry run."""

    row: int


class ImportProgress(BaseModel):
    """How far an import came."""

    import_id: Id
    read: int = Field(description="Rows so far, of earlier requests too")
    accepted: int = Field(description="Became commands; or would, in a dry run")
    rejected: int = Field(description="Are not valid")
    state: State = Field(
        description="; ".join(f"`{name}`: {words}" for name, words in STATES.items())
        + "; `failed`: this file is not the one that the import was begun with",
    )
    reason: str = Field(default="", description="Why no further")
    first_rows: list[UnderstoodRow] = Field(default=[], description="Of a dry run: the first rows")
    errors: list[RowErrorLine] = Field(
        default=[],
        description=f"Of a dry run: what is wrong with the first {MAX_TOLD:,} rows that are not valid",
    )
    rows_left_out: int = Field(
        default=0, description="Of a dry run: rows that are not valid and of which `errors` says nothing"
    )
    code: str = Field(
        default="",
        description=f"`{UNREADABLE_FILE}`: the file itself, or the encoding that was named, is why; "
        f"`{OVER_BUDGET}`: it costs more than an import may",
    )
