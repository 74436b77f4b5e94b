"""The orders in which people are listed: what the read model compares for each. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.person.fields import MAX_INTEGER
from events.person.schema.declarations import FieldDeclaration, PersonSchema
from events.person.search import may_lack, own_key

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
        """Return where the read model has what is compared before another field."""
        return f"keys.own.{self.name}" if self.is_name else self.key

    @property
    def lack_key(self) -> str:
        """Return where the read model notes that a person has no value."""
        return f"keys.lacks.{self.name}"

    @property
    def direction(self) -> int:
        """Return the direction as MongoDB takes it."""
        return -1 if self.descending else 1

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


def sort_of(schema: PersonSchema, text: str) -> Sort:
    """Return a field that people of a schema are sorted by.

    Args:
        schema: What a person is.
        text: The name, with `-` before it if the order is turned round.

    Raises:
        KeyError: People cannot be sorted by it.
    """
    name, descending = text.removeprefix("-"), text.startswith("-")
    if name in TIMES:
        return Sort(name, descending, name, is_name=False, may_lack=False, least="")
    field = schema.by_name[name]
    if not field.sort:
        raise KeyError(name)
    return Sort(name, descending, field.key, field.folded, may_lack(field), least_of(field))


def order_of(sorts: Sequence[Sort]) -> list[tuple[str, int]]:
    """Return an order as MongoDB takes it.

    The sort key of a name goes on with the other name, which is not to count before another field.
    """
    order: list[tuple[str, int]] = []
    for sort in sorts:
        if sort.may_lack and len(sorts) > 1:
            order.append((sort.lack_key, 1))
        order.append((sort.key if sort is sorts[-1] else sort.own_key, sort.direction))
    return [*order, ("_id", sorts[-1].direction)]
