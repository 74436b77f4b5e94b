"""The read routes under /people: authenticate, read, answer with ETags and links."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response

from events.errors import InvalidFields, NotFound
from events.person.outcomes import UNCHANGED, UNREADABLE
from events.person.rejections import PersonNotFound
from events.person.schema.declarations import PersonSchema
from query_api.dead_letters.queries import ParkedReads
from query_api.feed.positions import Positions
from query_api.history.queries import LogReads
from query_api.people.documentation import COMMAND, PeopleDocuments
from query_api.people.expecting import read_expected
from query_api.people.filters import PersonQuery, SparseQuery, people_queries
from query_api.people.queries import Answer, Page, Reads
from query_api.reading.forms import Query, ReadQuery, read_query
from query_api.reading.searches import Searches
from service_kit.access.recording import note_people
from service_kit.auth.roles import AUDIT_SCOPE
from service_kit.auth.tokens import Caller, TokenVerifier
from service_kit.http.conditions import is_known
from service_kit.http.reasons import detail_in, language_headers, language_of
from service_kit.http.typed import wants
from service_kit.http.web import PlainRoute, authorize, path_id
from service_kit.person_view import PersonView
from service_kit.pieces import next_piece

LIGHT_PAGE: Final = 50
"""People of a page that is written at once, in a millisecond: as many as one has by default."""


@dataclass(frozen=True, slots=True)
class PeopleDependencies:
    """What the routes need, given by the composition root.

    Attributes:
        reads: The queries on the read model.
        log: The queries on the log.
        parked: The queries on parked people.
        verifier: Checks tokens.
        read_from_header: Whether answers name the member that gave them.
        positions: Tells from where in the stream of events a snapshot is to be followed.
        phone_region: Region of phone numbers without a country.
        searches: Lets costly reads run.
        schema: What a person is.
    """

    reads: Reads
    log: LogReads
    parked: ParkedReads
    verifier: TokenVerifier
    read_from_header: bool
    positions: Positions
    phone_region: str
    searches: Searches
    schema: PersonSchema

    def read(self, form: type[Query], request: Request) -> Query:
        """Return the parameters of a request."""
        return read_query(form, request.query_params, {"phone_region": self.phone_region})

    async def authorize(self, request: Request, scope: str) -> Caller:
        """Return who asks, if the token is good and has the scope."""
        return await authorize(request, self.verifier, scope)

    def wants(self, scope: str) -> list[Any]:
        """Return the dependencies of a typed route: the scope, before all else is read."""
        return [wants(self.verifier, scope)]

    def answer(self, content: object, source: Answer, headers: dict[str, str] | None = None) -> Response:
        """Return the JSON response to a read."""
        return Response(orjson.dumps(content), 200, self.headers(source, headers), "application/json")

    def headers(self, source: Answer, headers: dict[str, str] | None = None) -> dict[str, str]:
        """Return the headers of a response; clients must ask again each time, with the ETag they have."""
        named = {"X-Read-From": self.reads.member_of(source)} if self.read_from_header else {}
        more = dict(headers or {})
        if not self.schema.has_views:
            return {"Cache-Control": "private, no-cache", **named, **more}
        # Who asks with other rights is to get another answer, also from a store on the way.
        vary = ", ".join(filter(None, (more.pop("Vary", ""), "Authorization")))
        return {**named, **more, "Cache-Control": "private, no-store", "Vary": vary}

    def view(self, caller: Caller) -> PersonView:
        """Return what of people a caller sees."""
        return PersonView.of(self.schema, caller.scopes)

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
        self,
        request: Request,
        answer: Answer,
        query: SparseQuery,
        view: PersonView,
        missing: str,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Return the response with a person, or 304 if the client has this version."""
        if not answer.documents:
            raise PersonNotFound(missing)
        document = answer.documents[0]
        note_people(request.scope, (document["_id"],))
        tag = view.tag(document["version"])
        headers = {"ETag": f'"{tag}"', **(headers or {})}
        if "if-none-match" in request.headers and is_known(request.headers, tag):
            return Response(status_code=304, headers=self.headers(answer, headers))
        return self.answer(person_view(document, query.shown, view), answer, headers)


def person_view(
    document: dict[str, Any], shown: Sequence[str] | None = None, of: PersonView | None = None
) -> dict[str, Any]:
    """Return a document of the read model as the API shows it: it is kept in that form but for the id.

    Args:
        document: The person's.
        shown: The only fields that are asked for; None for all.
        of: What the caller sees; None for all.
    """
    view = {"id": document.pop("_id"), **document}
    if of is not None and of.hidden:
        view = of.of_values(view)
    return view if shown is None else {name: view.get(name) for name in shown}


