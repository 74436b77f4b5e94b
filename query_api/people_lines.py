"""Owns the lines of an export of people: NDJSON and CSV that an import reads again as they were. Pure."""

import csv
import io
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import orjson

from events.cells import neutralised
from events.person import FIELD_NAMES, PersonView
from query_api.people import person_view

COLUMNS: Final = (
    "id",
    *FIELD_NAMES,
    *(name for name in PersonView.model_fields if name not in ("id", *FIELD_NAMES)),
)
_row: Final = itemgetter(*COLUMNS)
_SUSPECT: Final = frozenset("'=+-@\t\r\n")
"""What a cell begins with that is to be looked at."""


def people_ndjson(documents: Sequence[dict[str, Any]]) -> bytes:
    """Return the lines of people, each as `GET /people/{id}` shows it.

    Args:
        documents: Of the collection `people`, without what is not shown.
    """
    return b"".join(
        [orjson.dumps(person_view(document), option=orjson.OPT_APPEND_NEWLINE) for document in documents]
    )


def people_header() -> bytes:
    """Return the first line of CSV."""
    return (",".join(COLUMNS) + "\r\n").encode()


def people_csv(documents: Sequence[dict[str, Any]]) -> bytes:
    """Return the rows of people (RFC 4180, UTF-8); a value that begins like a formula is neutralised.

    Args:
        documents: As for `people_ndjson`.
    """
    text = io.StringIO()
    csv.writer(text).writerows([_cells(document) for document in documents])
    return text.getvalue().encode()


def _cells(document: Mapping[str, Any]) -> Sequence[Any]:
    cells = _row({**_NOTHING, **document, "id": document["_id"]})
    return [neutralised(cell) if isinstance(cell, str) and cell[:1] in _SUSPECT else cell for cell in cells]


_NOTHING: Final = dict.fromkeys(COLUMNS)
"""Documents of before a field came lack it."""
