"""Reads the header row of a table: which field each column is, and what is wrong with that. Pure."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Final

from command_api.imports.lines import MAX_LINE_BYTES
from command_api.imports.options import ID, IGNORED, ImportQuery
from events.errors import BodyTooLarge, InvalidFields
from events.person.titles import fields_by_title, title_key
from service_kit.person_values.cells import cell_reader_of

DELIMITERS: Final = ",;\t|"
_SEPARATOR: Final = re.compile(r'\s*"?sep=([^"\r\n])"?[,;\t|]*[ ]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
"""What a spreadsheet takes as word of the delimiter, and some write for it."""
_TOLD: Final = 20
"""Unknown columns that are named: looking for what each may mean takes time."""
_LET_GO: Final = frozenset(map(title_key, IGNORED))
NO_HEADER: Final = (
    "there is no header row: the first row must name the columns, by fields or as people call them; `map` "
    "(--map) says what other names mean"
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a header row says.

    Attributes:
        names: The field of each column; None for one that is let go.
        nameless: The columns, from 0, that have no name, and must have no content.
        delimiter: Between the cells of CSV.
        readers: Of the fields that are no texts, what makes of a cell their value.
    """

    names: tuple[str | None, ...]
    nameless: frozenset[int] = frozenset()
    delimiter: str | None = None
    readers: Mapping[str, Callable[[str], object]] = field(default_factory=dict, compare=False, repr=False)


class Columns:
    """Puts the cells of a row to the fields that a header row names.

    Args:
        header: What the columns are.
    """

    def __init__(self, header: Header) -> None:
        self._count = len(header.names)
        self._nameless = sorted(header.nameless)
        self._taken = [(at, name) for at, name in enumerate(header.names) if name is not None]
        self._read = [(name, header.readers[name]) for _, name in self._taken if name in header.readers]
        self._needed = 1 + max(set(range(self._count)) - header.nameless, default=-1)

    def fault(self, cells: Sequence[str]) -> str:
        """Return what is wrong with how many cells there are; nothing if all is well."""
        if len(cells) == self._count and not self._nameless:
            return ""
        if len(cells) < self._needed or any(cell.strip() for cell in cells[self._count :]):
            return f"has {_counted(len(cells), 'cell')} where the header row has {self._needed}"
        for at in self._nameless:
            if at < len(cells) and cells[at].strip():
                return f"has a value in column {at + 1}, which has no name in the header row"
        return ""

    def fields(self, cells: Sequence[str], restore: Callable[[str], str] | None = None) -> dict[str, Any]:
        """Return the values of the cells by field, without the spaces around them.

        Args:
            cells: Of a row.
            restore: Takes from a cell what an export has put before its text; None where it has put nothing.
        """
        values: dict[str, Any] = {name: cells[at].strip() for at, name in self._taken}
        if restore is not None:
            values = {name: restore(text) for name, text in values.items()}
        for name, read in self._read:
            values[name] = read(values[name])
        return values


def read_columns(cells: Sequence[str], query: ImportQuery) -> Header:
    """Return what the cells of a header row say.

    Args:
        cells: The titles of the columns.
        query: The mode, the columns to take, and what titles of the client's own mean.

    Raises:
        InvalidFields: It is no header row, or lacks what every row needs, or has a column that is unknown
            and not left out.
    """
    fields = [_field(title, query) for title in cells]
    if not query.known.intersection(fields):
        raise InvalidFields(NO_HEADER)
    errors = [*_strange(cells, fields, query), *_missing(cells, fields, query)]
    if errors:
        raise InvalidFields("the columns are not as they must be", errors)
    chosen = query.known if query.chosen is None else query.chosen
    return Header(
        tuple(name if name in chosen else None for name in fields),
        frozenset(at for at, title in enumerate(cells) if not title.strip()),
        readers={one.name: cell_reader_of(one) for one in query.person_schema.fields if one.type != "string"},
    )


