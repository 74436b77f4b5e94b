"""Owns what the OpenAPI document says of imports: parameters, bodies, answers, examples."""

from typing import Any, Final

from command_api.imports.lines import MAX_LINE_BYTES
from command_api.imports.options import CSV, ID, NDJSON, ImportQuery
from events.imports import STATES
from events.person import FIELD_NAMES
from service_kit.openapi import TEXT, UUID, header, json_answer, problems
from service_kit.parameters import parameters

_CODING: Final = header("Content-Encoding", "`gzip`: the body is packed.", "gzip")
_CSV_EXAMPLE: Final = (
    "document_type,document_id,first_name,last_name,birth_date,gender,email,phone\n"
    "CC,1020304,Ana,Gómez,1990-12-10,F,ana@example.com,+573001234567\n"
)
_NDJSON_EXAMPLE: Final = (
    '{"document_type":"CC","document_id":"1020304","first_name":"Ana","last_name":"Gómez",'
    '"birth_date":"1990-12-10","gender":"F","email":"ana@example.com","phone":"+573001234567"}\n'
)
_DESCRIPTION: Final = f"""Scope `people:write`. One person a row, by the rules of `POST /people`.

**CSV** (RFC 4180, UTF-8): a header row names the columns, some of `{ID}`, `{"`, `".join(FIELD_NAMES)}`,
in any order; commas or semicolons. **NDJSON**: an object a line. What else an export has (`version`, say) is
let go. A row that is longer than {MAX_LINE_BYTES >> 10} KB is refused; the file may be of any length.

The answer begins at once, with the import's id; it ends when the body is read, with the counts of rows and
the state. Row by row, `GET /imports/{{import_id}}/errors` on the query API tells what was refused, and why.

**Again.** The same file with the same `import_id`, mode and columns goes on where the import was cut, or
changes nothing.

**`mode=upsert`**: a row with the `id` of an existing person changes the fields that it has; an empty cell of
an optional one removes it. Other rows create people, as all do with `mode=create`."""

IMPORT: Final[dict[str, Any]] = {
    "summary": "Create or change many people",
    "description": _DESCRIPTION,
    "responses": {
        202: json_answer(
            "The import has begun; the end of the answer tells how far it came",
            {
                "type": "object",
                "required": ["import_id", "read", "accepted", "rejected", "state"],
                "properties": {
                    "import_id": UUID,
                    "read": {"type": "integer", "description": "Rows so far, of earlier requests too"},
                    "accepted": {"type": "integer", "description": "Became commands; or would, in a dry run"},
                    "rejected": {"type": "integer", "description": "Are not valid"},
                    "state": {
                        "enum": [*STATES, "failed"],
                        "description": "; ".join(f"`{name}`: {words}" for name, words in STATES.items())
                        + "; `failed`: this file is not the one that the import was begun with",
                    },
                    "reason": {**TEXT, "description": "Why no further"},
                },
            },
            "import_read",
            Location={"description": "The import's status on the query API", "schema": TEXT},
        ),
        **problems(
            *(401, 403, 415, 422, 503),
            **{
                "409": "The `import_id` is that of another import: other columns, mode, form or person",
                "413": f"The header row is over {MAX_LINE_BYTES >> 10} KB",
            },
        ),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                CSV: {"schema": TEXT, "example": _CSV_EXAMPLE},
                NDJSON: {"schema": TEXT, "example": _NDJSON_EXAMPLE},
            },
        },
        "parameters": [*parameters(ImportQuery), _CODING],
    },
}
