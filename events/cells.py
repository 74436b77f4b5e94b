"""Owns writing text into a cell of CSV so that no spreadsheet computes it, and reading it back. Pure."""

import re
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
