"""Example values of imports in both OpenAPI documents."""

from typing import Any, Final

from events.person.schema.declarations import PersonSchema

_ID: Final = "0199b1f0-7b20-7a11-8c44-5e6f7a8b9c0d"
IMPORT_READ_EXAMPLE: Final[dict[str, Any]] = {
    "import_id": _ID,
    "read": 1000,
    "accepted": 997,
    "rejected": 3,
    "state": "applying",
}
_IMPORT: Final[dict[str, Any]] = {
    "import_id": _ID,
    "state": "finished",
    "reason": None,
    "read": 1000,
    "accepted": 997,
    "applied": 990,
    "unchanged": 5,
    "rejected": 5,
    "invalid": 3,
    "refused": 2,
    "rows_left_out": 0,
    "mode": "create",
    "dry_run": False,
    "media_type": "text/csv",
    "packed": False,
    "delimiter": ",",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "actor": {"subject": "ada", "name": "Ada Lovelace"},
    "begun_at": "2026-02-28T09:30:00.000Z",
    "updated_at": "2026-02-28T09:30:02.000Z",
}


def import_example(schema: PersonSchema) -> dict[str, Any]:
    """Return what is told of an import of a schema's people."""
    return {**_IMPORT, "columns": [*schema.names[:4], None]}
