"""The forms of files that imports read, and the endings of names that say which one a file has. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CSV: Final = "text/csv"
NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"
WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMS: Final = (CSV, NDJSON, JSON, WORKBOOK)
ENDINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys((".csv", ".tsv", ".txt"), CSV),
        **dict.fromkeys((".ndjson", ".jsonl"), NDJSON),
        ".json": JSON,
        **dict.fromkeys((".xlsx", ".xlsm"), WORKBOOK),
    }
)
"""By the ending of a name, the form that it means."""
PACKED: Final = ".gz"
"""Ends the name of a file that is packed with gzip, after the ending of what is in it."""


def form_named(name: str) -> tuple[str | None, bool]:
    """Return the form that a file's name says, None if it says none, and whether the file is packed.

    Args:
        name: With its ending, in any case; a path will do.
    """
    lower = name.strip().lower()
    packed = lower.endswith(PACKED)
    _, dot, ending = lower.removesuffix(PACKED).rpartition(".")
    return ENDINGS.get(dot + ending), packed
