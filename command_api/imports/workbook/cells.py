"""Reads a cell of a workbook as the text that a person would type for what it shows. Pure."""

import re
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from command_api.imports.workbook.parts import DATE

_PLAIN: Final = re.compile(r"-?[0-9]{1,15}")
_EXACT: Final = 15
"""Digits that a spreadsheet keeps of a number."""
_LONGEST: Final = 40
_FIRST: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a workbook's times have no zone
_FIRST_1904: Final = datetime(1904, 1, 1)  # noqa: DTZ001
_LAST: Final = 2_958_465
"""The 31 December 9999."""
_LEAP: Final = 60
"""The 29 February 1900, which there was not; days before it count from a day later."""
_ESCAPE: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_MIDNIGHT: Final = re.compile(r"T00:00(:00(\.0+)?)?Z?$")
UNCOMPUTED: Final = "f"
"""The type of a cell that has a formula and no value: programs write such, and leave it to a spreadsheet."""
_ERROR: Final = re.compile(r"#[A-Z0-9/_]{1,20}[!?]?")


class CellFault(Exception):
    """A cell has no value that could be taken.

    Args:
        reason: What is wrong, in words that follow the cell's place.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def plain_text(text: str) -> str:
    """Return a text with what XML cannot hold in its place (ECMA-376, part 1, section 22.9.2.19)."""
    if "_x" not in text:
        return text
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code <= 0xDFFF else chr(code)


def cell_text(kind: str, text: str, digits: int, *, from_1904: bool) -> str:
    """Return what a cell says that is no shared text.

    Args:
        kind: Its type: `n` and so on, or `UNCOMPUTED`.
        text: Its value.
        digits: How it is shown, as `Styles.digits` says it.
        from_1904: Whether days are counted from 1904.

    Raises:
        CellFault: It says nothing that can be taken.
    """
    match kind:
        case "b":
            return "TRUE" if text.strip() in ("1", "true") else "FALSE"
        case "e":
            shown = text if _ERROR.fullmatch(text) else "an error"
            raise CellFault(f"shows {shown}: correct the formula, or put a value in its place")
        case "f":
            raise CellFault("has a formula without a value: open the file in a spreadsheet and save it")
        case "d":
            return _MIDNIGHT.sub("", text.strip())
        case "n":
            return _number(text.strip(), digits, from_1904=from_1904)
        case _:
            return plain_text(text)


def _number(text: str, digits: int, *, from_1904: bool) -> str:
    if digits == DATE:
        return _date(text, from_1904=from_1904)
    if not _PLAIN.fullmatch(text):
        text = _written_out(text)
    return text.zfill(digits) if digits else text


def _written_out(text: str) -> str:
    """Return a number without an exponent, and without decimals that are zero."""
    try:
        number = Decimal(text[:_LONGEST])
    except InvalidOperation:
        return text
    if not number.is_finite() or not -_LONGEST < number.adjusted() < _LONGEST:
        return text
    if number != number.to_integral_value():
        return format(number.normalize(), "f")
    whole = str(int(number))
    lost = "e" in text.lower() or not whole[_EXACT:].strip("0")
    if len(whole.lstrip("-")) > _EXACT and lost:
        raise CellFault(f"is a number of over {_EXACT} digits, which a spreadsheet cuts: write it as a text")
    return whole


def _date(text: str, *, from_1904: bool) -> str:
    """Return the day of a serial number, with the time if it has one; what is none as it is."""
    try:
        serial = float(text)
    except ValueError:
        return text
    if not 0 < serial <= _LAST or (int(serial) == _LEAP and not from_1904):
        return text
    first = _FIRST_1904 if from_1904 else _FIRST + timedelta(days=serial < _LEAP)
    moment = first + timedelta(seconds=round(serial * 86_400))
    return moment.date().isoformat() if serial == int(serial) else moment.isoformat()
