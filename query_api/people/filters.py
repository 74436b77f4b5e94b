"""The query parameters for reading people: which there are, and what they mean together."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from events.person.fields import PersonView
from events.person.schema import UNIQUE, with_fields
from events.times import rfc3339
from query_api.people.comparing import IDS, SEARCH, field_filters, time_filters
from query_api.people.search import Condition
from query_api.people.sorting import SORTS, Sort, read_sorts
from query_api.reading.cursors import MAX_CURSOR
from query_api.reading.forms import MAX_PAGE, TimedQuery, zone_in
from query_api.reading.times import span_of

COUNTED: Final = 10_000
"""How far is counted, unless all is asked for."""
SHOWN_NAMES: Final = tuple(PersonView.model_fields)
_BOOLEAN: Final = TypeAdapter(bool)
_NAMING: Final = (
    "id",
    *(f"{name}{kind}" for names in UNIQUE.values() for name in names[-1:] for kind in ("", ".in")),
)
"""Filters that name people: by id, or by what no two of them share."""
_FILTERS: Final = {"id": IDS, **field_filters(), **time_filters(), "q": SEARCH}


def _end(text: str, info: ValidationInfo) -> str:
    """Return a moment; of a day, the last of it."""
    start, end = span_of(text, zone_in(info))
    return rfc3339(start) if start == end else rfc3339(end - datetime.resolution * 1000)


def _sort(text: str) -> str:
    read_sorts(text)
    return text


def _fields(text: str) -> str:
    for name in names_in(text):
        if name not in SHOWN_NAMES:
            raise PydanticCustomError(
                "unknown_field", "must be of {names}", {"names": ", ".join(SHOWN_NAMES)}
            )
    return text


def names_in(text: str) -> list[str]:
    """Return the names in a list that is separated by commas."""
    return [name.strip() for name in text.split(",")]


def _list(names: list[str], **more: Any) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "array", "items": {"type": "string", "enum": names}, "minItems": 1, **more}
    )


_Sort = Annotated[
    str,
    Field(max_length=200),
    AfterValidator(_sort),
    _list([f"{sign}{name}" for name in SORTS for sign in ("", "-")], maxItems=len(SORTS)),
]
_Fields = Annotated[
    str,
    Field(max_length=1_000, description="Only these fields, separated by commas, and `id`"),
    AfterValidator(_fields),
    _list(list(SHOWN_NAMES), maxItems=len(SHOWN_NAMES)),
]


def _count(value: object) -> object:
    """Return a boolean in any of its spellings as one word; all else as it is."""
    try:
        return "true" if _BOOLEAN.validate_python(value) else "false"
    except ValidationError:
        return value


_Count = Annotated[
    Literal["false", "true", "exact"],
    BeforeValidator(_count),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["exact"]}]}),
]


class SparseQuery(TimedQuery):
    """Parameters of a read that shows people."""

    fields: _Fields | None = None

    @property
    def shown(self) -> tuple[str, ...] | None:
        """Return the fields that are shown, `id` first; None for all."""
        if self.fields is None:
            return None
        return tuple(dict.fromkeys(("id", *names_in(self.fields))))


class PersonQuery(SparseQuery):
    """Parameters of reading one person."""

    min_version: int | None = Field(
        default=None,
        ge=1,
        le=2**31 - 1,
        description="At least this version: from a secondary, else from the primary",
    )
    version: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="As it was then. Wants `audit:read` too"
    )
    as_of: (
        Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"}), AfterValidator(_end)]
        | None
    ) = Field(
        default=None,
        description="As it was at this time (RFC 3339), or at the end of this day. Wants `audit:read` too",
    )


@with_fields(_FILTERS)
class PeopleFilters(SparseQuery):
    """Parameters that choose people, and what is shown of them."""

    @property
    def filters(self) -> list[Condition]:
        """Return the MongoDB conditions, all of which must hold."""
        return [getattr(self, name) for name in sorted(self.model_fields_set & _FILTERS.keys())]

    @property
    def named(self) -> int:
        """Return how many people the filters name by what only one of them has."""
        conditions = [getattr(self, name) for name in _NAMING if name in self.model_fields_set]
        asked = [values for condition in conditions for values in condition.values()]
        return max((len(values.get("$in", ("",))) for values in asked), default=0)


class PeopleQuery(PeopleFilters):
    """Parameters of the list."""

    sort: _Sort = Field(
        default="last_name",
        description="Fields, separated by commas; `-` before one turns its order round",
    )
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Items a page")
    cursor: str | None = Field(default=None, max_length=MAX_CURSOR, description="`next` of the page before")
    count: _Count = Field(
        default="false",
        description=f"`true` also tells how many match in all, up to {COUNTED:,}; `exact`: all of them",
        json_schema_extra={"default": False},
    )

    @property
    def is_search(self) -> bool:
        """Return whether many more people may be read for it than are shown."""
        filtered = bool(self.filters) and not self.named
        return filtered or self.count != "false" or len(self.sorts) > 1

    @property
    def sorts(self) -> tuple[Sort, ...]:
        """Return the fields that people are sorted by."""
        return read_sorts(self.sort)

    @property
    def at_least(self) -> int:
        """Return how many should be found: those whom the filters name, and somebody on a first page."""
        return max(self.named, 0 if self.cursor else 1)


class ExportQuery(PeopleFilters):
    """Parameters of an export."""

    sort: _Sort | None = Field(
        default=None,
        description="Fields, separated by commas; `-` before one turns its order round. None: in no order, "
        "the quickest",
    )

    @property
    def sorts(self) -> tuple[Sort, ...]:
        """Return the fields that people are sorted by, if they are."""
        return () if self.sort is None else read_sorts(self.sort)
