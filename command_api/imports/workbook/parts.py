"""The small parts of a workbook: where its sheets are, and which numbers are dates. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from command_api.imports.workbook.xml import XmlReader

DATE: Final = -1
"""Stands for a number that is a date; above it are the digits that a number is filled up to with zeros."""
_DATES: Final = frozenset((*range(14, 23), *range(27, 37), *range(50, 59)))
"""Numbers of the formats of dates that need no code (ECMA-376, part 1, section 18.8.30)."""
_NO_CODE: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_RELATION: Final = "id"
_MAX_STYLES: Final = 65_536
_LONGEST_CODE: Final = 255


@dataclass(slots=True)
class Relations:
    """By id, the type and the target of what a part refers to."""

    targets: dict[str, tuple[str, str]] = field(default_factory=dict)

    def reader(self) -> XmlReader:
        """Return what fills it."""
        return XmlReader(self._start)

    def _start(self, name: str, fields: Mapping[str, str]) -> None:
        if name == "Relationship":
            kind = fields.get("Type", "").rpartition("/")[2]
            self.targets[fields.get("Id", "")] = kind, fields.get("Target", "")

    def of_kind(self, kind: str) -> str | None:
        """Return the target of the first relation of a kind; None if there is none."""
        return next((target for one, target in self.targets.values() if one == kind), None)


@dataclass(slots=True)
class Contents:
    """What a workbook has.

    Attributes:
        sheets: By name, the id of the relation, in their order.
        from_1904: Whether days are counted from 1904.
    """

    sheets: dict[str, str] = field(default_factory=dict)
    from_1904: bool = False

    def reader(self) -> XmlReader:
        """Return what fills it."""
        return XmlReader(self._start)

    def _start(self, name: str, fields: Mapping[str, str]) -> None:
        if name == "workbookPr":
            self.from_1904 = fields.get("date1904") in ("1", "true")
        if name == "sheet":
            relation = next((fields[key] for key in fields if key.rpartition(" ")[2] == _RELATION), "")
            self.sheets[fields.get("name", "")] = relation


@dataclass(slots=True)
class Styles:
    """How numbers are shown.

    Attributes:
        digits: By style: `DATE`, or to how many digits a number is filled up.
    """

    digits: list[int] = field(default_factory=list)
    _codes: dict[str, str] = field(default_factory=dict)
    _of_cells: bool = False

    def reader(self) -> XmlReader:
        """Return what fills it."""
        return XmlReader(self._start, self._end)

    def _start(self, name: str, fields: Mapping[str, str]) -> None:
        if name == "numFmt" and len(self._codes) < _MAX_STYLES:
            self._codes[fields.get("numFmtId", "")] = fields.get("formatCode", "")
        elif name == "cellXfs":
            self._of_cells = True
        elif name == "xf" and self._of_cells and len(self.digits) < _MAX_STYLES:
            number = fields.get("numFmtId", "")
            shown = (
                DATE
                if number.isdecimal() and int(number[:9]) in _DATES
                else shown_as(self._codes.get(number, ""))
            )
            self.digits.append(shown)

    def _end(self, name: str) -> None:
        if name == "cellXfs":
            self._of_cells = False


def shown_as(code: str) -> int:
    """Return what the code of a number format makes of a number, as `Styles.digits` says it.

    One that is longer than any that a spreadsheet takes is not looked at.
    """
    if len(code) > _LONGEST_CODE:
        return 0
    first = _NO_CODE.sub("", code).partition(";")[0].strip().lower()
    if first and not first.strip("0"):
        return len(first)
    if "y" in first or "d" in first:
        return DATE
    return 0
