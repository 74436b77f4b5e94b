"""Rows of an export of people: NDJSON, CSV and workbooks that an import reads again as they were."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import orjson

from events.cells import csv_lines, neutralised
from events.person.fields import PersonView
from events.person.schema import FIELD_NAMES
from query_api.exports.workbook import WorkbookWriter
from query_api.people.routes import person_view

WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COLUMNS: Final = (
    "id",
    *FIELD_NAMES,
    *(name for name in PersonView.model_fields if name not in ("id", *FIELD_NAMES)),
)
PEOPLE_HEADER: Final = csv_lines([COLUMNS])
Row = Callable[[Mapping[str, Any]], Sequence[Any]]
_row: Final = itemgetter(*COLUMNS)
_SUSPECT: Final = frozenset("'=+-@\t\r\n")
"""What a cell begins with that is to be looked at."""


def people_ndjson(documents: Sequence[dict[str, Any]], shown: Sequence[str] | None = None) -> bytes:
    """Return the lines of people, each as `GET /people/{id}` shows it.

    Args:
        documents: Of the collection `people`, without what is not shown.
        shown: The only fields that are asked for; None for all.
    """
    option = orjson.OPT_APPEND_NEWLINE
    return b"".join([orjson.dumps(person_view(document, shown), option=option) for document in documents])


def people_header(shown: Sequence[str] | None = None) -> bytes:
    """Return the first row of CSV: the names of all fields, or of those that are asked for."""
    return PEOPLE_HEADER if shown is None else csv_lines([shown])


def people_csv(documents: Sequence[dict[str, Any]], shown: Sequence[str] | None = None) -> bytes:
    """Return the rows of people (RFC 4180, UTF-8); a value that begins like a formula is neutralised.

    Args:
        documents: As for `people_ndjson`.
        shown: As for `people_ndjson`.
    """
    row = _row if shown is None else _row_of(shown)
    return csv_lines([_cells(document, row) for document in documents])


class PeopleWorkbook:
    """Writes people as a workbook, texts as texts: nothing in one is a formula.

    Args:
        shown: As for `people_ndjson`.
    """

    def __init__(self, shown: Sequence[str] | None = None) -> None:
        self._row = _row if shown is None else _row_of(shown)
        self._writer = WorkbookWriter("People", COLUMNS if shown is None else shown)

    def begin(self) -> bytes:
        """Return what comes first."""
        return self._writer.take()

    def rows(self, documents: Sequence[dict[str, Any]]) -> bytes:
        """Return the rows of people; documents as for `people_ndjson`."""
        return self._writer.rows(_values(document, self._row) for document in documents)

    def end(self) -> bytes:
        """Return what comes last."""
        return self._writer.end()

    def close(self) -> None:
        """Let go what was not written to its end."""
        self._writer.close()


def _row_of(shown: Sequence[str]) -> Row:
    # An `itemgetter` of one name returns no tuple.
    return lambda person: tuple(person[name] for name in shown)


def _values(document: Mapping[str, Any], row: Row) -> Sequence[Any]:
    return row({**_NOTHING, **document, "id": document["_id"]})


def _cells(document: Mapping[str, Any], row: Row) -> Sequence[Any]:
    cells = _values(document, row)
    return [neutralised(cell) if isinstance(cell, str) and cell[:1] in _SUSPECT else cell for cell in cells]


_NOTHING: Final = dict.fromkeys(COLUMNS)
"""Documents of before a field came lack it."""
