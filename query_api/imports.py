"""Owns the routes that tell of imports and export people: how far each is, what was refused, everybody."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from events.errors import NotFound
from events.times import rfc3339
from query_api import import_documentation as doc
from query_api.accept import choose
from query_api.export_lines import CSV, NDJSON
from query_api.exports import Exports
from query_api.filters import ExportQuery, ReadQuery, read_query
from query_api.people import ReadDesk
from query_api.reads import Answer, Reads
from query_api.streaming import streamed
from service_kit.web import PlainRoute, path_id

_FORMS: Final = (NDJSON, CSV)
_PEOPLE_FILES: Final = {NDJSON: "people.ndjson", CSV: "people.csv"}
_ERRORS_FILES: Final = {NDJSON: "errors.ndjson", CSV: "errors.csv"}
SILENT: Final = timedelta(seconds=30)
"""An import that is being read is noted every second: one that is not for so long is read by nobody."""


def form_of(request: Request) -> str:
    """Return the media type to export in: what `Accept` asks for, NDJSON if it asks for nothing.

    Raises:
        NotAcceptable: It can be had in none of those.
    """
    # Several headers mean the same as one with a comma (RFC 9110, section 5.3).
    return choose(", ".join(request.headers.getlist("accept")) or None, _FORMS)


def import_view(document: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return an import as the API shows it.

    Args:
        document: Of the collection `imports`.
        now: The time, UTC.
    """
    state = document["state"]
    if state == "reading" and now - document["updated_at"] > SILENT:
        state = "interrupted"
    stopped = int(state == "stopped")  # at a row that is read again when the import goes on
    invalid, undone = document["refused"] + stopped, document["undone"]
    return {
        "import_id": document["_id"],
        "state": state,
        "reason": document.get("reason"),
        "read": document["read"] + stopped,
        "accepted": document["accepted"],
        "applied": document["applied"],
        "rejected": invalid + undone,
        "invalid": invalid,
        "refused": undone,
        **{
            name: document[name]
            for name in ("mode", "dry_run", "media_type", "packed", "delimiter", "columns")
        },
        "sha256": document["digest"] if document["whole"] else None,
        "actor": {"subject": document["actor"], "name": document["actor_name"]},
        "begun_at": rfc3339(document["begun_at"]),
        "updated_at": rfc3339(document["updated_at"]),
    }


async def _import(reads: Reads, import_id: str, query: ReadQuery) -> Answer:
    """Return an import; one that no secondary knows yet from the primary.

    Raises:
        NotFound: There is none.
    """
    answer = await reads.find("imports", {"_id": import_id}, {"owner": 0}, strong=query.strong)
    if not (answer.documents or query.strong):
        answer = await reads.find("imports", {"_id": import_id}, {"owner": 0}, strong=True)
    if not answer.documents:
        raise NotFound(f"there is no import {import_id}")
    return answer


def add_export_route(app: FastAPI, desk: ReadDesk, exports: Exports) -> None:
    """Add the route that exports people; before that of one person, whose path is wider."""
    app.router.route_class = PlainRoute

    @app.get("/people/export", tags=["people"], **doc.EXPORT)
    async def export_people(request: Request) -> Response:
        await desk.authorize(request, "people:read")
        query = read_query(ExportQuery, request.query_params)
        form = form_of(request)
        place = desk.place(strong=query.strong)
        return await streamed(desk, exports.people(query, form), _PEOPLE_FILES[form], place)


def add_import_routes(app: FastAPI, desk: ReadDesk, exports: Exports, clock: Callable[[], datetime]) -> None:
    """Add the routes that tell of imports."""
    app.router.route_class = PlainRoute

    @app.get("/imports/{import_id}", tags=["imports"], **doc.STATUS)
    async def import_status(request: Request) -> Response:
        await desk.authorize(request, "people:read")
        query = read_query(ReadQuery, request.query_params)
        answer = await _import(desk.reads, path_id(request, "import_id"), query)
        return desk.answer(import_view(answer.documents[0], clock()), answer)

    @app.get("/imports/{import_id}/errors", tags=["imports"], **doc.ERRORS)
    async def import_errors(request: Request) -> Response:
        await desk.authorize(request, "people:read")
        query = read_query(ReadQuery, request.query_params)
        import_id, form = path_id(request, "import_id"), form_of(request)
        await _import(desk.reads, import_id, query)
        export = exports.import_errors(import_id, form, strong=query.strong)
        return await streamed(desk, export, _ERRORS_FILES[form])
