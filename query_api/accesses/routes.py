"""Routes that tell auditors who read about a person, and who read what; asking them is on record, too."""

from functools import partial
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from events.errors import InvalidFields
from query_api.accesses.answers import PageOfAccesses
from query_api.accesses.lines import HEADER, AccessBatches, lines_of
from query_api.accesses.queries import AccessesOfPersonQuery, AccessesQuery, AccessReads, Wanted
from query_api.accesses.views import seen_access
from query_api.exports.event_lines import CSV, NDJSON
from query_api.exports.responses import ExportSender, head_of
from query_api.exports.streams import Export, ExportPart, header_of
from query_api.people.routes import PeopleDependencies
from query_api.reading.accept import choose
from service_kit.access.recording import note_people
from service_kit.auth.roles import AUDIT_SCOPE
from service_kit.auth.tokens import Caller
from service_kit.http.guard import is_head
from service_kit.http.openapi import NEXT_LINK, TEXT, json_answer, problems
from service_kit.http.parameters import parameters
from service_kit.http.typed import PersonId, wants

_JSON: Final = "application/json"
_FILES: Final = {NDJSON: "accesses.ndjson", CSV: "accesses.csv"}
_PAGE: Final = json_answer("A page, or an export", PageOfAccesses, "accesses", Link=NEXT_LINK)
_PAGE["content"] |= {media_type: {"schema": TEXT} for media_type in (NDJSON, CSV)}


def add_access_routes(
    app: FastAPI, dependencies: PeopleDependencies, reads: AccessReads, sender: ExportSender
) -> None:
    """Add the routes that read access records."""
    app.router.route_class = APIRoute
    auditor = wants(dependencies.verifier, AUDIT_SCOPE)
    always: dict[str, Any] = {
        "tags": ["audit"],
        "dependencies": [auditor],
        "responses": {200: _PAGE, **problems(401, 403, 406, 422, 503)},
    }

    @app.get(
        "/people/{person_id}/accesses",
        summary="Who read about a person",
        openapi_extra={"parameters": parameters(AccessesOfPersonQuery)},
        **always,
    )
    async def list_accesses_to_person(
        request: Request, person_id: PersonId, caller: Annotated[Caller, auditor]
    ) -> Response:
        """Scope `audit:read`. Newest first; of deleted people too. Pages and searches that showed the person
        are among them; exports are not, which name nobody: see `GET /accesses?route=/people/export`.

        With `Accept: application/x-ndjson` or `text/csv`, all of them, as a stream.
        """
        query = dependencies.read(AccessesOfPersonQuery, request)
        return await _answer(request, caller, Wanted(query, str(person_id)))

    @app.get(
        "/accesses",
        summary="Who read what",
        openapi_extra={"parameters": parameters(AccessesQuery)},
        **always,
    )
    async def list_accesses(request: Request, caller: Annotated[Caller, auditor]) -> Response:
        """Scope `audit:read`. Newest first, to the second.

        With `Accept: application/x-ndjson` or `text/csv`, all that is found, as a stream; if the connection
        ends before the last chunk, it is not all.
        """
        query = dependencies.read(AccessesQuery, request)
        person_id = None if query.person_id is None else str(query.person_id)
        if person_id is not None:
            note_people(request.scope, (person_id,))
        return await _answer(request, caller, Wanted(query, person_id))

    async def _answer(request: Request, caller: Caller, wanted: Wanted) -> Response:
        view = dependencies.view(caller)
        accept = ", ".join(request.headers.getlist("accept"))
        form = choose(accept or None, (_JSON, NDJSON, CSV))
        show = partial(seen_access, view=view)
        if form == _JSON:
            async with dependencies.searches.turn(caller.subject):
                page = await reads.page(wanted)
            items = list(map(show, page.answer.documents))
            return dependencies.page(request, page, {"items": items}, {"Vary": "Accept"})
        if paged := wanted.query.model_fields_set & {"limit", "cursor"}:
            errors = [
                {"field": name, "reason": "does not go with an export: it has no pages"} for name in paged
            ]
            raise InvalidFields("a parameter is not valid", errors)
        if is_head(request.scope):
            return head_of(form, _FILES[form])

        def begin() -> Export:
            part = ExportPart(AccessBatches(reads, wanted, show), lines_of(form))
            return Export([part], form, header_of(HEADER, form, bom=wanted.query.bom))

        return await sender.response(request, caller.subject, begin, _FILES[form])
