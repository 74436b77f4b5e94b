"""Owns the query parameters: what they may be, and the MongoDB filter that they mean.

A value from a client only ever stands where a value stands: it never names a field or an operator.
"""

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import QueryParams

from events import vocabulary
from events.errors import InvalidFields
from events.text import TOP, fold, words
from events.times import parse_rfc3339, rfc3339
from query_api.cursors import MAX_CURSOR
from service_kit.problems import field_errors

SORTS: Final = {
    "last_name": "keys.last_name",
    "first_name": "keys.first_name",
    "birth_date": "birth_date",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
MAX_PAGE: Final = 200
MAX_WORDS: Final = 8


def _time(text: str) -> str:
    """Return an RFC 3339 time in the read model's form."""
    return rfc3339(parse_rfc3339(text))


def _phone(text: str) -> str:
    number = re.sub(r"[\s\-().]", "", text)
    return number if number.startswith("+") else f"+{number}"


def _day(text: str) -> str:
    return vocabulary.birth_date(text, date.max)


def _words(text: str) -> str:
    found = words(text)
    if not found:
        raise ValueError("has no word")
    return " ".join(found[:MAX_WORDS])


_Code = "Code or known name"
_DocumentType = Annotated[
    str, Field(max_length=60, description=_Code), AfterValidator(vocabulary.document_type)
]
_Gender = Annotated[str, Field(max_length=60, description=_Code), AfterValidator(vocabulary.gender)]
_DocumentId = Annotated[str, Field(max_length=40), AfterValidator(vocabulary.document_id)]
_Whole = Annotated[
    str,
    Field(min_length=1, max_length=100, description="Whole; accents and case do not count"),
    AfterValidator(fold),
]
_Email = Annotated[str, Field(min_length=3, max_length=254), AfterValidator(str.lower)]
_Phone = Annotated[str, Field(min_length=4, max_length=40, description="E.164"), AfterValidator(_phone)]
_Day = Annotated[str, Field(max_length=10, description="`YYYY-MM-DD`"), AfterValidator(_day)]
_Time = Annotated[
    str, Field(max_length=40, description="RFC 3339; `_to` is not included"), AfterValidator(_time)
]
_Search = Annotated[
    str,
    Field(min_length=1, max_length=200, description="Beginnings of names, all of which must occur"),
    AfterValidator(_words),
]


class ReadQuery(BaseModel):
    """Parameters of every read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    consistency: Literal["eventual", "strong"] = Field(
        default="eventual", description="`strong` reads from the primary"
    )

    @property
    def strong(self) -> bool:
        """Return whether the primary must answer."""
        return self.consistency == "strong"


class PersonQuery(ReadQuery):
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
    as_of: Annotated[str, Field(max_length=40), AfterValidator(_time)] | None = Field(
        default=None, description="As it was at this time (RFC 3339). Wants `audit:read` too"
    )


class PeopleFilters(ReadQuery):
    """Parameters that choose people."""

    document_type: _DocumentType | None = None
    document_id: _DocumentId | None = None
    first_name: _Whole | None = None
    last_name: _Whole | None = None
    gender: _Gender | None = None
    email: _Email | None = None
    phone: _Phone | None = None
    occupation: _Whole | None = None
    birth_date: _Day | None = None
    birth_date_from: _Day | None = None
    birth_date_to: _Day | None = None
    created_from: _Time | None = None
    created_to: _Time | None = None
    updated_from: _Time | None = None
    updated_to: _Time | None = None
    q: _Search | None = None

    @property
    def filters(self) -> dict[str, Any]:
        """Return the parameters that choose people, not order or page."""
        steering = {"consistency", "sort", "limit", "cursor", "count"}
        return {name: value for name, value in self if value is not None and name not in steering}


class PeopleQuery(PeopleFilters):
    """Parameters of the list."""

    sort: str = Field(
        default="last_name",
        pattern=f"^-?({'|'.join(SORTS)})$",
        description="A field; `-` before it turns the order round",
    )
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Items a page")
    cursor: str | None = Field(default=None, max_length=MAX_CURSOR, description="`next` of the page before")
    count: bool = Field(default=False, description="Also tell how many match in all")


class ExportQuery(PeopleFilters):
    """Parameters of an export."""

    sort: str | None = Field(
        default=None,
        pattern=f"^-?({'|'.join(SORTS)})$",
        description="A field; `-` before it turns the order round. None: in no order, the quickest",
    )


Query = TypeVar("Query", bound=ReadQuery)


@lru_cache
def _defaults(form: type[ReadQuery]) -> ReadQuery:
    return form()


def read_query(form: type[Query], parameters: QueryParams) -> Query:
    """Return the parameters of a request.

    Raises:
        InvalidFields: One is unknown, given twice, or has a value that it may not have.
    """
    pairs = parameters.multi_items()
    if not pairs:
        return cast(Query, _defaults(form))
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidFields("a parameter is given twice")
    try:
        return form.model_validate(values)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidFields("a parameter is not valid", field_errors(errors)) from exc


_EQUAL: Final = {
    "document_type": "document_type",
    "document_id": "document_id",
    "gender": "gender",
    "email": "email",
    "phone": "phone",
    "birth_date": "birth_date",
    "occupation": "keys.occupation",
}
_RANGES: Final = {
    "birth_date_from": ("birth_date", "$gte"),
    "birth_date_to": ("birth_date", "$lte"),
    "created_from": ("created_at", "$gte"),
    "created_to": ("created_at", "$lt"),
    "updated_from": ("updated_at", "$gte"),
    "updated_to": ("updated_at", "$lt"),
}


def conditions(filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the MongoDB conditions, all of which must hold, that the filters mean."""
    found: list[dict[str, Any]] = []
    for name, value in filters.items():
        if name in _EQUAL:
            found.append({_EQUAL[name]: {"$eq": value}})
        elif name in _RANGES:
            field, operator = _RANGES[name]
            found.append({field: {operator: value}})
        elif name == "q":
            found += [
                {"keys.words": {"$elemMatch": {"$gte": word, "$lt": word + TOP}}} for word in value.split()
            ]
        else:
            # The sort key begins with the whole folded name: its index answers an equality too.
            found.append({f"keys.{name}": {"$gte": f"{value}\0", "$lt": f"{value}\1"}})
    return found
