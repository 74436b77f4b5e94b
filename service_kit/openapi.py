"""Owns what both OpenAPI documents share: the bearer scheme, the problem schema, answers."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from events.person import PersonView
from service_kit.examples import EXAMPLES

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
    416: "The range lies beyond the end",
    414: "Path and query are over 8 KB",
    429: "More requests than the quota, or too many failed attempts; go on after `Retry-After` seconds",
    431: "The header fields are over 16 KB",
    501: "Accounts are kept by another issuer of tokens, or images nowhere",
    503: "A part is away; try again after `Retry-After` seconds",
}
_UNCOUNTED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_OPEN: Final = frozenset(
    {
        *_UNCOUNTED,
        *("/images/{image_id}", "/images/{image_id}/thumbnail", "/images/uploads"),
    }
)

PERSON: Final = {"$ref": "#/components/schemas/Person"}
UUID: Final = {"type": "string", "format": "uuid"}
TEXT: Final = {"type": "string"}

DEAD_MESSAGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": [
        *("id", "message_id", "queue", "dead_queue", "reason", "time", "bytes", "type", "person_id"),
    ],
    "properties": {
        "id": {**TEXT, "description": "Made of its content; repeats of a message share it"},
        "message_id": {"type": ["string", "null"]},
        "queue": {**TEXT, "description": "Where it came from, and goes when it is handed in"},
        "dead_queue": {**TEXT, "description": "Where it is"},
        "reason": TEXT,
        "time": {"type": ["string", "null"], "format": "date-time"},
        "bytes": {"type": "integer"},
        "type": {"type": ["string", "null"], "description": "Of the command or event, if it can be read"},
        "person_id": {"type": ["string", "null"], "format": "uuid"},
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
        "violated-policies": {"type": "array", "items": {"enum": ["address", "subject"]}},
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


_COUNTED: Final = {
    "Retry-After": {"description": "Seconds", "schema": {"type": "integer"}},
    "RateLimit": {
        "description": "What is left of each quota (`r`), and until when (`t`, seconds); on every answer "
        "that was counted, with `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)",
        "schema": TEXT,
        "example": '"address";r=4999;t=1, "subject";r=0;t=2',
    },
}


def problems(*statuses: int, **more: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of the statuses, each a problem; `more` is what others mean."""
    schema = {"$ref": "#/components/schemas/Problem"}
    words = {status: _TITLES[status] for status in statuses} | {int(key): more[key] for key in more}
    return {
        status: {
            "description": text,
            "content": {"application/problem+json": {"schema": schema}},
            **({"headers": _COUNTED} if status == 429 else {}),
        }
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
                        operation.setdefault("security", [{"bearer": []}])
                    for answer in operation["responses"].values():
                        content = answer.get("content", {})
                        if len(content) > 1 and content.get("application/json") == {"schema": {}}:
                            del content["application/json"]  # FastAPI's own word, beside ours
                    # What the guard says of any request.
                    statuses = (414, 431) if path in _UNCOUNTED else (414, 429, 431)
                    for status, answer in problems(*statuses).items():
                        operation["responses"].setdefault(str(status), answer)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
