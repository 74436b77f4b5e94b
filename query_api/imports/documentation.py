"""What OpenAPI says of exports: streams of lines, of which no type can tell what they hold."""

from typing import Any, Final

from query_api.exports.event_lines import CSV, NDJSON
from query_api.exports.people_lines import WORKBOOK
from service_kit.http.examples import EXAMPLE_PERSON
from service_kit.http.openapi import TEXT

_ERROR: Final = '{"row":17,"field":"email","reason":"must not be empty","code":"empty"}\n'
_PERSON_ROW: Final = ",".join(map(str, (value or "" for value in EXAMPLE_PERSON.values())))


def _stream(lines: str, rows: str, **headers: Any) -> dict[str, Any]:
    return {
        "description": "All of it",
        "headers": headers,
        "content": {
            NDJSON: {"schema": TEXT, "example": lines},
            CSV: {"schema": TEXT, "example": rows},
        },
    }


ERRORS: Final = _stream(_ERROR, "row,field,reason,code\r\n17,email,must not be empty,empty\r\n")
_WORKBOOK: Final = {"schema": {"type": "string", "format": "binary"}}
EXPORT: Final = _stream(
    "{…}\n",
    f"{','.join(EXAMPLE_PERSON)}\r\n{_PERSON_ROW}\r\n",
    **{
        "X-Stream-Position": {
            "description": "Follow `/events/stream` from here to miss no change",
            "schema": TEXT,
        }
    },
)
EXPORT["content"][WORKBOOK] = _WORKBOOK
for _answer in (ERRORS, EXPORT):
    _answer["headers"]["Content-Disposition"] = {"description": "The name of the file", "schema": TEXT}
