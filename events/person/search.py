"""What a person is sorted and searched by: the keys that the read model keeps beside the fields."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from events.person.decimals import decimal_key
from events.person.schema.declarations import FieldDeclaration, PersonSchema
from events.text import fold, words

BETWEEN: Final = "\0"
"""Separates the parts of a sort key: it sorts before every letter, so a name comes before longer ones."""
AFTER: Final = "\1"
"""Comes right after `BETWEEN`: ends the range of the keys that go on with it."""


class SearchKeys:
    """Makes a person's keys.

    Args:
        schema: Says what people are sorted and searched by.

    Attributes:
        keyed: The fields that keys are made of.
    """

    def __init__(self, schema: PersonSchema) -> None:
        folded = [field for field in schema.fields if field.folded]
        self._sorted = {field.name: field.ties for field in folded if field.sort}
        self._compared = {
            field.name: _comparing(field)
            for field in schema.fields
            if field.key != field.name and field.has_filter and field.name not in self._sorted
        }
        self._lacking = tuple(field.name for field in schema.fields if may_lack(field))
        searched = [field for field in schema.fields if field.is_searched]
        self._found = tuple(field.name for field in searched if field.search == "words")
        self._numbered = tuple(field.name for field in searched if field.is_word)
        self.keyed = frozenset(
            (*self._sorted, *self._compared, *self._lacking, *self._found, *self._numbered)
        )

    def of(self, person: Mapping[str, Any]) -> dict[str, Any]:
        """Return a person's keys: what the sorted names sort by, and what filters and search compare with.

        Args:
            person: Anything with the fields of a person.
        """
        own = {name: own_key(person, name) for name in self._sorted}
        keys: dict[str, Any] = {name: _tied(own, name, ties) for name, ties in self._sorted.items()}
        keys["own"] = own
        if self._found or self._numbered:
            keys["words"] = words(*[person.get(name) for name in self._found])
        for name in self._numbered:
            number = person.get(name) or ""
            # Others are found by the field itself, whose index there is anyhow.
            if "-" in number:
                keys["words"].append(number.replace("-", "").lower())
        for name, key_of in self._compared.items():
            if (value := person.get(name)) is not None:
                keys[name] = key_of(value)
        if self._lacking:
            lacking = {name: True for name in self._lacking if person.get(name) is None}
            for name in lacking:
                keys.pop(name, None)
            if lacking:
                keys["lacks"] = lacking
        return keys

    def sort_key(self, person: Mapping[str, Any], name: str) -> str:
        """Return what a person sorts by under a sorted name: its own key, and then the other name's."""
        ties = self._sorted[name]
        own = {one: own_key(person, one) for one in (name, ties) if one}
        return _tied(own, name, ties)


def may_lack(field: FieldDeclaration) -> bool:
    """Return whether people without a value come last in a field's order; without a name, they come first."""
    return field.sort and not field.required and field.format != "name"


def _tied(own: Mapping[str, str], name: str, ties: str) -> str:
    return f"{own[name]}{BETWEEN}{own[ties]}" if ties else own[name] + BETWEEN


def _comparing(field: FieldDeclaration) -> Any:
    """Return what makes of a value what it is compared by."""
    one = decimal_key if field.format == "decimal" else fold
    return (lambda values: [one(value) for value in values]) if field.type == "array" else one


def own_key(person: Mapping[str, Any], name: str) -> str:
    """Return what a person sorts by under a sorted name before another field; who lacks it comes first.

    The name folded, then its text: texts that differ in accents or case alone come together, in an order of
    their own.
    """
    text = person.get(name)
    return BETWEEN if text is None else f"{fold(text)}{BETWEEN}{text}"


@lru_cache(maxsize=16)
def search_keys(schema: PersonSchema) -> SearchKeys:
    """Return what makes the keys of a schema's people; made once."""
    return SearchKeys(schema)
