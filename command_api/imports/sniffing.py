"""Tells what a file is when it is not what it is said to be, and what its sender can do. Pure."""

import re
from collections.abc import Callable
from typing import Final

_SAVE: Final = "save it as .xlsx or CSV"
_GZIP: Final = "is packed with gzip: say so with Content-Encoding: gzip, or end its name with .gz"
_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        f"is an old Excel workbook (.xls), or one with a password: {_SAVE}",
    ),
    (b"\x1f\x8b", _GZIP),
    (b"BZh", "is packed with bzip2: unpack it, or pack it with gzip"),
    (b"\xfd7zXZ\0", "is packed with xz: unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd: unpack it, or pack it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive: unpack it"),
    (b"Rar!", "is a RAR archive: unpack it"),
    (b"%PDF-", f"is a PDF document: export the table from where it was made, and {_SAVE}"),
    (b"\x89PNG", "is a picture"),
    (b"\xff\xd8\xff", "is a picture"),
    (b"{\\rtf", f"is a text document (RTF): {_SAVE}"),
)
ZIP: Final = b"PK\x03\x04"
_MARKUP: Final = re.compile(
    rb"\s*<(?:!doctype|html|head|body|table|\?xml|meta|style|workbook)\b", re.IGNORECASE
)
_JSON: Final = re.compile(rb'\s*\x1e?([\[{])\s*["{\[\]}]')


def misnamed(head: bytes, *, table: bool, named: bool) -> str | None:
    """Return what a file is, and what to do, if its beginning shows that it is no text of rows; else None.

    Args:
        head: Its beginning.
        table: Whether it is said to be CSV, not JSON.
        named: Whether it is said to be in another encoding than UTF-8.
    """
    if head.startswith(ZIP):
        return _zip(head)
    for beginning, words in _BEGINNINGS:
        if head.startswith(beginning):
            return words
    if _MARKUP.match(head):
        return f"is a web page or XML, whatever its name says: open it in a spreadsheet, and {_SAVE}"
    if table and json_in(head):
        return "is JSON: send it as application/json or application/x-ndjson, or name it .json or .ndjson"
    return None if named else _without_mark(head)


def json_in(head: bytes) -> bytes | None:
    """Return the bracket that a text of JSON begins with, of an array or an object; None if it is none."""
    match = _JSON.match(head)
    return match[1] if match else None


def _zip(head: bytes) -> str:
    if b"vnd.oasis.opendocument.spreadsheet" in head[:200]:
        return f"is an OpenDocument spreadsheet: {_SAVE}"
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return (
            "is an Excel workbook: send it as "
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet, or name it .xlsx"
        )
    return "is a zip archive: unpack it"


def _without_mark(head: bytes) -> str | None:
    """Return words for UTF-16 without a mark: every other byte of its ASCII characters is zero."""
    sample = head[:200]
    each: Callable[[int], bool] = lambda at: sample[at::2].count(0) * 3 > len(sample)  # noqa: E731
    if len(sample) < 4 or not (each(0) or each(1)):
        return None
    label = "utf-16be" if each(0) else "utf-16le"
    return f"looks like UTF-16 without a byte order mark: say charset={label} (--encoding {label})"
