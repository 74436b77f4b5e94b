"""What OpenAPI says of exports: streams of lines, of which no type can tell what they hold."""

from typing import Any, Final

from events.person.schema.declarations import PersonSchema
from query_api.exports.event_lines import CSV, NDJSON
from query_api.exports.people_lines import WORKBOOK, people_csv, people_header
from service_kit.http.examples import example_person
from service_kit.http.openapi import TEXT

_FILE_NAME: Final = {"description": "The name of the file", "schema": TEXT}
_ERROR: Final = '{"row":17,"field":"row","reason":"must not be empty","code":"empty"}\n'


def _stream(lines: str, rows: str, **headers: Any) -> dict[str, Any]:
    return {
        "description": "All of it",
        "headers": headers,
        "content": {
            NDJSON: {"schema": TEXT, "example": lines},
            CSV: {"schema": TEXT, "example": rows},
        },
    }


ERRORS: Final = _stream(_ERROR, "row,field,reason,code\r\n17,row,must not be empty,empty\r\n")
_WORKBOOK: Final = {"schema": {"type": "string", "format": "binary"}}
ERRORS["headers"]["Content-Disposition"] = _FILE_NAME


def export_answer(schema: PersonSchema) -> dict[str, Any]:
    """Return what the document says of an export of a schema's people."""
    person = example_person(schema)
    rows = people_header(tuple(person)) + people_csv([{**person, "_id": person["id"]}], tuple(person))
    answer = _stream(
        "{…}\n",
        rows.decode(),
        **{
            "Content-Disposition": _FILE_NAME,
            "X-Stream-Position": {
                "description": "Follow `/events/stream` from here to miss no change",
                "schema": TEXT,
            },
        },
    )
    answer["content"][WORKBOOK] = _WORKBOOK
    return answer
