"""Lines that tell which rows of an import were refused, one for each reason, in a client's language. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from events.cells import csv_lines, neutralised
from events.imports.states import ERROR_COLUMNS, row_of
from events.person.rejections import taken_code
from events.person.schema.declarations import PersonSchema
from service_kit.http.reasons import Language, detail_in, told

_ABOUT_IDS: Final = ("person-exists", "person-not-found")
ERRORS_HEADER: Final = csv_lines([ERROR_COLUMNS])
_Line = tuple[int, str, str, str]


@lru_cache(maxsize=16)
def fields_of(schema: PersonSchema) -> Mapping[str, str]:
    """Return by the code of a rejection the field that it is about: of several, the last one."""
    taken = {taken_code(kind): names[-1] for kind, names in schema.unique.items()}
    return {**dict.fromkeys(_ABOUT_IDS, "id"), **taken}


def _invalid(documents: Sequence[Mapping[str, Any]], language: Language) -> Iterator[_Line]:
    for document in documents:
        for error in document["errors"]:
            # What an earlier version kept may lack the code: then it is found by the reason.
            known = told(error, language)
            yield document["row"], known["field"], known["reason"], known["code"]


def _undone(
    documents: Sequence[Mapping[str, Any]], language: Language, schema: PersonSchema
) -> Iterator[_Line]:
    fields = fields_of(schema)
    for document in documents:
        code, reason = document["code"], detail_in(document["detail"], language, schema)
        yield row_of(document["causation_id"]), fields.get(code, "row"), reason, code


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


def invalid_ndjson(documents: Sequence[Mapping[str, Any]], language: Language) -> bytes:
    """Return the lines of rows that are not valid.

    Args:
        documents: Of `import_errors`.
        language: Of the reasons.
    """
    return _ndjson(_invalid(documents, language))


def invalid_csv(documents: Sequence[Mapping[str, Any]], language: Language) -> bytes:
    """Return the same as CSV."""
    return _csv(_invalid(documents, language))


def undone_ndjson(documents: Sequence[Mapping[str, Any]], language: Language, schema: PersonSchema) -> bytes:
    """Return the lines of rows that workers refused.

    Args:
        documents: Of `rejections`.
        language: Of the reasons.
        schema: What a person is.
    """
    return _ndjson(_undone(documents, language, schema))


def undone_csv(documents: Sequence[Mapping[str, Any]], language: Language, schema: PersonSchema) -> bytes:
    """Return the same as CSV."""
    return _csv(_undone(documents, language, schema))
