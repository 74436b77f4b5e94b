"""Reads the rows of a sheet and the shared texts of a workbook as they are unpacked."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import Final

from command_api.imports.lines import MAX_LINE_BYTES, Unreadable
from command_api.imports.workbook.cells import UNCOMPUTED, plain_text
from command_api.imports.workbook.xml import XmlReader

MAX_ROWS: Final = 1_048_576
MAX_COLUMNS: Final = 16_384
_MAX_TEXTS: Final = 8_000_000
_MAX_TEXT_BYTES: Final = 512 * 1024 * 1024
_IN_MEMORY: Final = 4 * 1024 * 1024
_REST: Final = "more than a worksheet can have"


@dataclass(slots=True)
class SheetRow:
    """A row as the sheet has it.

    Attributes:
        cells: The column from 0, the type, the style and the value of each cell that has one.
        too_long: Whether that is not all, because it is too much.
    """

    cells: list[tuple[int, str, int, str]] = field(default_factory=list)
    too_long: bool = False


@lru_cache(maxsize=MAX_COLUMNS)
def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    if not (letters.isascii() and letters.isupper() and 0 < number <= MAX_COLUMNS):
        raise Unreadable(f"the sheet has {_REST}")
    return number - 1


class SheetReader:
    """Reads rows of a sheet; rows without cells are none."""

    def __init__(self) -> None:
        self._xml = XmlReader(self._start, self._end, self._text)
        self._rows: list[SheetRow] = []
        self._count = 0
        self._row = SheetRow()
        self._cell: tuple[int, str, int] = (0, "n", 0)
        self._next = 0
        self._value: list[str] | None = None
        self._parts: list[str] = []
        self._length = 0
        self._phonetic = self._formula = False

    def feed(self, data: bytes, *, final: bool = False) -> list[SheetRow]:
        """Return the rows that these bytes end.

        Raises:
            Unreadable: It is no sheet, or a larger one than there can be.
        """
        self._xml.feed(data, final=final)
        rows, self._rows = self._rows, []
        return rows

    def _start(self, name: str, fields: Mapping[str, str]) -> None:
        match name:
            case "c":
                reference = fields.get("r", "")
                column = _column(reference.rstrip("0123456789")[:4]) if reference else self._next
                style = fields.get("s", "0")
                self._cell = (
                    column,
                    fields.get("t", "n"),
                    int(style) if style.isdecimal() and len(style) < 9 else 0,
                )
                self._next = column + 1
                self._parts, self._formula = [], False
            case "f":
                self._formula = True
            case "v" | "t" if not self._phonetic:
                self._value = self._parts
            case "rPh":
                self._phonetic = True
            case "row":
                self._row, self._next, self._length = SheetRow(), 0, 0
                self._count += 1
                if self._count > MAX_ROWS:
                    raise Unreadable(f"the sheet has {_REST}: {MAX_ROWS:,} rows")

    def _text(self, text: str) -> None:
        if self._value is None:
            return
        self._length += len(text)
        if self._length > MAX_LINE_BYTES:
            self._row.too_long = True
        else:
            self._value.append(text)

    def _end(self, name: str) -> None:
        match name:
            case "v" | "t":
                self._value = None
            case "rPh":
                self._phonetic = False
            case "c":
                column, kind, style = self._cell
                if self._formula and not self._parts and kind != "str":  # that one is an empty text
                    kind = UNCOMPUTED
                if self._parts or kind == UNCOMPUTED:
                    if len(self._row.cells) >= MAX_COLUMNS:
                        raise Unreadable(f"the sheet has {_REST}")
                    self._row.cells.append((column, kind, style, "".join(self._parts)))
            case "row" if self._row.cells or self._row.too_long:
                self._rows.append(self._row)


class SharedTexts:
    """The texts that cells refer to by their number: unpacked as far as they are asked for, kept on disk.

    Attributes:
        content: The part, as it is unpacked.
    """

    def __init__(self) -> None:
        self.content: Iterator[bytes] = iter(())
        self._xml = XmlReader(self._start, self._end, self._text)
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._ends = array("I", [0])
        self._new: list[bytes] = []
        self._size = 0
        self._parts: list[str] = []
        self._length = 0
        self._taken = self._phonetic = False

    def __len__(self) -> int:
        """Return how many are unpacked."""
        return len(self._ends) - 1

    def unpack(self) -> int:
        """Unpack some more, and return how many bytes that were; 0: there are no more.

        Raises:
            Unreadable: The part is damaged, or too large, or there is no room for it.
        """
        data = next(self.content, b"")
        self._xml.feed(data)
        self._file.seek(0, 2)
        try:
            self._file.write(b"".join(self._new))
        except OSError as exc:
            raise Unreadable(f"there is no room to unpack it: {exc.strerror}") from exc
        self._new.clear()
        return len(data)

    def __getitem__(self, number: int) -> str:
        """Return a text that is unpacked."""
        begin, end = self._ends[number], self._ends[number + 1]
        self._file.seek(begin)
        return self._file.read(end - begin).decode()

    def close(self) -> None:
        """Let the texts go."""
        self._file.close()

    def _start(self, name: str, _: Mapping[str, str]) -> None:
        match name:
            case "si":
                self._parts, self._length = [], 0
            case "rPh":
                self._phonetic = True
            case "t":
                self._taken = not self._phonetic

    def _text(self, text: str) -> None:
        # One character more than a row may have is enough to see that it is too long.
        if self._taken and self._length <= MAX_LINE_BYTES:
            self._parts.append(text[: MAX_LINE_BYTES + 1])
            self._length += len(text)

    def _end(self, name: str) -> None:
        match name:
            case "t":
                self._taken = False
            case "rPh":
                self._phonetic = False
            case "si":
                text = plain_text("".join(self._parts)).encode("utf-8", "replace")
                self._size += len(text)
                if len(self) >= _MAX_TEXTS or self._size > _MAX_TEXT_BYTES:
                    raise Unreadable("the workbook has more texts than an import takes: save it as CSV")
                self._new.append(text)
                self._ends.append(self._size)
