"""Writes CSV whose cells no spreadsheet computes, reads such a cell back, and names columns. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n]")
"""What a cell begins with that a spreadsheet would compute, perhaps after apostrophes:
https://owasp.org/www-community/attacks/CSV_Injection."""


def neutralised(text: str) -> str:
    """Return the text as a cell: with an apostrophe before what begins like a formula.

    One that begins with apostrophes and then like a formula gets another one, so that `restored` is exact.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def restored(cell: str) -> str:
    """Return the text that `neutralised` made the cell of; any other cell as it is."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Return rows as CSV (RFC 4180, UTF-8).

    Args:
        rows: Their cells, neutralised where others choose what is in them; None is an empty cell.
    """
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def column_name(column: int) -> str:
    """Return the letters of a column, from 0: `A` to `Z`, then `AA`."""
    letters, number = "", column + 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(65 + letter) + letters
    return letters
