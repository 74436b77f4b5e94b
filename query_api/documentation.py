"""Owns what the OpenAPI document says of the read routes: parameters, answers, examples."""

from typing import Any, Final

from pydantic import BaseModel

from events.person import PersonView
from query_api.filters import PeopleQuery, PersonQuery, ReadQuery
from service_kit.openapi import EXAMPLE_ID, EXAMPLE_PERSON, header, problems

_PERSON: Final = PersonView.model_json_schema()
_ETAG: Final = {"ETag": {"description": "The version in quotes", "schema": {"type": "string"}}}
_IF_NONE_MATCH: Final = header("If-None-Match", "304 if the person is still at this version.", '"3"')
_COMMAND_ID: Final = "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77"


def _parameters(form: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the OpenAPI query parameters that a form describes."""
    found = []
    for name, schema in form.model_json_schema()["properties"].items():
        value = dict(schema)
        value.pop("title", None)
        if "anyOf" in value:  # an optional one is absent, never null
            value = next(dict(kind) for kind in value["anyOf"] if kind.get("type") != "null")
        description = value.pop("description", schema.get("description", ""))
        found.append(
            {"name": name, "in": "query", "required": False, "description": description, "schema": value}
        )
    return found


def _ok(description: str, schema: dict[str, Any], example: object, **headers: Any) -> dict[str, Any]:
    return {
        "description": description,
        "headers": headers,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


_NOT_MODIFIED: Final = {304: {"description": "The client's version is the present one"}}

LIST: Final[dict[str, Any]] = {
    "summary": "List and search people",
    "description": "Scope `people:read`. Pages follow each other by `next`; stable while others write.",
    "responses": {
        200: _ok(
            "A page",
            {
                "type": "object",
                "required": ["items", "next"],
                "properties": {
                    "items": {"type": "array", "items": _PERSON},
                    "next": {"type": ["string", "null"]},
                    "count": {"type": "integer"},
                },
            },
            {"items": [EXAMPLE_PERSON], "next": None, "count": 1},
            Link={"description": '`rel="next"`', "schema": {"type": "string"}},
        ),
        **problems(401, 403, 422, 503),
    },
    "openapi_extra": {"parameters": _parameters(PeopleQuery)},
}
PERSON: Final[dict[str, Any]] = {
    "summary": "Read a person",
    "description": "Scope `people:read`.",
    "responses": {
        200: _ok("The person", _PERSON, EXAMPLE_PERSON, **_ETAG),
        **_NOT_MODIFIED,
        **problems(401, 403, 404, 422, 503),
    },
    "openapi_extra": {"parameters": [*_parameters(PersonQuery), _IF_NONE_MATCH]},
}
BY_DOCUMENT: Final[dict[str, Any]] = {
    **PERSON,
    "summary": "Read the person with a document",
    "openapi_extra": {"parameters": [*_parameters(ReadQuery), _IF_NONE_MATCH]},
}
COMMAND: Final[dict[str, Any]] = {
    "summary": "What became of a command",
    "description": "Scope `people:read`. 404 with `Retry-After` until it is decided.",
    "responses": {
        200: _ok(
            "Decided",
            {
                "type": "object",
                "required": ["person_id", "command_id", "status"],
                "properties": {
                    "person_id": {"type": "string", "format": "uuid"},
                    "command_id": {"type": "string", "format": "uuid"},
                    "status": {"enum": ["applied", "rejected"]},
                    "version": {"type": "integer"},
                    "event_id": {"type": "string", "format": "uuid"},
                    "reason": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
            {
                "person_id": EXAMPLE_ID,
                "command_id": _COMMAND_ID,
                "status": "applied",
                "version": 1,
                "event_id": "0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09",
            },
        ),
        **problems(401, 403, 404, 422, 503),
    },
    "openapi_extra": {"parameters": _parameters(ReadQuery)},
}
