"""What the OpenAPI document says of imports: parameters, bodies, answers, examples."""

from csv import writer
from io import StringIO
from typing import Any, Final

import orjson

from command_api.imports.answers import ImportProgress
from command_api.imports.body import HEAD_BYTES
from command_api.imports.form import FORM
from command_api.imports.lines import MAX_LINE_BYTES
from command_api.imports.options import ID
from command_api.imports.requests import PeopleFile
from command_api.imports.workbook.source import MAX_BYTES
from command_api.people.documentation import CHANGE_HEADERS
from events.imports.files import CSV, NDJSON, WORKBOOK
from events.imports.states import UNREADABLE_FILE
from events.person.schema.declarations import PersonSchema
from service_kit.http.openapi import TEXT, header, json_answer, json_body, problems, schemas_of

_CODING: Final = header("Content-Encoding", "`gzip`: the body is packed.", "gzip")
FORMS: Final = schemas_of(PeopleFile)
"""The schema of the body that is a form."""
_BINARY: Final = {"type": "string", "format": "binary"}
_DESCRIPTION: Final = """Scope `people:write`. One person a row, by the rules of `POST /people`.

**CSV** (RFC 4180): a header row names the columns, some of `{names}`, in any
order; case, accents and spaces in a name do not count, Spanish and English names of the fields are
known, and `map` says what others mean. Commas, semicolons, tabs, pipes or a `sep=` line; UTF-8, UTF-16
by its mark, or the `charset` that is named. **Workbooks** (.xlsx): the first sheet or `sheet`,
{workbook} MB at most. **JSON**: an object a line, or an array of objects (`application/json`).
What else an export has (`version`, say) is let go. A row that is longer than {line} KB
is refused; a file that is no workbook may be of any length. Other media types that mean the same are
taken, `application/csv` or `application/jsonl`. What does not say its form (`application/octet-stream`, no
`Content-Type`, a **form** with one file, as browsers and `curl -F` send it) is judged by the file's name, or
by its beginning.

What the first {head} KB or a workbook's directory show to be wrong with the whole file is a
problem. A byte further on that is no text ends the import (`code`: `{unreadable}`); with the right
`charset`, the same id goes on there.

The answer begins at once, with the import's id; it ends when the body is read, with the counts of rows and
the state. Row by row, `GET /imports/{{import_id}}/errors` on the query API tells what was refused, and why.

**Again.** The same file with the same `import_id`, mode and columns goes on where the import was cut, or
changes nothing. So does one with the same `Idempotency-Key`, of the same caller: the API makes the id of it,
by a secret, so that a key may be made of the file and yet nobody can guess from the id what was in it.

**`mode=upsert`**: a row with the `id` of an existing person changes the fields that it has; an empty cell of
an optional one removes it. Other rows create people, as all do with `mode=create`."""


def import_document(schema: PersonSchema) -> dict[str, Any]:
    """Return what the document says of the import of a schema's people."""
    person = {name: schema.by_name[name].example for name in schema.required or schema.names}
    table = StringIO()
    rows = writer(table, lineterminator="\n")
    rows.writerow(person)
    rows.writerow("|".join(value) if isinstance(value, list) else value for value in person.values())
    description = _DESCRIPTION.format(
        names="`, `".join((ID, *schema.names)),
        workbook=MAX_BYTES >> 20,
        line=MAX_LINE_BYTES >> 10,
        head=HEAD_BYTES >> 10,
        unreadable=UNREADABLE_FILE,
    )
    return {
        "summary": "Create or change many people",
        "description": description,
        "responses": {
            202: json_answer(
                "The import has begun; the end of the answer tells how far it came",
                ImportProgress,
                "import_read",
                Location={"description": "The import's status on the query API", "schema": TEXT},
            ),
            **problems(
                *(400, 401, 403, 415, 422, 503),
                **{
                    "409": "The `import_id` is that of another import: other columns, mode, form or person",
                    "413": f"The header row is over {MAX_LINE_BYTES >> 10} KB, or the workbook too large",
                },
            ),
        },
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {
                    CSV: {"schema": TEXT, "example": table.getvalue()},
                    NDJSON: {"schema": TEXT, "example": orjson.dumps(person).decode() + "\n"},
                    WORKBOOK: {"schema": _BINARY},
                    "application/octet-stream": {"schema": _BINARY},
                    **json_body(PeopleFile, FORM)["content"],
                },
            },
            "parameters": [_CODING, *(one for one in CHANGE_HEADERS if one["name"] == "Idempotency-Key")],
        },
    }
