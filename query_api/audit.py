"""Owns the routes for audit: a person's history, and search in everybody's events, by page or as export."""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from events.errors import InvalidFields
from query_api import audit_documentation as doc
from query_api.accept import choose
from query_api.export_lines import CSV, NDJSON
from query_api.exports import Exports
from query_api.filters import read_query
from query_api.log_filters import EventsQuery, HistoryQuery
from query_api.people import ReadDesk
from query_api.streaming import streamed
from service_kit.web import PlainRoute, path_id

JSON: Final = "application/json"
_FILES: Final = {NDJSON: "events.ndjson", CSV: "events.csv"}
_VARY: Final = {"Vary": "Accept"}


def add_audit_routes(app: FastAPI, desk: ReadDesk, exports: Exports) -> None:
    """Add the routes that read the log."""
    app.router.route_class = PlainRoute

    @app.get("/people/{person_id}/history", tags=["audit"], **doc.HISTORY)
    async def history(request: Request) -> Response:
        await desk.authorize(request, "audit:read")
        person_id = path_id(request, "person_id")
        query = read_query(HistoryQuery, request.query_params)
        page = await desk.log.history(person_id, query)
        return desk.page(request, page, {"person_id": person_id, "items": page.answer.documents})

    @app.get("/events", tags=["audit"], **doc.EVENTS)
    async def events(request: Request) -> Response:
        await desk.authorize(request, "audit:read")
        query = read_query(EventsQuery, request.query_params)
        # Several headers mean the same as one with a comma (RFC 9110, section 5.3).
        accept = ", ".join(request.headers.getlist("accept"))
        form = choose(accept or None, (JSON, NDJSON, CSV))
        if form != JSON:
            return await _export(desk, exports, query, form)
        page = await desk.log.events(query)
        response = desk.page(request, page, {"items": page.answer.documents})
        response.headers.update(_VARY)
        return response


async def _export(desk: ReadDesk, exports: Exports, query: EventsQuery, form: str) -> Response:
    """Return everything that is found, as a stream."""
    if paged := query.model_fields_set & {"limit", "cursor"}:
        errors = [{"field": name, "reason": "does not go with an export: it has no pages"} for name in paged]
        raise InvalidFields("a parameter is not valid", errors)
    return await streamed(desk, exports.events(query, form), _FILES[form])
