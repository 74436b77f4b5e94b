"""Owns reading rows from lines: CSV (RFC 4180) and NDJSON, the same rows however the bytes arrive. Pure."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

import orjson

from command_api.imports.lines import MAX_LINE_BYTES, Line, TooLong
from events.cells import restored

_TOO_LONG: Final = f"is longer than {MAX_LINE_BYTES >> 10} KB"
_OPEN: Final = "a quote is not closed"


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
    """

    def __init__(self, chosen: frozenset[str] | None, ignored: frozenset[str]) -> None:
        self._chosen = chosen
        self._ignored = ignored

    def feed(self, lines: Sequence[Line], *, final: bool) -> list[Row]:
        """Return a row for each line (`Reader`)."""
        del final  # a line is whole
        return [
            self._row(line) if isinstance(line, bytes) else Row(None, line.digest, _TOO_LONG)
            for line in lines
            if isinstance(line, TooLong) or line.strip()
        ]

    def _row(self, line: bytes) -> Row:
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            return Row(None, line, f"is no JSON: {exc.msg}")
        if not isinstance(found, dict):
            return Row(None, line, "is no JSON object")
        if self._chosen is not None:
            found = {name: value for name, value in found.items() if name in self._chosen}
        elif not self._ignored.isdisjoint(found):
            found = {name: value for name, value in found.items() if name not in self._ignored}
        return Row(found, line)


class CsvRows:
    """Reads the rows after the header row; quoted cells may hold line ends; empty lines do not count.

    A row that cannot be read costs its first line: reading goes on with the next line, so that a quote
    that is not closed takes no good row with it.

    Args:
        delimiter: Between the cells.
        names: The field of each column; None for one that is let go.
    """

    def __init__(self, delimiter: str, names: Sequence[str | None]) -> None:
        self._delimiter = delimiter
        self._names = names
        self._taken = [(at, name) for at, name in enumerate(names) if name is not None]
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
            rows.append(_bad(line, _TOO_LONG))
        self._open = together[self._read(together, rows, final=final) :]
        return rows

    def _read(self, lines: list[bytes], rows: list[Row], *, final: bool) -> int:
        """Read rows, and return how many of the lines they took; the rest is the beginning of one."""
        texts = [f"{line.decode('utf-8', 'surrogateescape')}\n" for line in lines]
        at = 0
        while at < len(lines):
            began = at
            reader = csv.reader(islice(texts, began, None), delimiter=self._delimiter, strict=True)
            try:
                for cells in reader:
                    end = began + reader.line_num
                    if end - at > 1 and _size(lines[at:end]) > MAX_LINE_BYTES:
                        rows.append(_bad(lines[at], _OPEN))
                        at += 1
                        break
                    if cells:
                        rows.append(
                            self._row(cells, lines[at] if end - at == 1 else b"\n".join(lines[at:end]))
                        )
                    at = end
            except csv.Error as exc:
                unended = "unexpected end of data" in str(exc)
                if unended and not final and _size(lines[at:]) <= MAX_LINE_BYTES:
                    return at
                rows.append(_bad(lines[at], _OPEN if unended else f"is no CSV: {exc}"))
                at += 1
        return at

    def _row(self, cells: list[str], raw: bytes) -> Row:
        if len(cells) != len(self._names):
            return Row(None, raw, f"has {len(cells)} cells, and the header row {len(self._names)}")
        fields = {name: cells[at] for at, name in self._taken}
        if b"'" in raw:
            fields = {name: restored(cell) for name, cell in fields.items()}
        return Row(fields, raw)


def _size(lines: Iterable[bytes]) -> int:
    return sum(len(line) + 1 for line in lines)
