"""The names of an import in the log, and the states that it goes through. Pure.

Every command of an import has the import as its correlation id and its row as its causation id, so that
events and rejections tell by themselves whose they are: nothing has to be counted while they are written.
"""

from typing import Final, Literal

Mode = Literal["create", "upsert"]
State = Literal["reading", "applying", "finished", "interrupted", "stopped", "failed"]
"""`failed` is told of a request alone, which sent another file than that of the import."""
STATES: Final[dict[str, str]] = {
    "reading": "its rows are being read",
    "applying": "all rows are read; workers have not decided all of them yet",
    "finished": "every row is decided, and reads show it; the counts stay as they are",
    "interrupted": "not all rows were read: send the same file with the same id to go on",
    "stopped": "a row was refused, and the import was to stop at the first",
}
UNREADABLE_FILE: Final = "unreadable-file"
"""The code of an interruption that the file itself causes: sent again as it was, it ends there again."""
MAX_KEPT: Final = 10_000
"""Rows of an import that are not valid, and whose errors are kept; of the others only the number is known."""
MAX_TOLD: Final = 1_000
"""Likewise of a dry run, whose errors stand in its answer alone."""
OVER_BUDGET: Final = "over-budget"
"""The code of an interruption by what one import may cost; its reason says whether it can go on."""
ERROR_COLUMNS: Final = ("row", "field", "reason", "code")
"""Of the errors of rows as CSV."""
CORRELATION: Final = "import:"
"""How the correlation id of an import's commands begins; clients may give no such id themselves."""
_ROW: Final = "row:"
MAX_ROWS: Final = 999_999_999


def correlation_of(import_id: str) -> str:
    """Return the correlation id of an import's commands."""
    return f"{CORRELATION}{import_id}"


def causation_of(row: int) -> str:
    """Return the causation id of a row's command; sorts as the rows do.

    Args:
        row: Counted from 1, at most `MAX_ROWS`.
    """
    return f"{_ROW}{row:09}"


def row_of(causation_id: str) -> int:
    """Return the row that a causation id names."""
    return int(causation_id.removeprefix(_ROW))