def add_read_routes(app: FastAPI, dependencies: PeopleDependencies) -> None:
    """Add the routes that read people and commands."""
    app.router.route_class = PlainRoute
    doc, queries = PeopleDocuments(dependencies.schema), people_queries(dependencies.schema)

    @app.get("/people", tags=["people"], **doc.list)
    async def list_people(request: Request) -> Response:
        caller = await dependencies.authorize(request, "people:read")
        query, view = dependencies.read(queries.people, request), dependencies.view(caller)
        view.refuse_hidden(query.asked)
        async with dependencies.searches.turn(caller.subject, costly=query.is_search):
            place = dependencies.place(strong=query.strong)
            page = await dependencies.reads.people(query)
        note_people(request.scope, [one["_id"] for one in page.answer.documents])
        if len(page.answer.documents) > LIGHT_PAGE:
            await next_piece()
        content: dict[str, Any] = {
            "items": [person_view(one, query.shown, view) for one in page.answer.documents]
        }
        if page.count is not None:
            content |= {"count": page.count.number, "count_exact": page.count.exact}
        return dependencies.page(request, page, content, place)

    @app.get("/people/{person_id}", tags=["people"], **doc.person)
    async def get_person(request: Request) -> Response:
        caller = await dependencies.authorize(request, "people:read")
        person_id = path_id(request, "person_id")
        query, view = dependencies.read(queries.person, request), dependencies.view(caller)
        view.refuse_hidden(query.shown or ())
        if query.version is not None or query.as_of is not None:
            caller = await dependencies.authorize(request, AUDIT_SCOPE)

            async def read_past(strong: bool) -> Answer:
                return await _past(dependencies.log, caller.subject, person_id, query, strong=strong)

            answer = await read_expected(request.headers, query, read_past)
            return dependencies.person(request, answer, query, view, "")
        place = dependencies.place(strong=query.strong)

        async def read(strong: bool) -> Answer:
            return await dependencies.reads.person(person_id, min_version=query.min_version, strong=strong)

        answer = await read_expected(request.headers, query, read)
        return dependencies.person(request, answer, query, view, f"there is no person {person_id}", place)

    @app.get("/people/{person_id}/commands/{command_id}", tags=["people"], **COMMAND)
    async def get_command_status(request: Request) -> Response:
        await dependencies.authorize(request, "people:read")
        strong = dependencies.read(ReadQuery, request).strong
        ids = path_id(request, "person_id"), path_id(request, "command_id")
        status, source = await _status(dependencies, *ids, strong=strong)
        if status is None and not strong:
            status, source = await _status(dependencies, *ids, strong=True)
        if status is None:
            raise NotFound("the command is not decided yet, or was never accepted", retry_after=1)
        language = language_of(request.headers.get("accept-language"))
        if "detail" in status:
            status["detail"] = detail_in(status["detail"], language, dependencies.schema)
        content = {"person_id": ids[0], "command_id": ids[1], **status}
        return dependencies.answer(content, source, language_headers(language))


async def _status(
    dependencies: PeopleDependencies, person_id: str, command_id: str, *, strong: bool
) -> tuple[dict[str, Any] | None, Answer]:
    """Return what became of a command, None if that is not known, and who said so."""
    event = await dependencies.reads.event_of_command(person_id, command_id, strong=strong)
    if event.documents:
        found = event.documents[0]
        return {"status": "applied", "version": found["version"], "event_id": found["_id"]}, event
    eventless = await dependencies.reads.eventless_command(person_id, command_id, strong=strong)
    if eventless.documents:
        found = eventless.documents[0]
        if found["code"] == UNCHANGED:
            return {"status": UNCHANGED, "version": found["version"]}, eventless
        if found["code"] == UNREADABLE:
            return {"status": UNREADABLE, "detail": found["detail"]}, eventless
        return {"status": "rejected", "reason": found["code"], "detail": found["detail"]}, eventless
    waiting = await dependencies.parked.command(person_id, command_id, strong=strong)
    if waiting.documents:
        found = waiting.documents[0]
        return {"status": "parked", "reason": found["reason"], "detail": found["detail"]}, waiting
    return None, waiting


async def _past(log: LogReads, subject: str, person_id: str, query: PersonQuery, *, strong: bool) -> Answer:
    """Return a person as it was."""
    given = [name for name in ("version", "as_of", "min_version") if getattr(query, name) is not None]
    if len(given) > 1:
        error = {"field": given[1], "reason": f"cannot be given beside {given[0]}"}
        raise InvalidFields("a parameter is not valid", [error])
    as_of = datetime.fromisoformat(query.as_of) if query.as_of is not None else None
    return await log.past(subject, person_id, version=query.version, as_of=as_of, strong=strong)
