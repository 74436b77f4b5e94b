"""Reads rows from lines: CSV (RFC 4180) and NDJSON, the same rows however the bytes arrive. Pure."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, Protocol

import orjson

from command_api.imports.encodings import UTF_8
from command_api.imports.headings import Header
from command_api.imports.lines import MAX_LINE_BYTES, Line, TooLong
from events.cells import restored
from events.person.titles import title_key
from service_kit.http.bodies import repeated_key

TOO_LONG: Final = f"is longer than {MAX_LINE_BYTES >> 10} KB"
_OPEN: Final = "a quote is not closed"
_NO_CSV: Final = (
    ("unexpected end of data", _OPEN),
    ("expected after", 'a quoted cell goes on after its closing quote: a quote inside is written twice, ""'),
    ("new-line", "has a line break in a cell that is not quoted"),
)
_RECORD: Final = b"\x1e"
"""Begins each text of `application/json-seq` (RFC 7464)."""
_NAMED: Final = re.compile(rb'"\s*:')
_LOOSE_QUOTE: Final = r'(?<=[^"\s{0}])"[ ]+(?=[{0}]|$)'
"""A closing quote with spaces after it; an opening one stands behind a delimiter or a space."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file.

    Attributes:
        fields: What it says, by field; None if it cannot be read.
        raw: Its bytes, or what stands for them.
        reason: Why it cannot be read.
    """

    fields: dict[str, Any] | None
    raw: bytes
    reason: str = ""


class Reader(Protocol):
    """Reads rows."""

    def feed(self, lines: Sequence[Line], *, final: bool) -> list[Row]:
        """Return the rows that these lines end.

        Args:
            lines: The next ones.
            final: Whether no more come.
        """


def _bad(line: Line, reason: str) -> Row:
    return Row(None, line.digest if isinstance(line, TooLong) else line, reason)


class JsonRows:
    """Reads NDJSON: an object a line; empty lines do not count.

    Args:
        chosen: The only names to take; None for all.
        ignored: Names that are let go.
        encoding: Of the lines.
        titles: By the key of a name, the field that it means; nothing for what is let go.
    """

    def __init__(
        self,
        chosen: frozenset[str] | None,
        ignored: frozenset[str],
        encoding: str = UTF_8,
        titles: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._chosen = chosen
        self._ignored = ignored
        self._encoding = encoding
        self._titles = titles

    def feed(self, lines: Sequence[Line], *, final: bool) -> list[Row]:
        """Return a row for each line (`Reader`)."""
        del final  # a line is whole
        return [
            self._row(line) if isinstance(line, bytes) else Row(None, line.digest, TOO_LONG)
            for line in lines
            if isinstance(line, TooLong) or line.strip()
        ]

    def _row(self, line: bytes) -> Row:
        text = line.removeprefix(_RECORD)
        try:
            found = orjson.loads(text if self._encoding == UTF_8 else text.decode(self._encoding))
        except orjson.JSONDecodeError as exc:
            return Row(None, line, f"is no JSON, at character {exc.colno}")
        if not isinstance(found, dict):
            return Row(None, line, "is no JSON object")
        if _may_repeat(line, len(found)) and (name := _repeated(text, self._encoding)):
            return Row(None, line, f"has {name[:100]} more than once")
        if self._titles:
            found = {self._titles.get(title_key(name), name): value for name, value in found.items()}
            found.pop("", None)
        if self._chosen is not None:
            found = {name: value for name, value in found.items() if name in self._chosen}
        elif not self._ignored.isdisjoint(found):
            found = {name: value for name, value in found.items() if name not in self._ignored}
        return Row(found, line)


def _may_repeat(line: bytes, names: int) -> bool:
    """Return whether an object may have more names than were kept; colons are counted quickly."""
    return line.count(b":") > names and len(_NAMED.findall(line)) > names


def _repeated(text: bytes, encoding: str) -> str | None:
    """Return a name that an object has more than once; None if there is none."""
    try:
        return repeated_key(text.decode(encoding))
    except RecursionError:
        return None  # no value of a person is nested: it is not valid anyway


class CsvRows:
    """Reads the rows after the header row; quoted cells may hold line ends; empty rows do not count.

    A row that cannot be read costs its first line: reading goes on with the next line, so that a quote
    that is not closed takes no good row with it.

    Args:
        header: What the columns are.
        encoding: Of the lines, each byte of which is a character, or UTF-8; they were checked.
    """

    def __init__(self, header: Header, encoding: str = UTF_8) -> None:
        self._encoding = encoding
        self._cells = partial(
            csv.reader, delimiter=header.delimiter or ",", strict=True, skipinitialspace=True
        )
        self._columns = Columns(header)
        self._loose_quote = re.compile(_LOOSE_QUOTE.format(re.escape(header.delimiter or ",")))
        self._open: list[bytes] = []

    def feed(self, lines: Sequence[Line], *, final: bool) -> list[Row]:
        """Return the rows that these lines end (`Reader`)."""
        if not lines and not final:
            return []  # what is open is not read again for nothing
        rows: list[Row] = []
        together: list[bytes] = self._open
        for line in lines:
            if isinstance(line, bytes):
                together.append(line)
                continue
            self._read(together, rows, final=True)
            together = []
            rows.append(_bad(line, TOO_LONG))
        self._open = together[self._read(together, rows, final=final) :]
        return rows

    def _read(self, lines: list[bytes], rows: list[Row], *, final: bool) -> int:
        """Read rows, and return how many of the lines they took; the rest is the beginning of one."""
        texts = [f"{line.decode(self._encoding, 'surrogateescape')}\n" for line in lines]
        at = 0
        while at < len(lines):
            began = at
            reader = self._cells(islice(texts, began, None))
            try:
                for cells in reader:
                    end = began + reader.line_num
                    if end - at > 1 and _size(lines[at:end]) > MAX_LINE_BYTES:
                        rows.append(_bad(lines[at], _OPEN))
                        at += 1
                        break
                    if any(map(str.strip, cells)):
                        raw = lines[at] if end - at == 1 else b"\n".join(lines[at:end])
                        rows.append(self._row(cells, raw))
                    at = end
            except csv.Error as exc:
                reason = next((words for part, words in _NO_CSV if part in str(exc)), "is no CSV")
                if reason == _OPEN and not final and _size(lines[at:]) <= MAX_LINE_BYTES:
                    return at
                rows.append(self._again(texts[at], lines[at]) or _bad(lines[at], reason))
                at += 1
        return at

    def _again(self, text: str, raw: bytes) -> Row | None:
        """Return the row of a line, if all that is wrong with it is spaces after closing quotes."""
        tight = self._loose_quote.sub('"', text)
        if tight == text:
            return None
        try:
            return self._row(next(self._cells([tight])), raw)
        except csv.Error:
            return None

    def _row(self, cells: list[str], raw: bytes) -> Row:
        if reason := self._columns.fault(cells):
            return Row(None, raw, reason)
        fields = self._columns.fields(cells)
        if b"'" in raw:
            fields = {name: restored(cell) for name, cell in fields.items()}
        return Row(fields, raw)


class Columns:
    """Puts the cells of a row to the fields that a header row names.

    Args:
        header: What the columns are.
    """

    def __init__(self, header: Header) -> None:
        self._count = len(header.names)
        self._nameless = sorted(header.nameless)
        self._taken = [(at, name) for at, name in enumerate(header.names) if name is not None]
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

    def fields(self, cells: Sequence[str]) -> dict[str, Any]:
        """Return the cells by field, without the spaces around them."""
        return {name: cells[at].strip() for at, name in self._taken}


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _size(lines: Iterable[bytes]) -> int:
    return sum(len(line) + 1 for line in lines)
