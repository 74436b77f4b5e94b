"""Owns the routes of the query API: authenticate, read, answer with ETags and links."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response

from events import vocabulary
from events.errors import InvalidFields, NotFound
from events.rejections import PersonNotFound
from query_api import documentation as doc
from query_api.filters import PeopleQuery, PersonQuery, ReadQuery, read_query
from query_api.log_reads import LogReads
from query_api.parked_reads import ParkedReads
from query_api.positions import Positions
from query_api.reads import Answer, Page, Reads
from service_kit.tokens import TokenVerifier
from service_kit.web import PlainRoute, authorize, path_id


@dataclass(frozen=True, slots=True)
class ReadDesk:
    """What the routes need, given by the composition root.

    Attributes:
        reads: The queries on the read model.
        log: The queries on the log.
        parked: The queries on parked people.
        verifier: Checks tokens.
        read_from_header: Whether answers name the member that gave them.
        positions: Tells from where in the stream of events a snapshot is to be followed.
    """

    reads: Reads
    log: LogReads
    parked: ParkedReads
    verifier: TokenVerifier
    read_from_header: bool
    positions: Positions

    async def authorize(self, request: Request, scope: str) -> None:
        """Return if the token is good and has the scope."""
        await authorize(request, self.verifier, scope)

    def answer(self, content: object, source: Answer, headers: dict[str, str] | None = None) -> Response:
        """Return the JSON response to a read."""
        return Response(orjson.dumps(content), 200, self.headers(source, headers), "application/json")

    def headers(self, source: Answer, headers: dict[str, str] | None = None) -> dict[str, str]:
        """Return the headers of a response; clients must ask again each time, with the ETag they have."""
        named = {"X-Read-From": self.reads.member_of(source)} if self.read_from_header else {}
        return {"Cache-Control": "private, no-cache", **named, **(headers or {})}

    def place(self, *, strong: bool) -> dict[str, str]:
        """Return the header with the stream's position for a read that is still to begin, if one is known."""
        position = self.positions.before_read(strong=strong)
        return {} if position is None else {"X-Stream-Position": str(position)}

    def page(
        self, request: Request, page: Page, content: dict[str, Any], headers: dict[str, str] | None = None
    ) -> Response:
        """Return the response with a page, and where the next one is."""
        headers = dict(headers or {})
        if page.next is not None:
            url = request.url.include_query_params(cursor=page.next)
            headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
        return self.answer({**content, "next": page.next}, page.answer, headers)

    def person(
        self, request: Request, answer: Answer, missing: str, headers: dict[str, str] | None = None
    ) -> Response:
        """Return the response with a person, or 304 if the client has this version."""
        if not answer.documents:
            raise PersonNotFound(missing)
        document = answer.documents[0]
        etag = f'"{document["version"]}"'
        headers = {"ETag": etag, **(headers or {})}
        known = request.headers.get("if-none-match")
        if known is not None and matches(known, etag):
            return Response(status_code=304, headers=self.headers(answer, headers))
        return self.answer(person_view(document), answer, headers)


def person_view(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of the read model as the API shows it: it is kept in that form but for the id."""
    return {"id": document.pop("_id"), **document}


def matches(if_none_match: str, etag: str) -> bool:
    """Return whether an `If-None-Match` header names the ETag (weak comparison, RFC 9110, 8.8.3.2)."""
    known = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return etag in known or "*" in known


def add_read_routes(app: FastAPI, desk: ReadDesk) -> None:
    """Add the routes that read people and commands."""
    app.router.route_class = PlainRoute

    @app.get("/people", tags=["people"], **doc.LIST)
    async def list_people(request: Request) -> Response:
        await desk.authorize(request, "people:read")
        query = read_query(PeopleQuery, request.query_params)
        place = desk.place(strong=query.strong)
        page = await desk.reads.people(query)
        content: dict[str, Any] = {"items": list(map(person_view, page.answer.documents))}
        if page.count is not None:
            content["count"] = page.count
        return desk.page(request, page, content, place)

    @app.get("/people/by-document/{document_type}/{document_id}", tags=["people"], **doc.BY_DOCUMENT)
    async def person_by_document(request: Request) -> Response:
        await desk.authorize(request, "people:read")
        query = read_query(ReadQuery, request.query_params)
        wanted: dict[str, Callable[[str], str]] = {
            "document_type": vocabulary.document_type,
            "document_id": vocabulary.document_id,
        }
        values = {name: _normal(name, check, request.path_params[name]) for name, check in wanted.items()}
        place = desk.place(strong=query.strong)
        answer = await desk.reads.person_by_document(**values, strong=query.strong)
        return desk.person(request, answer, "there is no person with this document", place)

    @app.get("/people/{person_id}", tags=["people"], **doc.PERSON)
    async def person_by_id(request: Request) -> Response:
        await desk.authorize(request, "people:read")
        person_id = path_id(request, "person_id")
        query = read_query(PersonQuery, request.query_params)
        if query.version is not None or query.as_of is not None:
            await desk.authorize(request, "audit:read")
            return desk.person(request, await _past(desk.log, person_id, query), "")
        place = desk.place(strong=query.strong)
        answer = await desk.reads.person(person_id, min_version=query.min_version, strong=query.strong)
        return desk.person(request, answer, f"there is no person {person_id}", place)

    @app.get("/people/{person_id}/commands/{command_id}", tags=["people"], **doc.COMMAND)
    async def command_status(request: Request) -> Response:
        await desk.authorize(request, "people:read")
        strong = read_query(ReadQuery, request.query_params).strong
        ids = path_id(request, "person_id"), path_id(request, "command_id")
        status, source = await _status(desk, *ids, strong=strong)
        if status is None and not strong:
            status, source = await _status(desk, *ids, strong=True)
        if status is None:
            raise NotFound("the command is not decided yet, or was never accepted", retry_after=1)
        return desk.answer({"person_id": ids[0], "command_id": ids[1], **status}, source)


async def _status(
    desk: ReadDesk, person_id: str, command_id: str, *, strong: bool
) -> tuple[dict[str, Any] | None, Answer]:
    """Return what became of a command, None if that is not known, and who said so."""
    event = await desk.reads.event_of_command(person_id, command_id, strong=strong)
    if event.documents:
        found = event.documents[0]
        return {"status": "applied", "version": found["version"], "event_id": found["_id"]}, event
    rejection = await desk.reads.rejection_of_command(person_id, command_id, strong=strong)
    if rejection.documents:
        found = rejection.documents[0]
        return {"status": "rejected", "reason": found["code"], "detail": found["detail"]}, rejection
    waiting = await desk.parked.command(person_id, command_id, strong=strong)
    if waiting.documents:
        found = waiting.documents[0]
        return {"status": "parked", "reason": found["reason"], "detail": found["detail"]}, waiting
    return None, waiting


async def _past(log: LogReads, person_id: str, query: PersonQuery) -> Answer:
    """Return a person as it was."""
    given = [name for name in ("version", "as_of", "min_version") if getattr(query, name) is not None]
    if len(given) > 1:
        error = {"field": given[1], "reason": f"cannot be given beside {given[0]}"}
        raise InvalidFields("a parameter is not valid", [error])
    as_of = datetime.fromisoformat(query.as_of) if query.as_of is not None else None
    return await log.past(person_id, version=query.version, as_of=as_of, strong=query.strong)


def _normal(name: str, check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except ValueError as exc:
        raise InvalidFields("a parameter is not valid", [{"field": name, "reason": str(exc)}]) from exc
