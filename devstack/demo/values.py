"""Plausible people of any schema, by the types and formats of its fields; the same ones every time."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import cycle, islice
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as patterns  # type: ignore[attr-defined]
from typing import Any, Final
from uuid import UUID

from devstack.demo.people import Dice, demo_person
from events.person.schema.declarations import FieldDeclaration, PersonSchema

_WORDS: Final = (
    *("python", "excel", "welding", "French", "sailing", "first aid", "carpentry", "chess", "Spanish"),
    *("piano", "accounting", "cooking", "photography", "statistics", "gardening"),
)
_FIRST_DAY: Final = date(2015, 1, 1)
_DAYS: Final = 4_000
_LETTERS: Final = string.ascii_letters + string.digits
_MOST_REPEATS: Final = 3
_SOMETIMES: Final = 6


def made_person(schema: PersonSchema, number: int) -> dict[str, Any]:
    """Return one person of a schema, as a client would send it to `POST /people`.

    Args:
        schema: What a person is. Of the shipped one, and where another has its fields, they are demo people.
        number: Which one; 0 or more.

    Returns:
        The fields, all valid; some people lack some that not everybody has.
    """
    known = demo_person(number)
    unique = {name for names in schema.unique.values() for name in names}
    person: dict[str, Any] = {}
    for at, field in enumerate(schema.fields):
        dice = Dice(number * 1_000 + at)
        if field.name in known and _is_usual(field):
            person[field.name] = known[field.name]
        elif field.required or field.name in unique or dice.below(_SOMETIMES):
            choices = Counter(number) if field.name in unique else dice
            person[field.name] = _value(field, choices, number, known)
    return person


_USUAL: Final = {
    "first_name": "name", "middle_name": "name", "last_name": "name", "birth_date": "birth-date",
    "email": "email", "phone": "phone", "address": "text", "occupation": "text",
    "document_id": "document-number",
}  # fmt: skip


def _is_usual(field: FieldDeclaration) -> bool:
    """Return whether a field of another schema is what the demo people have by that name."""
    if field.format == "code":
        return field.name in ("document_type", "gender") and len(field.words) in (4, 6)
    return field.type == "string" and _USUAL.get(field.name) == field.format


class Counter:
    """Chooses like dice, but so that no two numbers come to the same choices.

    Args:
        number: Which one.
    """

    def __init__(self, number: int) -> None:
        self._left = number

    def below(self, limit: int) -> int:
        """Return a number from 0 on, below a limit."""
        self._left, chosen = divmod(self._left, limit)
        return chosen

    def pick(self, choices: Any) -> Any:
        """Return one of some choices."""
        return choices[self.below(len(choices))]


def _value(field: FieldDeclaration, dice: Any, number: int, known: dict[str, str]) -> Any:
    match field.type:
        case "integer":
            least = 0 if field.minimum is None else field.minimum
            most = least + 1_000_000 if field.maximum is None else field.maximum
            return least + dice.below(most - least + 1)
        case "boolean":
            return bool(dice.below(2))
        case "array":
            count = 1 + dice.below(min(_MOST_REPEATS, field.max_items))
            made = (_text(field, Dice(number * 7_919 + at), number, known) for at in range(count))
            return list(dict.fromkeys(made))
        case _:
            return _text(field, dice, number, known)


def _text(field: FieldDeclaration, dice: Any, number: int, known: dict[str, str]) -> str:
    texts: dict[str, Callable[[], str]] = {
        "birth-date": lambda: known["birth_date"],
        "code": lambda: str(dice.pick(tuple(field.words))),
        "date": lambda: (_FIRST_DAY + timedelta(days=dice.below(_DAYS))).isoformat(),
        "decimal": lambda: f"{1_000 + dice.below(9_000)}.{dice.below(100):02d}",
        "document-number": lambda: known["document_id"],
        "email": lambda: known["email"],
        "name": lambda: f"{known['first_name']} {known['last_name']}",
        "phone": lambda: known["phone"],
        "uri": lambda: f"https://example.org/{number}",
        "uuid": lambda: str(UUID(int=number + (4 << 76) + (8 << 60))),
    }
    if field.pattern:
        return matching(field.pattern, dice) or str(field.example)
    made = texts.get(field.format, lambda: str(dice.pick(_WORDS)))()
    if isinstance(dice, Counter) and field.format in ("plain", "text", "name"):
        made = f"{made} {number}"
    if field.format not in ("plain", "text", "name"):
        return made
    padded = "".join(islice(cycle(made), max(len(made), field.min_length)))
    return padded[: field.max_length].strip()


_NAMED: Final = re.compile(r"\(\?<(?=[A-Za-z])")
"""How a group is named outside Python."""


def matching(pattern: str, dice: Any) -> str:
    """Return a text that a pattern matches; nothing if it is too strange for that.

    Args:
        pattern: As a schema has it.
        dice: Chooses.
    """
    pattern = _NAMED.sub("(?P<", pattern)
    try:
        parts = patterns.parse(pattern)
        made = "".join(_made(parts, dice))
        return made if re.search(pattern, made) else ""
    except (re.error, NotImplementedError, OverflowError):
        return ""


def _made(parts: Any, dice: Any) -> Iterator[str]:
    for kind, what in parts:
        if kind is codes.LITERAL:
            yield chr(what)
        elif kind is codes.ANY:
            yield dice.pick(_LETTERS)
        elif kind is codes.NOT_LITERAL:
            yield dice.pick(_LETTERS.replace(chr(what), ""))
        elif kind is codes.IN:
            yield dice.pick(_characters(what))
        elif kind in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, repeated = what
            for _ in range(least + dice.below(min(most, least + _MOST_REPEATS) - least + 1)):
                yield from _made(repeated, dice)
        elif kind is codes.SUBPATTERN:
            yield from _made(what[-1], dice)
        elif kind is codes.BRANCH:
            yield from _made(dice.pick(what[1]), dice)
        elif kind is not codes.AT:
            raise NotImplementedError(str(kind))


_CATEGORIES: Final = {
    codes.CATEGORY_DIGIT: string.digits,
    codes.CATEGORY_WORD: _LETTERS + "_",
    codes.CATEGORY_SPACE: " ",
}


def _characters(members: Any) -> str:
    """Return some characters of a class."""
    if members[0][0] is codes.NEGATE:
        left_out = set(_characters(members[1:]))
        return "".join(one for one in _LETTERS if one not in left_out) or "-"
    found = ""
    for kind, what in members:
        if kind is codes.LITERAL:
            found += chr(what)
        elif kind is codes.RANGE:
            found += "".join(map(chr, range(what[0], min(what[1], what[0] + 93) + 1)))
        elif kind is codes.CATEGORY and what in _CATEGORIES:
            found += _CATEGORIES[what]
        else:
            raise NotImplementedError(str(kind))
    return found
