"""Owns the routes that show operators who is parked, and what waits."""

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from query_api.documentation import PERSON_ID
from query_api.filters import read_query
from query_api.parked_reads import ParkedQuery
from query_api.people import ReadDesk
from service_kit.openapi import TEXT, UUID, json_answer, problems
from service_kit.parameters import parameters
from service_kit.web import PlainRoute, path_id

_TIME: Final = {"type": "string", "format": "date-time"}
_WHY: Final[dict[str, Any]] = {
    "command_id": {**UUID, "description": "Of a person: the command at the head of the line"},
    "reason": {**TEXT, "description": "`waits-behind`, or the kind of failure"},
    "detail": TEXT,
    "attempts": {"type": "integer"},
    "tried_at": {"type": ["string", "null"], "format": "date-time"},
}
_PERSON: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"person_id": UUID, "waiting": {"type": "integer"}, "since": _TIME, **_WHY},
}
_COMMAND: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": TEXT,
        "actor": TEXT,
        "accepted_at": _TIME,
        "parked_at": _TIME,
        **_WHY,
        "message": {**TEXT, "description": "As it was received: a CloudEvent, JSON"},
    },
}


def _documented(summary: str, of: dict[str, Any], example: str, **more: Any) -> dict[str, Any]:
    page = {
        "type": "object",
        "required": [*more, "items", "next"],
        "properties": {
            **more,
            "items": {"type": "array", "items": of},
            "next": {"type": ["string", "null"]},
        },
    }
    link = {"description": '`rel="next"`', "schema": TEXT}
    return {
        "summary": summary,
        "description": (
            "Scope `ops`. To retry or drop, ask the command API; it also lists the messages that no worker "
            "could read."
        ),
        "responses": {
            200: json_answer("A page", page, example, Link=link),
            **problems(*((401, 403, 404, 422, 503) if more else (401, 403, 422, 503))),
        },
        "openapi_extra": {"parameters": [*([PERSON_ID] if more else []), *parameters(ParkedQuery)]},
    }


_PEOPLE: Final = _documented("List the people who are parked", _PERSON, "parked_people")
_LINE: Final = _documented(
    "List what waits of a parked person, in order", _COMMAND, "parked_line", person_id=UUID
)


def add_dead_letter_routes(app: FastAPI, desk: ReadDesk) -> None:
    """Add the routes that show parked people."""
    app.router.route_class = PlainRoute

    @app.get("/dead-letters", tags=["operations"], **_PEOPLE)
    async def parked_people(request: Request) -> Response:
        await desk.authorize(request, "ops")
        page = await desk.parked.people(read_query(ParkedQuery, request.query_params))
        return desk.page(request, page, {"items": page.answer.documents})

    @app.get("/dead-letters/{person_id}", tags=["operations"], **_LINE)
    async def parked_line(request: Request) -> Response:
        await desk.authorize(request, "ops")
        person_id = path_id(request, "person_id")
        page = await desk.parked.line(person_id, read_query(ParkedQuery, request.query_params))
        return desk.page(request, page, {"person_id": person_id, "items": page.answer.documents})
