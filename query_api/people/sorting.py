"""The orders in which people are listed, and where in an order a page ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydantic_core import PydanticCustomError

from events.person.fields import MAX_INTEGER
from events.person.schema.declarations import FieldDeclaration, PersonSchema
from events.person.search import AFTER, BETWEEN, may_lack, own_key, search_keys
from query_api.people.search import Condition

TIMES: Final = ("created_at", "updated_at")
"""What people can be sorted by in every schema."""
_LEAST: Final[Mapping[str, Any]] = {"integer": -MAX_INTEGER, "boolean": False}


def least_of(field: FieldDeclaration) -> Any:
    """Return a value that is not above any of a field's, where people are compared by it."""
    return _LEAST.get(field.type, "")


@dataclass(frozen=True, slots=True)
class Sort:
    """A field that people are sorted by.

    Attributes:
        name: The field.
        descending: Whether the order is turned round.
        key: Where the read model has what is compared; there is an index of it.
        is_name: Whether the key goes on after the field's own value.
        may_lack: Whether there are people without a value, who come last.
        least: A value that is not above any.
    """

    name: str
    descending: bool
    key: str
    is_name: bool
    may_lack: bool
    least: Any

    @property
    def own_key(self) -> str:
        """Return where the read model has what is compared before another field; there is no index of it."""
        return f"keys.own.{self.name}" if self.is_name else self.key

    @property
    def direction(self) -> int:
        """Return the direction as MongoDB takes it."""
        return -1 if self.descending else 1

    @property
    def there(self) -> Condition:
        """Return the condition, on the index, of those who have a value; a tombstone has none."""
        return {self.key: {"$gte": self.least}}

    @property
    def lacking(self) -> Condition:
        """Return the condition of those who have none."""
        return {f"keys.lacks.{self.name}": True}

    def own_value(self, person: Mapping[str, Any]) -> Any:
        """Return what a person is sorted by before another field; None for who has no value."""
        if self.may_lack and person.get(self.name) is None:
            return None
        return own_key(person, self.name) if self.is_name else _compared(person, self)


def _compared(person: Mapping[str, Any], sort: Sort) -> Any:
    value: Any = person
    for part in sort.key.split("."):
        value = value[part]
    return value


class Orders:
    """The orders of a schema's people.

    Args:
        schema: What a person is.

    Attributes:
        names: What people can be sorted by.
        default: The order of a list that names none.
    """

    def __init__(self, schema: PersonSchema) -> None:
        self._fields = {field.name: field for field in schema.fields if field.sort}
        self._keys = search_keys(schema)
        self._declared = frozenset(schema.sorts)
        self.names = (*self._fields, *TIMES)
        self.default = schema.default_sort

    def _sort(self, name: str, *, descending: bool) -> Sort:
        if name in TIMES:
            return Sort(name, descending, name, is_name=False, may_lack=False, least="")
        field = self._fields[name]
        return Sort(name, descending, field.key, field.folded, may_lack(field), least_of(field))

    def read(self, text: str) -> tuple[Sort, ...]:
        """Return the fields of an order; each later one orders those whom the earlier ones do not.

        Args:
            text: Names, separated by commas; `-` before one turns its order round.

        Raises:
            ValueError: One is unknown.
        """
        sorts: dict[str, Sort] = {}
        for word in text.split(","):
            name = word.strip().removeprefix("-")
            if name not in self.names:
                raise PydanticCustomError(
                    "unknown_sort",
                    "must be of {names}; with - before one, in reverse",
                    {"names": ", ".join(self.names)},
                )
            sorts.setdefault(name, self._sort(name, descending=word.strip().startswith("-")))
        return tuple(sorts.values())

    def is_declared(self, sorts: Sequence[Sort]) -> bool:
        """Return whether one index has an order by several fields, as it is or turned round."""
        names = tuple(f"{'-' if sort.descending else ''}{sort.name}" for sort in sorts)
        turned = tuple(f"{'' if sort.descending else '-'}{sort.name}" for sort in sorts)
        return names in self._declared or turned in self._declared

    def values_of(self, person: Mapping[str, Any], sorts: Sequence[Sort]) -> list[Any]:
        """Return what a person is sorted by, field by field; None where there is no value."""
        *before, last = sorts
        whole = last.is_name and last.own_value(person) is not None
        end = self._keys.sort_key(person, last.name) if whole else last.own_value(person)
        return [*(sort.own_value(person) for sort in before), end]


@lru_cache(maxsize=16)
def orders_of(schema: PersonSchema) -> Orders:
    """Return the orders of a schema's people; made once."""
    return Orders(schema)


def order_of(sorts: Sequence[Sort]) -> list[tuple[str, int]]:
    """Return an order as MongoDB takes it.

    The sort key of a name goes on with the other name, which is not to count before another field.
    """
    order: list[tuple[str, int]] = []
    for sort in sorts:
        if sort.may_lack and len(sorts) > 1:
            order.append((f"keys.lacks.{sort.name}", 1))
        order.append((sort.key if sort is sorts[-1] else sort.own_key, sort.direction))
    return [*order, ("_id", sorts[-1].direction)]


def beyond(sorts: Sequence[Sort], values: Sequence[Any], last_id: str) -> list[Condition]:
    """Return the conditions of those who come after a person in an order by several fields.

    Each is of people who come together in that order; the nearest come first.

    Args:
        sorts: The order.
        values: That person's, as of `Orders.values_of`.
        last_id: That person's id.
    """
    found: list[Condition] = []
    same: Condition = {}
    for sort, value in zip(sorts, values, strict=True):
        key = sort.key if sort is sorts[-1] else sort.own_key
        if value is None:  # nobody comes after those who lack it but others who do
            same |= sort.lacking
            continue
        if sort.may_lack:
            found.append({**same, **sort.lacking})
        found.append({**same, key: {"$gt" if sort.direction > 0 else "$lt": value}})
        same[key] = value
    found.append({**same, "_id": {"$gt" if sorts[-1].direction > 0 else "$lt": last_id}})
    return found[::-1]


def group_of(sort: Sort, value: Any) -> Condition:
    """Return the condition, on the index, of those who have a value; as of `Sort.own_value`."""
    if value is None:
        return sort.lacking
    if not sort.is_name:
        return {sort.key: {"$eq": value}}
    return {sort.key: {"$gte": value + BETWEEN, "$lt": value + AFTER}}


def behind(sort: Sort, value: Any) -> Condition:
    """Return the condition, on the index, of those with a value who come after everybody with this one."""
    if sort.descending:
        return {sort.key: {"$lt": value + BETWEEN if sort.is_name else value}}
    return {sort.key: {"$gte": value + AFTER} if sort.is_name else {"$gt": value}}


def up_to(sort: Sort, value: Any) -> Condition:
    """Return the condition, on the index, of those who come no later than everybody with a value."""
    if sort.descending:
        return {sort.key: {"$gte": value + BETWEEN if sort.is_name else value}}
    return {sort.key: {"$lt": value + AFTER} if sort.is_name else {"$lte": value}}
