"""Reads rows from lines: CSV (RFC 4180) and NDJSON, the same rows however the bytes arrive. Pure."""

import csv
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

import orjson

from command_api.imports.encodings import UTF_8
from command_api.imports.headings import Columns, Header
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
_EMPTY: Final = (b"", b"\r")
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
        if _may_repeat(line, len(found)) and _repeated(text, self._encoding):
            return Row(None, line, "has a name more than once")
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
    that is not closed takes no good row with it. Whether a line goes on within a quote is found out once, by
    itself, so each is looked at a few times at most, whatever stands in the lines around it.

    Args:
        header: What the columns are.
        encoding: Of the lines, each byte of which is a character, or UTF-8; they were checked.
    """

    def __init__(self, header: Header, encoding: str = UTF_8) -> None:
        self._encoding = encoding
        delimiter = header.delimiter or ","
        self._dialect = csv.reader((), delimiter=delimiter, strict=True, skipinitialspace=True).dialect
        self._columns = Columns(header)
        self._loose_quote = re.compile(_LOOSE_QUOTE.format(re.escape(delimiter)))
        self._open: deque[tuple[bytes, str]] = deque()
        self._size = 0

    def feed(self, lines: Sequence[Line], *, final: bool) -> list[Row]:
        """Return the rows that these lines end (`Reader`)."""
        rows: list[Row] = []
        for line in lines:
            if isinstance(line, TooLong):
                self._give_up(rows)
                rows.append(_bad(line, TOO_LONG))
            elif self._open:
                self._go_on(line, self._text(line), rows)
            elif line not in _EMPTY:
                self._begin(line, self._text(line), rows)
        if final:
            self._give_up(rows)
        return rows

    def _text(self, line: bytes) -> str:
        return f"{line.decode(self._encoding, 'surrogateescape')}\n"

    def _begin(self, line: bytes, text: str, rows: list[Row]) -> bool:
        """Read a row that begins with this line; return whether the line is all that there is of it."""
        try:
            self._add(next(csv.reader((text,), self._dialect)), line, rows)
        except csv.Error as exc:
            reason = _reason(exc)
            if reason == _OPEN:
                self._open.append((line, text))
                self._size += len(line) + 1
                return False
            rows.append(self._again(text, line) or _bad(line, reason))
        return True

    def _go_on(self, line: bytes, text: str, rows: list[Row]) -> None:
        """Read a line that stands behind one with an open quote."""
        reason = _OPEN
        try:
            next(csv.reader((f'"{text}',), self._dialect))
            closes = True
        except csv.Error as exc:
            reason, closes = _reason(exc), False
        size = len(line) + 1
        while self._open:
            fits = self._size + size <= MAX_LINE_BYTES
            if fits and not closes and reason == _OPEN:
                self._open.append((line, text))
                self._size += size
                return
            if fits and closes:
                cells = next(csv.reader([*(one for _, one in self._open), text], self._dialect))
                self._add(cells, b"\n".join([*(one for one, _ in self._open), line]), rows)
                self._open.clear()
                self._size = 0
                return
            self._drop_first(rows, reason)
        self._begin(line, text, rows)

    def _drop_first(self, rows: list[Row], reason: str) -> None:
        """Give up the row that is open, and begin again with the line after its first."""
        line, text = self._open.popleft()
        self._size -= len(line) + 1
        rows.append(self._again(text, line) or _bad(line, reason))
        while self._open:
            line, text = self._open.popleft()
            self._size -= len(line) + 1
            if not self._begin(line, text, rows):
                self._open.rotate(1)  # it is open again, and what follows goes on within its quote
                return

    def _give_up(self, rows: list[Row]) -> None:
        """Take note that what is open is not closed any more."""
        while self._open:
            self._drop_first(rows, _OPEN)

    def _add(self, cells: list[str], raw: bytes, rows: list[Row]) -> None:
        if any(map(str.strip, cells)):
            rows.append(self._row(cells, raw))

    def _again(self, text: str, raw: bytes) -> Row | None:
        """Return the row of a line, if all that is wrong with it is spaces after closing quotes."""
        tight = self._loose_quote.sub('"', text)
        if tight == text:
            return None
        try:
            return self._row(next(csv.reader((tight,), self._dialect)), raw)
        except csv.Error:
            return None

    def _row(self, cells: list[str], raw: bytes) -> Row:
        if reason := self._columns.fault(cells):
            return Row(None, raw, reason)
        return Row(self._columns.fields(cells, restored if b"'" in raw else None), raw)


def _reason(failure: csv.Error) -> str:
    """Return why CSV cannot be read."""
    return next((words for part, words in _NO_CSV if part in str(failure)), "is no CSV")
