"""The orders in which people are listed, and where in an order a page ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydantic_core import PydanticCustomError

from events.person.schema import FIELDS
from events.person.search import AFTER, BETWEEN, own_key, sort_key

_NAMES: Final = frozenset(field.name for field in FIELDS if field.sort and field.folded)
SORTS: Final = {field.name: field.key for field in FIELDS if field.sort} | {
    "created_at": "created_at",
    "updated_at": "updated_at",
}


@dataclass(frozen=True, slots=True)
class Sort:
    """A field that people are sorted by.

    Attributes:
        name: The field.
        descending: Whether the order is turned round.
    """

    name: str
    descending: bool

    @property
    def key(self) -> str:
        """Return where the read model has what is compared; there is an index of it."""
        return SORTS[self.name]

    @property
    def own_key(self) -> str:
        """Return where the read model has what is compared before another field; there is no index of it."""
        return f"keys.own.{self.name}" if self.name in _NAMES else self.key

    @property
    def direction(self) -> int:
        """Return the direction as MongoDB takes it."""
        return -1 if self.descending else 1


@lru_cache(maxsize=256)
def read_sorts(text: str) -> tuple[Sort, ...]:
    """Return the fields that people are sorted by; each later one orders those whom the earlier ones do not.

    Args:
        text: `last_name,-birth_date`, for example.

    Raises:
        ValueError: One is unknown.
    """
    sorts: dict[str, Sort] = {}
    for word in text.split(","):
        name = word.strip().removeprefix("-")
        if name not in SORTS:
            raise PydanticCustomError(
                "unknown_sort",
                "must be of {names}; with - before one, in reverse",
                {"names": ", ".join(SORTS)},
            )
        sorts.setdefault(name, Sort(name, word.strip().startswith("-")))
    return tuple(sorts.values())


def sort_value(person: Mapping[str, Any], name: str) -> str:
    """Return what a person is sorted by; reading it would cost more than making it for one of a page."""
    return sort_key(person, name) if name in _NAMES else str(person[name])


def own_value(person: Mapping[str, Any], sort: Sort) -> str:
    """Return what a person is sorted by before another field."""
    return own_key(person, sort.name) if sort.name in _NAMES else str(person[sort.name])


def values_of(person: Mapping[str, Any], sorts: Sequence[Sort]) -> list[str]:
    """Return what a person is sorted by, field by field."""
    *before, last = sorts
    return [*(own_value(person, sort) for sort in before), sort_value(person, last.name)]


def order_of(sorts: Sequence[Sort]) -> list[tuple[str, int]]:
    """Return an order as MongoDB takes it.

    The sort key of a name goes on with the other name, which is not to count before another field.
    """
    *before, last = sorts
    return [
        *((sort.own_key, sort.direction) for sort in before),
        (last.key, last.direction),
        ("_id", last.direction),
    ]


def beyond(sorts: Sequence[Sort], values: Sequence[str], last_id: str) -> dict[str, Any]:
    """Return the condition of those who come after a person in an order by several fields.

    Args:
        sorts: The order.
        values: That person's, as of `values_of`.
        last_id: That person's id.
    """
    places = list(zip(order_of(sorts), [*values, last_id], strict=True))
    found = []
    for at, ((key, direction), value) in enumerate(places):
        same = {place: here for (place, _), here in places[:at]}
        found.append({**same, key: {"$gt" if direction > 0 else "$lt": value}})
    return {"$or": found}


def group_of(sort: Sort, value: str) -> dict[str, Any]:
    """Return the condition, on the index, of those who have a value; as of `own_value`."""
    if sort.name not in _NAMES:
        return {sort.key: {"$eq": value}}
    return {sort.key: {"$gte": value + BETWEEN, "$lt": value + AFTER}}


def behind(sort: Sort, value: str) -> dict[str, Any]:
    """Return the condition, on the index, of those who come after everybody with a value."""
    named = sort.name in _NAMES
    if sort.descending:
        return {sort.key: {"$lt": value + BETWEEN if named else value}}
    return {sort.key: {"$gte": value + AFTER} if named else {"$gt": value}}


def up_to(sort: Sort, value: str) -> dict[str, Any]:
    """Return the condition, on the index, of those who come no later than everybody with a value."""
    named = sort.name in _NAMES
    if sort.descending:
        return {sort.key: {"$gte": value + BETWEEN if named else value}}
    return {sort.key: {"$lt": value + AFTER} if named else {"$lte": value}}
