"""Writes a table as a workbook (.xlsx) while it is sent: any number of rows, in constant memory."""

import re
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any, Final

from events.cells import column_name

MAX_ROWS: Final = 1_048_576
"""Of a sheet; what is more goes on in the next one."""
_LEVEL: Final = 3
_CUT: Final = 10**15
"""From here on a spreadsheet cuts numbers: it keeps 15 digits."""
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
# Sheets are the default, since their number is not known when this is written; readers look for it in front.
_TYPES: Final = (
    f'{_DECLARATION}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Default Extension="xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/></Types>'
)
_ROOT: Final = (
    f'{_DECLARATION}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SPECIAL: Final = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
"""What XML cannot hold, and what would be read as standing for such (ECMA-376, part 1, 22.9.2.19)."""


class _Sink:
    """Holds what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        """Hold some more."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: what is held is taken when it is wanted."""

    def close(self) -> None:
        """Do nothing: the rest may still be taken."""

    def take(self) -> bytes:
        """Return what is held, and hold it no longer."""
        data, self._parts = b"".join(self._parts), []
        return data


class WorkbookWriter:
    """Writes one table.

    Args:
        name: Of the sheet.
        columns: The titles.
    """

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        self._name = name
        self._titles = columns
        self._letters = [column_name(at) for at in range(len(columns))]
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self._sheets = 0
        self._row = 0
        self._part("[Content_Types].xml", _TYPES)
        self._part("_rels/.rels", _ROOT)
        self._begin_sheet()

    def take(self) -> bytes:
        """Return what is written and was not taken yet."""
        return self._sink.take()

    def rows(self, rows: Iterable[Sequence[object]]) -> bytes:
        """Return the bytes of some more rows.

        Args:
            rows: Their cells: texts, numbers, or None.
        """
        lines: list[str] = []
        for cells in rows:
            if self._row == MAX_ROWS:
                self._sheet.write("".join(lines).encode())
                lines.clear()
                self._end_sheet()
                self._begin_sheet()
            lines.append(self._line(cells))
        self._sheet.write("".join(lines).encode())
        return self.take()

    def end(self) -> bytes:
        """Return the rest."""
        self._end_sheet()
        numbers = range(1, self._sheets + 1)
        names = [self._name, *(f"{self._name} {number}" for number in numbers[1:])]
        sheets = "".join(
            f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>'
            for number, name in zip(numbers, names, strict=True)
        )
        relations = "".join(
            f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" '
            f'Target="worksheets/sheet{number}.xml"/>'
            for number in numbers
        )
        self._part(
            "xl/_rels/workbook.xml.rels",
            f'{_DECLARATION}<Relationships xmlns="{_PACKAGE}/relationships">{relations}</Relationships>',
        )
        self._part(
            "xl/workbook.xml",
            f'{_DECLARATION}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
            f"<sheets>{sheets}</sheets></workbook>",
        )
        self._zip.close()
        return self.take()

    def close(self) -> None:
        """Let go what is not written to its end."""
        if self._zip.fp is not None:
            self._sheet.close()
            self._zip.close()
            self.take()

    def _part(self, name: str, text: str) -> None:
        with self._zip.open(name, "w") as part:
            part.write(text.encode())

    def _begin_sheet(self) -> None:
        self._sheets += 1
        self._row = 0
        self._sheet: Any = self._zip.open(f"xl/worksheets/sheet{self._sheets}.xml", "w")
        self._sheet.write(f'{_DECLARATION}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
        self._sheet.write(self._line(self._titles).encode())

    def _end_sheet(self) -> None:
        self._sheet.write(b"</sheetData></worksheet>")
        self._sheet.close()

    def _line(self, cells: Sequence[object]) -> str:
        self._row += 1
        row = self._row
        pairs = zip(self._letters, cells, strict=True)
        written = "".join([_cell(f"{letter}{row}", cell) for letter, cell in pairs if cell is not None])
        return f'<row r="{row}">{written}</row>'


def _cell(place: str, value: object) -> str:
    """Return a cell: a number as such, all else as a text, which no spreadsheet computes.

    A number that is longer than what a spreadsheet keeps of one is a text, too.
    """
    if isinstance(value, int) and abs(value) < _CUT:
        return f'<c r="{place}"><v>{value}</v></c>'
    text = str(value).translate(_MARKUP)
    if _SPECIAL.search(text):
        text = _SPECIAL.sub(_escaped, text)
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\ufffd" if code >= 0xD800 else f"_x{code:04X}_"