def _field(title: str, query: ImportQuery) -> str | None:
    """Return the field of a title, empty for what is let go; None for an unknown one."""
    key = title_key(title)
    if key in query.titles:
        return query.titles[key]
    return "" if not key or key in _LET_GO else fields_by_title(query.person_schema).get(key)


def _strange(
    cells: Sequence[str], fields: Sequence[str | None], query: ImportQuery
) -> Iterator[dict[str, str]]:
    chosen = query.known if query.chosen is None else query.chosen
    for name in sorted(chosen.intersection(fields)):
        if fields.count(name) > 1:
            places = [at for at, one in enumerate(fields) if one == name]
            titles = " and ".join(f"“{cells[at].strip()[:100]}”" for at in places[:3])
            yield {"field": name, "reason": f"is there more than once, as {titles}: keep one of them"}
    if query.chosen is None:
        unknown = [title for title, field in zip(cells, fields, strict=True) if field is None]
        for title in unknown[:_TOLD]:
            yield {"field": title.strip()[:100], "reason": _unknown(title, query)}


def _unknown(title: str, query: ImportQuery) -> str:
    known = fields_by_title(query.person_schema)
    close = get_close_matches(title_key(title)[:100], known, 1, 0.75)
    hint = f": did you mean {known[close[0]]}?" if close else ":"
    return (
        f"is no column that is known{hint} `map` (--map) says what it is, or nothing to leave it out; "
        "`columns` (--columns) takes some columns alone"
    )


def _missing(
    cells: Sequence[str], fields: Sequence[str | None], query: ImportQuery
) -> Iterator[dict[str, str]]:
    there = set(map(title_key, cells))
    for title in query.titles_given:
        if title_key(title) not in there:
            yield {"field": "map", "reason": f"names “{title}”, which is no column of the file"}
    named = query.known.intersection(fields)
    if query.chosen is not None:
        for name in sorted(query.chosen - named):
            yield {"field": name, "reason": "is no column of the file"}
        named &= query.chosen
    if query.mode == "create" or ID not in named:
        for name in query.person_schema.required:
            if name not in named:
                yield {"field": name, "reason": "is a column that every row needs"}


def read_header(text: str, query: ImportQuery, *, final: bool) -> tuple[Header, int] | None:
    """Return what the header row of CSV says, and how many characters it takes; None if it has no end yet.

    Its delimiter is the one that makes more known columns of it, unless a line before it says which it is.

    Args:
        text: The beginning of the file.
        query: As for `read_columns`.
        final: Whether that is all of it.

    Raises:
        BodyTooLarge: The row is longer than any may be.
        InvalidFields: As `read_columns` does.
    """
    said = _SEPARATOR.match(text)
    begin = said.end() if said else 0
    rows = [(*_first(text[begin:], delimiter), delimiter) for delimiter in (said[1] if said else DELIMITERS)]
    cells, length, delimiter = max(
        rows, key=lambda row: len(query.known.intersection(_field(cell, query) for cell in row[0]))
    )
    if length > MAX_LINE_BYTES:
        raise BodyTooLarge(f"the header row is over {MAX_LINE_BYTES >> 10} KB")
    end = begin + length
    if not cells or not (final or end < len(text) or text.endswith(("\n", "\r"))):
        return None
    return replace(read_columns(cells, query), delimiter=delimiter), end


def _first(text: str, delimiter: str) -> tuple[list[str], int]:
    """Return the cells of the first row that has any, and where it ends; none if there is none."""
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in io.StringIO(text, newline=""):
            end += len(line)
            yield line

    try:
        for cells in csv.reader(lines(), delimiter=delimiter, strict=True, skipinitialspace=True):
            if any(cell.strip() for cell in cells):
                return cells, end
    except (csv.Error, ValueError, TypeError):  # what follows `sep=` may be no delimiter
        pass
    return [], end


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
