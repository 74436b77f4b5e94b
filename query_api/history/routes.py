"""Routes for audit: a person's history, and search in everybody's events, by page or as export."""

from functools import partial
from typing import Annotated, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from events.errors import InvalidFields
from query_api.exports.event_lines import CSV, NDJSON
from query_api.exports.options import EventsExportQuery
from query_api.exports.responses import ExportSender, head_of
from query_api.history.answers import PageOfEvents, PageOfHistory
from query_api.history.filters import HistoryQuery
from query_api.history.views import seen_event
from query_api.people.routes import PeopleDependencies
from query_api.reading.accept import choose
from service_kit.access.recording import note_people
from service_kit.auth.roles import AUDIT_SCOPE
from service_kit.auth.tokens import Caller
from service_kit.http.guard import is_head
from service_kit.http.openapi import NEXT_LINK, TEXT, json_answer, links, problems
from service_kit.http.parameters import parameters
from service_kit.http.typed import PersonId, wants

JSON: Final = "application/json"
_FILES: Final = {NDJSON: "events.ndjson", CSV: "events.csv"}
_VARY: Final = {"Vary": "Accept"}

_OF_WHOM: Final = "$response.body#/person_id"
_NEWEST: Final = links(
    {
        "getCommandStatus": {"person_id": _OF_WHOM, "command_id": "$response.body#/items/0/command_id"},
        "getPerson": {"person_id": _OF_WHOM, "version": "$response.body#/items/0/version"},
    }
)
_FOUND: Final = json_answer("A page, or an export", PageOfEvents, "events", Link=NEXT_LINK)
_FOUND["content"] |= {media_type: {"schema": TEXT} for media_type in (NDJSON, CSV)}


def add_audit_routes(app: FastAPI, dependencies: PeopleDependencies, sender: ExportSender) -> None:
    """Add the routes that read the log."""
    app.router.route_class = APIRoute
    auditor = wants(dependencies.verifier, AUDIT_SCOPE)

    @app.get(
        "/people/{person_id}/history",
        tags=["audit"],
        summary="Who changed a person, when, from where, and what",
        dependencies=[auditor],
        responses={
            200: json_answer("A page", PageOfHistory, "history", links=_NEWEST, Link=NEXT_LINK),
            **problems(401, 403, 404, 422, 503),
        },
        openapi_extra={"parameters": parameters(HistoryQuery)},
    )
    async def get_history(
        request: Request, person_id: PersonId, caller: Annotated[Caller, auditor]
    ) -> Response:
        """Scope `audit:read`. Newest first; of deleted people too."""
        query = dependencies.read(HistoryQuery, request)
        async with dependencies.searches.turn(caller.subject, costly=query.is_search):
            page = await dependencies.log.history(caller.subject, str(person_id), query)
        items = [
            seen_event(item, ("changes", "former_names"), dependencies.view(caller))
            for item in page.answer.documents
        ]
        return dependencies.page(request, page, {"person_id": str(person_id), "items": items})

    @app.get(
        "/events",
        tags=["audit"],
        summary="Search everybody's events, or export them",
        dependencies=[auditor],
        responses={200: _FOUND, **problems(401, 403, 406, 422, 503)},
        openapi_extra={"parameters": parameters(EventsExportQuery)},
    )
    async def list_events(request: Request, caller: Annotated[Caller, auditor]) -> Response:
        """Scope `audit:read`. Of what happens to accounts (`account.*`) the `person_id` is `account:NAME`; of
        failures that are no account's, `address:ADDRESS`.

        With `Accept: application/x-ndjson` or `text/csv`, all that is found, as a stream; if the connection
        ends before the last chunk, it is not all. An NDJSON line has every member that the hash covers, for
        `python -m verifier`: of sealed values their names and one root.

        With `opened=true` a line has the sealed values, too, each with what proves it, unless the person is
        erased. Of a field that wants a scope which the token lacks, and of those that `withhold` names, it
        has commitments.
        """
        query = dependencies.read(EventsExportQuery, request)
        # Several headers mean the same as one with a comma (RFC 9110, section 5.3).
        accept = ", ".join(request.headers.getlist("accept"))
        form = choose(accept or None, (JSON, NDJSON, CSV))
        if form != JSON:
            withheld = query.withheld(dependencies.schema) | dependencies.view(caller).hidden
            return await _export(request, sender, caller, query, form, withheld)
        query.check_paged()
        async with dependencies.searches.turn(caller.subject, costly=query.is_search):
            page = await dependencies.log.events(query)
        shown = dict.fromkeys(item["person_id"] for item in page.answer.documents)
        note_people(request.scope, list(shown))
        items = [seen_event(item, ("data",), dependencies.view(caller)) for item in page.answer.documents]
        return dependencies.page(request, page, {"items": items}, dict(_VARY))


async def _export(
    request: Request,
    sender: ExportSender,
    caller: Caller,
    query: EventsExportQuery,
    form: str,
    withheld: frozenset[str],
) -> Response:
    """Return everything that is found, as a stream; of values that are laid open, without some."""
    if paged := query.model_fields_set & {"limit", "cursor"}:
        errors = [{"field": name, "reason": "does not go with an export: it has no pages"} for name in paged]
        raise InvalidFields("a parameter is not valid", errors)
    if is_head(request.scope):
        return head_of(form, _FILES[form])
    if query.person_id is not None:
        note_people(request.scope, (query.person_id,))
    begin = partial(sender.exports.events, query, form, withheld, bom=query.bom)
    return await sender.response(request, caller.subject, begin, _FILES[form])
