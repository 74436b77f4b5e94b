"""Owns what both OpenAPI documents share: the bearer scheme, the problem schema, example values."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from events.person import PersonView
from service_kit.import_examples import IMPORT_EXAMPLE, IMPORT_READ_EXAMPLE

EXAMPLE_ID: Final = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
EXAMPLE_PERSON: Final[dict[str, Any]] = {
    "id": EXAMPLE_ID,
    "version": 1,
    "document_type": "citizen_id",
    "document_id": "1020304",
    "first_name": "Ana",
    "middle_name": "María",
    "last_name": "Gómez Ríos",
    "birth_date": "1990-12-10",
    "gender": "female",
    "email": "ana@example.com",
    "phone": "+573001234567",
    "address": "Calle 10 # 5-51, Cali",
    "occupation": "Engineer",
    "image_url": None,
    "created_at": "2026-01-31T08:00:00.000Z",
    "updated_at": "2026-01-31T08:00:00.000Z",
}

_TITLES: Final = {
    400: "The request or its body cannot be read",
    401: "No token, or not a good one; `WWW-Authenticate` tells",
    403: "The token lacks the scope",
    404: "No such thing, or not yet (`Retry-After`)",
    406: "None of the media types of `Accept` can be had",
    409: "A unique value is taken, or there is no such version yet (with `Prefer: wait`)",
    410: "The stream of events does not have all that comes after the position",
    412: "The person is at another version (with `Prefer: wait`)",
    413: "The body is over 64 KB",
    415: "The content type is not supported",
    422: "A field, parameter or header is not valid; `errors` names each",
    503: "A part is away; try again after `Retry-After` seconds",
}
_OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})

_COMMAND: Final = {"person_id": EXAMPLE_ID, "command_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77"}
_STAMPS: Final = {
    "actor": {"subject": "ada", "name": "Ada Lovelace"},
    "accepted_at": "2026-02-28T09:29:59.981Z",
    "source_address": "203.0.113.7",
    "user_agent": "people-ui/3.2",
    "command_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77",
    "correlation_id": "import-2026-11",
    "causation_id": None,
    "traceparent": None,
}
_EVENT: Final = {
    "event_id": "0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09",
    "version": 2,
    "type": "person.updated",
    **_STAMPS,
    "applied_at": "2026-02-28T09:30:00.000Z",
    "schema": 1,
    "prev": "5b1d6a0d0d4e1f8b9a7c3e2f4d5c6b7a8e9f0a1b2c3d4e5f60718293a4b5c6d7",
    "hash": "c0ffee0d0d4e1f8b9a7c3e2f4d5c6b7a8e9f0a1b2c3d4e5f60718293a4b5c6d7",
}
_REFUSED: Final = {
    "status": "rejected",
    "type": "person.update",
    "reason": "version-mismatch",
    "detail": "the person is at version 2, not 1",
    **_STAMPS,
    "rejected_at": "2026-02-28T09:31:00.000Z",
}
_PARKED_PERSON: Final = {
    "person_id": EXAMPLE_ID,
    "waiting": 2,
    "since": "2026-02-28T09:30:00.000Z",
    "command_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77",
    "reason": "ValueError",
    "detail": "ValueError at workers/documents.py:79, in state_of",
    "attempts": 1,
    "tried_at": "2026-02-28T09:30:00.000Z",
}
_WAITING: Final = {
    "command_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77",
    "type": "person.update",
    "actor": "ada",
    "accepted_at": "2026-02-28T09:29:59.981Z",
    "parked_at": "2026-02-28T09:30:00.000Z",
    "reason": "ValueError",
    "detail": "ValueError at workers/documents.py:79, in state_of",
    "attempts": 1,
    "tried_at": "2026-02-28T09:30:00.000Z",
    "message": '{"specversion":"1.0", …}',
}
_DEAD: Final = {
    "id": "9f86d081884c7d65",
    "message_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77",
    "queue": "commands.3",
    "reason": "subject: Field required",
    "time": "2026-02-28T09:30:00.000Z",
    "bytes": 512,
}
_CHANGES: Final = {"occupation": {"from": None, "to": "Engineer"}}
EXAMPLES: Final[dict[str, Any]] = {
    "person": EXAMPLE_PERSON,
    "updated": {**EXAMPLE_PERSON, "version": 2, "updated_at": "2026-02-28T09:30:00.000Z"},
    "deleted": {"id": EXAMPLE_ID, "version": 3, "deleted": True},
    "page": {"items": [EXAMPLE_PERSON], "next": None, "count": 1},
    "accepted": {**_COMMAND, "status": "accepted"},
    "applied": {
        **_COMMAND,
        "status": "applied",
        "version": 1,
        "event_id": "0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09",
    },
    "history": {
        "person_id": EXAMPLE_ID,
        "items": [_REFUSED, {"status": "applied", **_EVENT, "changes": _CHANGES}],
        "next": None,
    },
    "events": {
        "items": [{**_EVENT, "person_id": EXAMPLE_ID, "data": {"occupation": "Engineer"}}],
        "next": None,
    },
    "parked": {
        **_COMMAND,
        "status": "parked",
        "reason": "ValueError",
        "detail": "ValueError at workers/documents.py:79, in state_of",
    },
    "parked_people": {"items": [_PARKED_PERSON], "next": None},
    "parked_line": {"person_id": EXAMPLE_ID, "items": [_WAITING], "next": None},
    "dead_message": _DEAD,
    "dead_messages": {"items": [_DEAD], "more": False},
    "import": IMPORT_EXAMPLE,
    "import_read": IMPORT_READ_EXAMPLE,
}
PERSON: Final = {"$ref": "#/components/schemas/Person"}
UUID: Final = {"type": "string", "format": "uuid"}
TEXT: Final = {"type": "string"}

DEAD_MESSAGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "message_id", "queue", "reason", "time", "bytes"],
    "properties": {
        "id": {**TEXT, "description": "Made of its content; repeats of a message share it"},
        "message_id": {"type": ["string", "null"]},
        "queue": TEXT,
        "reason": TEXT,
        "time": {"type": ["string", "null"], "format": "date-time"},
        "bytes": {"type": "integer"},
        "body": {**TEXT, "description": "Of a single one, if it is text"},
        "body_base64": {**TEXT, "description": "Of a single one, if it is none"},
    },
}

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:rollcall:problem:version-mismatch"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}


def problems(*statuses: int, **more: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of the statuses, each a problem; `more` is what others mean."""
    schema = {"$ref": "#/components/schemas/Problem"}
    words = {status: _TITLES[status] for status in statuses} | {int(key): more[key] for key in more}
    return {
        status: {"description": text, "content": {"application/problem+json": {"schema": schema}}}
        for status, text in sorted(words.items())
    }


