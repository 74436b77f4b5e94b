"""Lines that tell which rows of an import were refused, one for each reason. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from events.cells import csv_lines, neutralised
from events.imports.states import ERROR_COLUMNS, row_of

FIELDS_OF: Final[Mapping[str, str]] = {
    "duplicate-document": "document_id",
    "duplicate-email": "email",
    "person-exists": "id",
    "person-not-found": "id",
}
"""The field that a rejection is about."""
ERRORS_HEADER: Final = csv_lines([ERROR_COLUMNS])
_Line = tuple[int, str, str, str]


def _invalid(documents: Sequence[Mapping[str, Any]]) -> Iterator[_Line]:
    for document in documents:
        for error in document["errors"]:
            yield document["row"], error["field"], error["reason"], "invalid"


def _undone(documents: Sequence[Mapping[str, Any]]) -> Iterator[_Line]:
    for document in documents:
        code = document["code"]
        yield row_of(document["causation_id"]), FIELDS_OF.get(code, "row"), document["detail"], code


def _ndjson(lines: Iterable[_Line]) -> bytes:
    option = orjson.OPT_APPEND_NEWLINE
    return b"".join(
        [orjson.dumps(dict(zip(ERROR_COLUMNS, line, strict=True)), option=option) for line in lines]
    )


def _csv(lines: Iterable[_Line]) -> bytes:
    # A field of NDJSON is what the client called it.
    return csv_lines(
        [row, neutralised(field), neutralised(reason), code] for row, field, reason, code in lines
    )


def invalid_ndjson(documents: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the lines of rows that are not valid, documents of `import_errors`."""
    return _ndjson(_invalid(documents))


def invalid_csv(documents: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the same as CSV."""
    return _csv(_invalid(documents))


def undone_ndjson(documents: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the lines of rows that workers refused, documents of `rejections`."""
    return _ndjson(_undone(documents))


def undone_csv(documents: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the same as CSV."""
    return _csv(_undone(documents))
