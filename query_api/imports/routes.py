"""Routes that export people, tell how far an import is, and list what was refused of it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from events.errors import NotFound
from events.imports.states import MAX_KEPT
from events.times import rfc3339
from query_api.exports.event_lines import CSV, NDJSON
from query_api.exports.people_lines import WORKBOOK
from query_api.exports.responses import ExportSender, head_of
from query_api.imports import documentation as doc
from query_api.imports.answers import Import
from query_api.people.filters import people_queries
from query_api.people.queries import Answer, Reads
from query_api.people.routes import PeopleDependencies
from query_api.reading.accept import choose
from query_api.reading.forms import LinesQuery, ReadQuery
from service_kit.auth.tokens import Caller
from service_kit.http.guard import is_head
from service_kit.http.openapi import json_answer, problems
from service_kit.http.parameters import parameters
from service_kit.http.reasons import Language, in_language, language_headers, language_of
from service_kit.http.typed import PathId, wants

ImportId = Annotated[PathId, Path(description="The import's id")]
_FORMS: Final = (NDJSON, CSV)
_PEOPLE_FILES: Final = {NDJSON: "people.ndjson", CSV: "people.csv", WORKBOOK: "people.xlsx"}
_ERRORS_FILES: Final = {NDJSON: "errors.ndjson", CSV: "errors.csv"}
SILENT: Final = timedelta(seconds=30)
"""An import that is being read is noted every second: one that is not for so long is read by nobody."""


def form_of(request: Request, forms: Sequence[str] = _FORMS) -> str:
    """Return the media type to export in: what `Accept` asks for, NDJSON if it asks for nothing.

    Args:
        request: The request.
        forms: What there is.

    Raises:
        NotAcceptable: It can be had in none of those.
    """
    # Several headers mean the same as one with a comma (RFC 9110, section 5.3).
    return choose(", ".join(request.headers.getlist("accept")) or None, forms)


def import_view(document: Mapping[str, Any], now: datetime, language: Language) -> dict[str, Any]:
    """Return an import as the API shows it.

    Args:
        document: Of the collection `imports`.
        now: The time, UTC.
        language: In which to tell why it was read no further.
    """
    state = document["state"]
    if state == "reading" and now - document["updated_at"] > SILENT:
        state = "interrupted"
    stopped = int(state == "stopped")  # at a row that is read again when the import goes on
    invalid, undone = document["refused"] + stopped, document["undone"]
    reason = document.get("reason")
    return {
        "import_id": document["_id"],
        "state": state,
        "reason": None if reason is None else in_language(reason, language),
        "read": document["read"] + stopped,
        "accepted": document["accepted"],
        "applied": document["applied"],
        "unchanged": document.get("unchanged", 0),
        "rejected": invalid + undone,
        "invalid": invalid,
        "refused": undone,
        "rows_left_out": max(0, invalid - MAX_KEPT),
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


def add_export_route(app: FastAPI, dependencies: PeopleDependencies, sender: ExportSender) -> None:
    """Add the route that exports people; before that of one person, whose path is wider."""
    app.router.route_class = APIRoute
    reader = wants(dependencies.verifier, "people:read")
    query_form = people_queries(dependencies.schema).export

    @app.get(
        "/people/export",
        tags=["people"],
        summary="Export people",
        dependencies=[reader],
        response_class=Response,
        responses={200: doc.export_answer(dependencies.schema), **problems(401, 403, 406, 422, 503)},
        openapi_extra={"parameters": parameters(query_form)},
    )
    async def export_people(request: Request, caller: Annotated[Caller, reader]) -> Response:
        """Scope `people:read`. Everybody whom the filters choose, as a stream: NDJSON, CSV or a workbook
        (.xlsx) by `Accept`.

        If the connection ends before the last chunk, it is not all. A cell of CSV that a spreadsheet would
        compute has an apostrophe before it, which an import takes away again.
        """
        query, view = dependencies.read(query_form, request), dependencies.view(caller)
        view.refuse_hidden(query.asked)
        form = form_of(request, tuple(_PEOPLE_FILES))
        place = dependencies.place(strong=query.strong)
        if is_head(request.scope):
            return head_of(form, _PEOPLE_FILES[form], place)
        begin = partial(sender.exports.people, query, form, view, bom=query.bom)
        return await sender.response(request, caller.subject, begin, _PEOPLE_FILES[form], place)


def add_import_routes(
    app: FastAPI, dependencies: PeopleDependencies, sender: ExportSender, clock: Callable[[], datetime]
) -> None:
    """Add the routes that tell of imports."""
    app.router.route_class = APIRoute
    reader = wants(dependencies.verifier, "people:read")

    @app.get(
        "/imports/{import_id}",
        tags=["imports"],
        summary="How far an import is",
        dependencies=dependencies.wants("people:read"),
        responses={200: json_answer("The import", Import, "import"), **problems(401, 403, 404, 422, 503)},
        openapi_extra={"parameters": parameters(ReadQuery)},
    )
    async def get_import(request: Request, import_id: ImportId) -> Response:
        """Scope `people:read`. `applied` and `refused` are at most some seconds old."""
        query = dependencies.read(ReadQuery, request)
        answer = await _import(dependencies.reads, str(import_id), query)
        language = language_of(request.headers.get("accept-language"))
        content = import_view(answer.documents[0], clock(), language)
        return dependencies.answer(content, answer, language_headers(language))

    @app.get(
        "/imports/{import_id}/errors",
        tags=["imports"],
        summary="What was refused of an import, row by row",
        dependencies=[reader],
        response_class=Response,
        responses={200: doc.ERRORS, **problems(401, 403, 404, 406, 422, 503)},
        openapi_extra={"parameters": parameters(LinesQuery)},
    )
    async def get_import_errors(
        request: Request, import_id: ImportId, caller: Annotated[Caller, reader]
    ) -> Response:
        """Scope `people:read`. A line for each reason: the row's number, from 1; the field, or `row`; the
        reason, in English or Spanish by `Accept-Language`; the code, as a field's error has it in the answer
        to `POST /people`, or that of the refusal by a worker, as in a command's status.

        First the invalid rows, then the others, each in the order of the file. From the primary, or from a
        secondary while there is none. If the connection ends before the last chunk, it is not all.
        """
        query = dependencies.read(LinesQuery, request)
        form = form_of(request)
        await _import(dependencies.reads, str(import_id), query)
        language = language_of(request.headers.get("accept-language"))
        headers = language_headers(language)
        if is_head(request.scope):
            return head_of(form, _ERRORS_FILES[form], headers)
        errors = sender.exports.import_errors
        begin = partial(errors, str(import_id), form, language, strong=query.strong, bom=query.bom)
        return await sender.response(request, caller.subject, begin, _ERRORS_FILES[form], headers)
