"""Owns what an import is asked to be: its parameters, its media type, its header row. Pure."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import Headers, QueryParams

from events.errors import InvalidFields, UnsupportedMediaType
from events.imports import Mode
from events.person import FIELD_NAMES, REQUIRED_FIELDS, PersonView
from service_kit.problems import field_errors

CSV: Final = "text/csv"
NDJSON: Final = "application/x-ndjson"
FORMS: Final = (CSV, NDJSON)
ID: Final = "id"
KNOWN: Final = frozenset((ID, *FIELD_NAMES))
IGNORED: Final = frozenset(PersonView.model_fields) - KNOWN
"""What an export has and the system sets by itself."""
_DELIMITERS: Final = ",;"


def _columns(text: str) -> str:
    names = [name.strip() for name in text.split(",")]
    if unknown := sorted(set(names) - KNOWN):
        raise ValueError(f"{', '.join(unknown)}: choose from {', '.join((ID, *FIELD_NAMES))}")
    if len(set(names)) != len(names):
        raise ValueError("names a column twice")
    return ",".join(names)


class ImportQuery(BaseModel):
    """Parameters of an import."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    import_id: Annotated[str, Field(max_length=40), AfterValidator(lambda text: str(UUID(text)))] | None = (
        Field(default=None, description="A UUID: the same one again goes on where the import was cut")
    )
    mode: Mode = Field(
        default="create", description="`upsert`: a row with the `id` of a person who exists changes them"
    )
    on_error: Literal["continue", "stop"] = Field(
        default="continue", description="`stop`: read no further than the first row that is not valid"
    )
    dry_run: bool = Field(default=False, description="Only check the rows; nothing is changed")
    columns: Annotated[str, Field(max_length=400), AfterValidator(_columns)] | None = Field(
        default=None, description="Take these columns alone, separated by commas; others are let go"
    )

    @property
    def chosen(self) -> frozenset[str] | None:
        """Return the columns to take; None for all."""
        return None if self.columns is None else frozenset(self.columns.split(","))


@dataclass(frozen=True, slots=True)
class Form:
    """What the body is.

    Attributes:
        media_type: `CSV` or `NDJSON`.
        packed: Whether it comes as gzip.
    """

    media_type: str
    packed: bool


@dataclass(frozen=True, slots=True)
class Header:
    """What a header row says.

    Attributes:
        delimiter: Between its cells.
        names: The field of each column; None for one that is let go.
    """

    delimiter: str
    names: tuple[str | None, ...]


def read_import_query(parameters: QueryParams) -> ImportQuery:
    """Return the parameters of a request.

    Raises:
        InvalidFields: One is unknown, given twice, or has a value that it may not have.
    """
    pairs = parameters.multi_items()
    if len(dict(pairs)) != len(pairs):
        raise InvalidFields("a parameter is given twice")
    try:
        return ImportQuery.model_validate(dict(pairs))
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidFields("a parameter is not valid", field_errors(errors)) from exc


def read_form(headers: Headers) -> Form:
    """Return what the headers say of the body.

    Raises:
        UnsupportedMediaType: It is neither CSV nor NDJSON in UTF-8, or packed in another way than gzip.
    """
    name, *parameters = (part.strip() for part in headers.get("content-type", "").lower().split(";"))
    if name not in FORMS:
        raise UnsupportedMediaType(f"send one of {', '.join(FORMS)}")
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key == "charset" and value.strip('" ') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType("send it in UTF-8")
        if (key, value) == ("header", "absent"):
            raise InvalidFields("the first row must name the columns")
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMediaType("send it as it is, or packed with gzip")
    return Form(name, coding != "identity")


def read_header(line: bytes, mode: Mode, chosen: frozenset[str] | None) -> Header:
    """Return what a header row says; its delimiter is the one that makes more known columns of it.

    Args:
        line: The row.
        mode: Of the import.
        chosen: The columns to take; None for all.

    Raises:
        InvalidFields: It is no header row, or lacks what every row needs, or has a column that is unknown
            and not left out by `chosen`.
    """
    text = line.decode("utf-8", "replace")
    found = {delimiter: _cells(text, delimiter) for delimiter in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda one: len(KNOWN.intersection(found[one])))
    cells = found[delimiter]
    named = KNOWN.intersection(cells)
    if not named:
        raise InvalidFields("there is no header row: the first row must name the columns")
    errors = [{"field": name, "reason": "is there twice"} for name in sorted(named) if cells.count(name) > 1]
    if chosen is None:
        strange = [name for name in cells if name not in KNOWN | IGNORED]
        errors += [{"field": name[:100], "reason": "is no column that is known"} for name in strange]
    else:
        errors += [{"field": name, "reason": "is no column of the file"} for name in sorted(chosen - named)]
        named &= chosen
    if mode == "create" or ID not in named:
        missing = [name for name in REQUIRED_FIELDS if name not in named]
        errors += [{"field": name, "reason": "is a column that every row needs"} for name in missing]
    if errors:
        raise InvalidFields("the columns are not as they must be", errors)
    return Header(delimiter, tuple(name if name in named else None for name in cells))


def _cells(text: str, delimiter: str) -> Sequence[str]:
    try:
        (cells,) = csv.reader([text], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        return []
    return [cell.strip().lower() for cell in cells]
