"""Owns what the OpenAPI document says of imports and of exporting people: parameters, answers, examples."""

from typing import Any, Final

from fastapi.responses import Response

from events.imports import STATES
from query_api.export_lines import CSV, NDJSON
from query_api.filters import ExportQuery, ReadQuery
from service_kit.examples import EXAMPLE_PERSON
from service_kit.openapi import TEXT, UUID, in_path, json_answer, problems
from service_kit.parameters import parameters

_MAYBE: Final = {"type": ["string", "null"]}
_TIME: Final = {"type": "string", "format": "date-time"}
_ID: Final = in_path("import_id", "The import's id")


def _count(description: str) -> dict[str, str]:
    return {"type": "integer", "description": description}


_IMPORT: Final = {
    "type": "object",
    "required": ["import_id", "state", "read", "accepted", "applied", "rejected"],
    "properties": {
        "import_id": UUID,
        "state": {
            "enum": list(STATES),
            "description": "; ".join(f"`{name}`: {words}" for name, words in STATES.items()),
        },
        "reason": {**_MAYBE, "description": "Why it was read no further"},
        "read": _count("Rows so far"),
        "accepted": _count("Rows that became commands, or would, in a dry run"),
        "applied": _count("Of those, the ones that workers applied"),
        "rejected": _count("`invalid` and `refused` together"),
        "invalid": _count("Rows that are not valid"),
        "refused": _count("Rows that workers refused: a duplicate, say"),
        "mode": {"enum": ["create", "upsert"]},
        "dry_run": {"type": "boolean"},
        "media_type": {"enum": [CSV, NDJSON]},
        "packed": {"type": "boolean", "description": "Whether it came as gzip"},
        "delimiter": _MAYBE,
        "columns": {
            "type": ["array", "null"],
            "items": _MAYBE,
            "description": "The field of each column; null for one that was let go",
        },
        "sha256": {**_MAYBE, "description": "Over all rows, each ended by a line feed, once all are read"},
        "actor": {"type": "object", "properties": {"subject": TEXT, "name": _MAYBE}},
        "begun_at": _TIME,
        "updated_at": _TIME,
    },
}
_ERROR: Final = '{"row":17,"field":"email","reason":"must not be empty","code":"invalid"}\n'
_PERSON_ROW: Final = ",".join(map(str, (value or "" for value in EXAMPLE_PERSON.values())))


def _stream(description: str, lines: str, rows: str, **headers: Any) -> dict[str, Any]:
    return {
        "description": description,
        "headers": headers,
        "content": {
            NDJSON: {"schema": TEXT, "example": lines},
            CSV: {"schema": TEXT, "example": rows},
        },
    }


STATUS: Final[dict[str, Any]] = {
    "summary": "How far an import is",
    "description": "Scope `people:read`. `applied` and `refused` are at most some seconds old.",
    "responses": {
        200: json_answer("The import", _IMPORT, "import"),
        **problems(401, 403, 404, 422, 503),
    },
    "openapi_extra": {"parameters": [_ID, *parameters(ReadQuery)]},
}
ERRORS: Final[dict[str, Any]] = {
    "response_class": Response,
    "summary": "What was refused of an import, row by row",
    "description": (
        "Scope `people:read`. A line for each reason: the row's number, from 1; the field, or `row`; the "
        "reason; `invalid`, or the code of the refusal by a worker, as in a command's status. First the "
        "invalid rows, then the others, each in the order of the file. From the primary, or from a secondary "
        "while there is none. If the connection ends before the last chunk, it is not all."
    ),
    "responses": {
        200: _stream(
            "All of it",
            _ERROR,
            "row,field,reason,code\r\n17,email,must not be empty,invalid\r\n",
        ),
        **problems(401, 403, 404, 406, 422, 503),
    },
    "openapi_extra": {"parameters": [_ID, *parameters(ReadQuery)]},
}
EXPORT: Final[dict[str, Any]] = {
    "response_class": Response,
    "summary": "Export people",
    "description": (
        "Scope `people:read`. Everybody whom the filters choose, as a stream, NDJSON or CSV by `Accept`. If "
        "the connection ends before the last chunk, it is not all. A cell of CSV that a spreadsheet would "
        "compute has an apostrophe before it, which an import takes away again."
    ),
    "responses": {
        200: _stream(
            "All of it",
            "{…}\n",
            f"{','.join(EXAMPLE_PERSON)}\r\n{_PERSON_ROW}\r\n",
            **{
                "X-Stream-Position": {
                    "description": "Follow `/events/stream` from here to miss no change",
                    "schema": TEXT,
                }
            },
        ),
        **problems(401, 403, 406, 422, 503),
    },
    "openapi_extra": {"parameters": parameters(ExportQuery)},
}
