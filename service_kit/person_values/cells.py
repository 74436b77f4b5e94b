"""Reads what is no text out of a text: of a cell of a table, or of an address. Pure."""

import re
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final, assert_never

from pydantic_core import PydanticCustomError

from events.person.schema.declarations import FieldDeclaration

_WHOLE: Final = re.compile(r"([+-]?[0-9]{1,16})(?:\.0{1,16})?", re.ASCII)
_TRUTH: Final = MappingProxyType(
    {"true": True, "yes": True, "sí": True, "si": True, "verdadero": True, "1": True}
    | {"false": False, "no": False, "falso": False, "0": False}
)
"""What people and spreadsheets write for a truth value."""


def integer(written: str) -> int:
    """Return the whole number that a text is.

    Raises:
        ValueError: It is none.
    """
    match = _WHOLE.fullmatch(written.strip())
    if match is None:
        raise PydanticCustomError("int_parsing", "must be a whole number")
    return int(match[1])


def boolean(written: str) -> bool:
    """Return the truth value that a text is: `true` or `false`, or a word for them.

    Raises:
        ValueError: It is none.
    """
    value = _TRUTH.get(written.strip().lower())
    if value is None:
        raise PydanticCustomError("bool_parsing", "must be true or false")
    return value


def cell_reader_of(field: FieldDeclaration) -> Callable[[str], object]:
    """Return what makes of a cell of a table the value as JSON has it; what it cannot be stays text.

    An array's texts are separated by `|`; `\\|` is one in a text, and `\\\\` a backslash.
    """
    match field.type:
        case "integer":
            return _or_text(integer)
        case "boolean":
            return _or_text(boolean)
        case "array":
            return split_cell
        case "string":
            return str
        case _:
            assert_never(field.type)


def _or_text(read: Callable[[str], object]) -> Callable[[str], object]:
    def of_cell(cell: str) -> object:
        try:
            return read(cell) if cell.strip() else cell
        except ValueError:
            return cell

    return of_cell


_PARTS: Final = re.compile(r"(?:[^\\|]|\\.?)+", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def split_cell(cell: str) -> object:
    """Return the texts of an array in a cell; the cell, if it is empty."""
    parts = [_ESCAPED.sub(r"\1", part).strip() for part in _PARTS.findall(cell)]
    return [part for part in parts if part] or cell


def joined_cell(values: Sequence[str]) -> str:
    """Return an array's texts as a cell that `split_cell` reads again."""
    return "|".join(value.replace("\\", "\\\\").replace("|", "\\|") for value in values)
