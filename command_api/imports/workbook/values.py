"""Tells what the cells of a row say: their own values, and the shared texts that they refer to."""

from dataclasses import dataclass, field

from command_api.imports.lines import MAX_LINE_BYTES, Unreadable
from command_api.imports.workbook.cells import CellFault, cell_text
from command_api.imports.workbook.parts import Contents, Styles
from command_api.imports.workbook.sheet import SharedTexts, SheetRow


@dataclass(slots=True)
class RowTexts:
    """What the cells of a row say, by column, and what is wrong with others."""

    cells: list[tuple[int, str]] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    too_long: bool = False


@dataclass(slots=True)
class WorkbookValues:
    """What values in a workbook mean.

    Attributes:
        contents: What it has.
        styles: How numbers are shown.
        shared: The texts that cells refer to.
    """

    contents: Contents = field(default_factory=Contents)
    styles: Styles = field(default_factory=Styles)
    shared: SharedTexts = field(default_factory=SharedTexts)

    def lacks_texts(self, row: SheetRow) -> bool:
        """Return whether a row refers to texts that are not unpacked yet."""
        known = len(self.shared)
        return any(kind == "s" and _number(value) >= known for _, kind, _, value in row.cells)

    def texts_of(self, row: SheetRow) -> RowTexts:
        """Return what a row's cells say.

        Raises:
            Unreadable: One refers to a text that is not there.
        """
        texts, length = RowTexts(too_long=row.too_long), 0
        digits, from_1904 = self.styles.digits, self.contents.from_1904
        for column, kind, style, value in row.cells:
            try:
                if kind == "s":
                    text = self._shared_text(value)
                else:
                    shown = digits[style] if style < len(digits) else 0
                    text = cell_text(kind, value, shown, from_1904=from_1904)
            except CellFault as exc:
                texts.faults.append((column, exc.reason))
                continue
            length += len(text)
            if length > MAX_LINE_BYTES:
                texts.too_long = True
                break
            texts.cells.append((column, text))
        return texts

    def _shared_text(self, value: str) -> str:
        number = _number(value)
        if not 0 <= number < len(self.shared):
            raise Unreadable("the workbook is damaged: a cell has a text that is not there")
        return self.shared[number]


def _number(value: str) -> int:
    """Return the number of a shared text; -1 for what is none."""
    return int(value) if value.isdecimal() and len(value) < 9 else -1
