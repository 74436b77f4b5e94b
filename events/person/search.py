"""What a person is sorted and searched by: the keys that the read model keeps beside the fields."""

from collections.abc import Mapping
from typing import Any, Final

from events.person.schema import FIELDS
from events.text import fold, words

_SORTED: Final = {field.name: field.then for field in FIELDS if field.sort and field.folded}
_COMPARED: Final = tuple(field.name for field in FIELDS if field.search == "exact" and field.folded)
_FOUND: Final = tuple(field.name for field in FIELDS if field.search == "words")
_NUMBERED: Final = tuple(field.name for field in FIELDS if field.format == "document-number")
KEYED: Final = frozenset((*_SORTED, *_COMPARED, *_FOUND, *_NUMBERED))
"""The fields that keys are made of."""
BETWEEN: Final = "\0"
"""Separates the parts of a sort key: it sorts before every letter, so a name comes before longer ones."""
AFTER: Final = "\1"
"""Comes right after `BETWEEN`: ends the range of the keys that go on with it."""


def search_keys(person: Mapping[str, Any]) -> dict[str, Any]:
    """Return a person's keys: what the sorted names sort by, and what filters and search compare with.

    Args:
        person: Anything with the fields of a person.
    """
    own = {name: own_key(person, name) for name in _SORTED}
    keys: dict[str, Any] = {name: f"{own[name]}{BETWEEN}{own[then]}" for name, then in _SORTED.items()}
    keys["own"] = own
    keys["words"] = words(*[person.get(name) for name in _FOUND])
    for name in _NUMBERED:
        number = person.get(name) or ""
        # Others are found by the field itself, whose index there is anyhow.
        if "-" in number:
            keys["words"].append(number.replace("-", "").lower())
    for name in _COMPARED:
        if (value := person.get(name)) is not None:
            keys[name] = fold(value)
    return keys


def sort_key(person: Mapping[str, Any], name: str) -> str:
    """Return what a person sorts by under a sorted name: its own key, and then the other name's."""
    return f"{own_key(person, name)}{BETWEEN}{own_key(person, _SORTED[name])}"


def own_key(person: Mapping[str, Any], name: str) -> str:
    """Return what a person sorts by under a sorted name before another field; who lacks it comes first.

    The name folded, then its text: texts that differ in accents or case alone come together, in an order of
    their own.
    """
    text = person.get(name)
    return BETWEEN if text is None else f"{fold(text)}{BETWEEN}{text}"
