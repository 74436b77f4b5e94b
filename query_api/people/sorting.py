"""Where in an order of people a page ends, and who comes after it: conditions on the read model."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic_core import PydanticCustomError

from events.person.orders import TIMES, Sort, sort_of
from events.person.schema.declarations import PersonSchema
from events.person.search import AFTER, BETWEEN, search_keys
from query_api.people.search import Condition


class Orders:
    """The orders of a schema's people.

    Args:
        schema: What a person is.

    Attributes:
        names: What people can be sorted by.
        default: The order of a list that names none.
    """

    def __init__(self, schema: PersonSchema) -> None:
        self._schema = schema
        self._keys = search_keys(schema)
        self._declared = frozenset(schema.sorts)
        self.names = (*(field.name for field in schema.fields if field.sort), *TIMES)
        self.default = schema.default_sort

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
            sorts.setdefault(name, sort_of(self._schema, word.strip()))
        return tuple(sorts.values())

    def is_declared(self, sorts: Sequence[Sort]) -> bool:
        """Return whether one index has an order by several fields, as it is or turned round.

        Turned round, it has those first who lack the second field or a later one, whose place is the last.
        """
        names = tuple(f"{'-' if sort.descending else ''}{sort.name}" for sort in sorts)
        turned = tuple(f"{'' if sort.descending else '-'}{sort.name}" for sort in sorts)
        may_turn = not any(sort.may_lack for sort in sorts[1:])
        return names in self._declared or (may_turn and turned in self._declared)

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
            same |= lacking(sort)
            continue
        if sort.may_lack:
            found.append({**same, **lacking(sort)})
            same[sort.lack_key] = None  # an index has it before the value
        found.append({**same, key: {"$gt" if sort.direction > 0 else "$lt": value}})
        same[key] = value
    found.append({**same, "_id": {"$gt" if sorts[-1].direction > 0 else "$lt": last_id}})
    return found[::-1]


def there(sort: Sort) -> Condition:
    """Return the condition, on the index, of those who have a value; a tombstone has none."""
    return {sort.key: {"$gte": sort.least}}


def lacking(sort: Sort) -> Condition:
    """Return the condition of those who have none."""
    return {sort.lack_key: True}


def group_of(sort: Sort, value: Any) -> Condition:
    """Return the condition, on the index, of those who have a value; as of `Sort.own_value`."""
    if value is None:
        return lacking(sort)
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
