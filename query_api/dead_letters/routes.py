"""Routes that show operators who is parked, and which commands wait."""

from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from query_api.dead_letters.answers import PageOfParkedPeople, PageOfWaitingCommands
from query_api.dead_letters.queries import ParkedQuery
from query_api.people.routes import PeopleDependencies
from service_kit.access.recording import note_people
from service_kit.auth.roles import AUDIT_SCOPE
from service_kit.auth.tokens import Caller
from service_kit.http.openapi import NEXT_LINK, json_answer, problems
from service_kit.http.parameters import parameters
from service_kit.http.typed import PersonId, wants


def add_dead_letter_routes(app: FastAPI, dependencies: PeopleDependencies) -> None:
    """Add the routes that show parked people."""
    app.router.route_class = APIRoute
    operator = wants(dependencies.verifier, "ops")

    @app.get(
        "/dead-letters",
        tags=["operations"],
        summary="List the people who are parked",
        dependencies=[operator],
        responses={
            200: json_answer("A page", PageOfParkedPeople, "parked_people", Link=NEXT_LINK),
            **problems(401, 403, 422, 503),
        },
        openapi_extra={"parameters": parameters(ParkedQuery)},
    )
    async def list_parked_people(request: Request, caller: Annotated[Caller, operator]) -> Response:
        """Scope `ops`. To retry or drop, ask the command API, which also lists dead letters."""
        query = dependencies.read(ParkedQuery, request)
        async with dependencies.searches.turn(caller.subject):
            page = await dependencies.parked.people(query)
        note_people(request.scope, [one["person_id"] for one in page.answer.documents])
        return dependencies.page(request, page, {"items": page.answer.documents})

    @app.get(
        "/dead-letters/{person_id}",
        tags=["operations"],
        summary="List what waits of a parked person, in order",
        responses={
            200: json_answer("A page", PageOfWaitingCommands, "parked_line", Link=NEXT_LINK),
            **problems(401, 403, 404, 422, 503),
        },
        openapi_extra={"parameters": parameters(ParkedQuery)},
    )
    async def list_waiting_commands(
        request: Request, caller: Annotated[Caller, operator], person_id: PersonId
    ) -> Response:
        """Scope `ops`; with `audit:read`, each with its message. To retry or drop, ask the command API."""
        query = dependencies.read(ParkedQuery, request)
        opened = AUDIT_SCOPE in caller.scopes
        page = await dependencies.parked.line(str(person_id), query, opened=opened)
        return dependencies.page(request, page, {"person_id": str(person_id), "items": page.answer.documents})
