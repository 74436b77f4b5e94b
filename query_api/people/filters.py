"""The query parameters for reading people: which there are, and what they mean together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from events.person.fields import stored_forms
from events.person.orders import Sort
from events.person.schema.declarations import PersonSchema
from events.times import rfc3339
from query_api.people.comparing import IDS, field_filters, search_filter, time_filters
from query_api.people.search import Condition
from query_api.people.sorting import Orders, orders_of
from query_api.reading.cursors import MAX_CURSOR
from query_api.reading.forms import MAX_PAGE, LinesQuery, TimedQuery, zone_in
from query_api.reading.times import span_of

COUNTED: Final = 10_000
"""How far is counted, unless all is asked for."""
_BOOLEAN: Final = TypeAdapter(bool)


def _end(text: str, info: ValidationInfo) -> str:
    """Return a moment; of a day, the last of it."""
    start, end = span_of(text, zone_in(info))
    return rfc3339(start) if start == end else rfc3339(end - datetime.resolution * 1000)


def names_in(text: str) -> list[str]:
    """Return the names in a list that is separated by commas."""
    return [name.strip() for name in text.split(",")]


def _list(names: list[str], **more: Any) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "array", "items": {"type": "string", "enum": names}, "minItems": 1, **more}
    )


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

    fields: str | None = None

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


class PeopleFilters(SparseQuery):
    """Parameters that choose people, and what is shown of them."""

    orders: ClassVar[Orders]
    choosing: ClassVar[Mapping[str, str]]
    naming: ClassVar[tuple[str, ...]]

    @property
    def filters(self) -> list[Condition]:
        """Return the MongoDB conditions, all of which must hold."""
        return [getattr(self, name) for name in sorted(self.model_fields_set & self.choosing.keys())]

    @property
    def sorts(self) -> tuple[Sort, ...]:
        """Return the fields that people are sorted by."""
        return ()

    @property
    def asked(self) -> set[str]:
        """Return the names of all that is asked about: filters, order, and what is to be shown."""
        filters = {self.choosing[name] for name in self.model_fields_set & self.choosing.keys()}
        return {*filters, *(sort.name for sort in self.sorts), *(self.shown or ())}

    @property
    def named(self) -> int:
        """Return how many people the filters name by what only one of them has."""
        conditions = [getattr(self, name) for name in self.naming if name in self.model_fields_set]
        asked = [values for condition in conditions for values in condition.values()]
        # A sorted name is among some by `$or`, all else by `$in`.
        sets = [values if isinstance(values, list) else values.get("$in", ("",)) for values in asked]
        return max(map(len, sets), default=0)


class PeopleQuery(PeopleFilters):
    """Parameters of the list."""

    sort: str
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
        several = len(self.sorts) > 1 and not self.orders.is_declared(self.sorts)
        return filtered or self.count != "false" or several

    @property
    def sorts(self) -> tuple[Sort, ...]:
        """Return the fields that people are sorted by."""
        return self.orders.read(self.sort)

    @property
    def at_least(self) -> int:
        """Return how many should be found: those whom the filters name, and somebody on a first page."""
        return max(self.named, 0 if self.cursor else 1)


class ExportQuery(LinesQuery, PeopleFilters):
    """Parameters of an export."""

    sort: str | None = None

    @property
    def sorts(self) -> tuple[Sort, ...]:
        """Return the fields that people are sorted by, if they are."""
        return () if self.sort is None else self.orders.read(self.sort)


@dataclass(frozen=True, slots=True)
class PeopleQueries:
    """The parameters of the reads of a schema's people.

    Attributes:
        sparse: Of a read that shows people.
        person: Of reading one person.
        people: Of the list.
        export: Of an export.
    """

    sparse: type[SparseQuery]
    person: type[PersonQuery]
    people: type[PeopleQuery]
    export: type[ExportQuery]


@lru_cache(maxsize=16)
def people_queries(schema: PersonSchema) -> PeopleQueries:
    """Return the parameters of the reads of a schema's people; made once."""
    orders, shown = orders_of(schema), stored_forms(schema).shown_names
    filters = {"id": IDS, **field_filters(schema), **time_filters(), "q": search_filter(schema)}
    # An address is one person's also where nothing holds people to that.
    addresses = [field.name for field in schema.fields if field.format == "email" and field.type == "string"]
    naming = dict.fromkeys((*(names[-1] for names in schema.unique.values()), *addresses))
    fields = Annotated[
        str | None,
        Field(max_length=10_000, description="Only these fields, separated by commas, and `id`"),
        AfterValidator(partial(_known_fields, shown)),
        _list(list(shown), maxItems=len(shown)),
    ]
    sort = Annotated[
        str,
        Field(max_length=1_000),
        AfterValidator(partial(_known_sorts, orders)),
        _list([f"{sign}{name}" for name in orders.names for sign in ("", "-")], maxItems=len(orders.names)),
    ]
    choosing = {
        "orders": orders,
        "choosing": {name: _field_of(name, schema) for name in filters},
        "naming": ("id", *(f"{name}{kind}" for name in naming for kind in ("", ".in"))),
    }
    listed = Field(
        default=schema.default_sort,
        description="Fields, separated by commas; `-` before one turns its order round",
    )
    exported = Field(
        default=None,
        description="Fields, separated by commas; `-` before one turns its order round. None: in no order, "
        "the quickest",
    )

    def form(base: Any, **more: tuple[Any, Any]) -> Any:
        members = {"fields": (fields, None), **more}
        return create_model(base.__name__, __base__=base, __doc__=base.__doc__, **members)  # type: ignore[call-overload]

    def choosing_form(base: Any, **more: tuple[Any, Any]) -> Any:
        made = form(base, **filters, **more)
        for name, value in choosing.items():
            setattr(made, name, value)
        return made

    return PeopleQueries(
        form(SparseQuery),
        form(PersonQuery),
        choosing_form(PeopleQuery, sort=(sort, listed)),
        choosing_form(ExportQuery, sort=(sort | None, exported)),
    )


def _field_of(name: str, schema: PersonSchema) -> str:
    """Return the name of the field that a filter is of; its own, if it is of none."""
    field = name.partition(".")[0]
    return field if field in schema.by_name else field.removesuffix("_from").removesuffix("_to")


def _known_fields(known: Sequence[str], text: str | None) -> str | None:
    for name in names_in(text or ""):
        if text is not None and name not in known:
            raise PydanticCustomError("unknown_field", "must be of {names}", {"names": ", ".join(known)})
    return text


def _known_sorts(orders: Orders, text: str) -> str:
    orders.read(text)
    return text