def in_path(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Return a path's OpenAPI parameter: a UUID unless a schema is given."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema or UUID,
    }


def header(name: str, description: str, example: str) -> dict[str, Any]:
    """Return an optional request header's OpenAPI parameter."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def json_answer(description: str, schema: dict[str, Any], example: str, **headers: Any) -> dict[str, Any]:
    """Return an OpenAPI response of JSON.

    Args:
        description: What it means.
        schema: What it holds.
        example: Name of one of the `EXAMPLES`.
        **headers: Its headers by name.
    """
    shown = {example: {"$ref": f"#/components/examples/{example}"}}
    return {
        "description": description,
        "headers": headers,
        "content": {"application/json": {"schema": schema, "examples": shown}},
    }


def document(app: FastAPI) -> None:
    """Give the application an OpenAPI document with our schemas, examples and bearer scheme.

    FastAPI documents a 422 of its own form for every parameter; ours are problems. It also drops nulls
    from what it is given, so the examples come in here.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            parts = schema.setdefault("components", {})
            kept = parts.setdefault("schemas", {})
            for unused in ("HTTPValidationError", "ValidationError"):
                kept.pop(unused, None)
            kept["Problem"] = PROBLEM_SCHEMA
            kept["Person"] = PersonView.model_json_schema()
            parts["examples"] = {name: {"value": value} for name, value in EXAMPLES.items()}
            parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
            for path, methods in schema["paths"].items():
                for operation in methods.values():
                    if path not in _OPEN:
                        operation["security"] = [{"bearer": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
