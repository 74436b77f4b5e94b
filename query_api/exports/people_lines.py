"""Rows of an export of people: NDJSON, CSV and workbooks that an import reads again as they were."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import orjson

from events.cells import csv_lines, neutralised
from events.person.fields import READ_ONLY
from events.person.schema.declarations import PersonSchema
from query_api.exports.workbook import WorkbookWriter
from query_api.people.routes import person_view
from service_kit.person_values.cells import joined_cell

WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Row = Callable[[Mapping[str, Any]], Sequence[Any]]
_SUSPECT: Final = frozenset("'=+-@\t\r\n")
"""What a cell begins with that is to be looked at."""


def columns_of(schema: PersonSchema) -> tuple[str, ...]:
    """Return the columns of an export that asks for none: all that is shown of a person."""
    return ("id", *schema.names, *(name for name in READ_ONLY if name != "id"))


def people_ndjson(documents: Sequence[dict[str, Any]], shown: Sequence[str] | None) -> bytes:
    """Return the lines of people, each as `GET /people/{id}` shows it.

    Args:
        documents: Of the collection `people`, without what is not shown.
        shown: The only fields that are asked for; None for all.
    """
    option = orjson.OPT_APPEND_NEWLINE
    return b"".join([orjson.dumps(person_view(document, shown), option=option) for document in documents])


def people_header(columns: Sequence[str]) -> bytes:
    """Return the first row of CSV: the names of the columns."""
    return csv_lines([columns])


def people_csv(documents: Sequence[dict[str, Any]], columns: Sequence[str]) -> bytes:
    """Return the rows of people (RFC 4180, UTF-8); a value that begins like a formula is neutralised.

    Args:
        documents: As for `people_ndjson`.
        columns: The fields that are shown.
    """
    row = _row_of(columns)
    return csv_lines([_cells(document, row) for document in documents])


class PeopleWorkbook:
    """Writes people as a workbook, texts as texts: nothing in one is a formula.

    Args:
        columns: As for `people_csv`.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._row = _row_of(columns)
        self._writer = WorkbookWriter("People", columns)

    def begin(self) -> bytes:
        """Return what comes first."""
        return self._writer.take()

    def rows(self, documents: Sequence[dict[str, Any]]) -> bytes:
        """Return the rows of people; documents as for `people_ndjson`."""
        return self._writer.rows([_plain(value) for value in self._row(document)] for document in documents)

    def end(self) -> bytes:
        """Return what comes last."""
        return self._writer.end()

    def close(self) -> None:
        """Let go what was not written to its end."""
        self._writer.close()


@lru_cache(maxsize=64)
def _row_of(columns: Sequence[str]) -> Row:
    """Return what takes the values of some columns out of a document; one of before a field came lacks it."""
    nothing = dict.fromkeys(columns)
    # An `itemgetter` of one name returns no tuple.
    take = itemgetter(*columns) if len(columns) > 1 else lambda person: (person[columns[0]],)

    def row(document: Mapping[str, Any]) -> Sequence[Any]:
        return take({**nothing, **document, "id": document["_id"]})

    return row


def _plain(value: Any) -> Any:
    """Return a value as a cell has it: texts of an array are one, and truth values are words."""
    if isinstance(value, list):
        return joined_cell(value)
    return str(value).lower() if isinstance(value, bool) else value


def _cells(document: Mapping[str, Any], row: Row) -> Sequence[Any]:
    # Most values are texts, which are not asked what else they may be.
    return [
        neutralised(cell) if type(cell) is str and cell[:1] in _SUSPECT else cell
        for value in row(document)
        for cell in (value if type(value) is str or value is None else _plain(value),)
    ]
