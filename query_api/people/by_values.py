"""The routes that read the person who has a unique value: one for each kind of claim."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic_core import PydanticCustomError

from events.errors import InvalidFields
from events.person.claims import ClaimNames
from query_api.people.asked_values import Context, Read, stored_value_of
from query_api.people.documentation import PeopleDocuments
from query_api.people.expecting import read_expected
from query_api.people.filters import people_queries
from query_api.people.queries import Answer
from query_api.people.routes import PeopleDependencies
from service_kit.http.escaped_paths import values_at_end
from service_kit.http.problems import field_errors
from service_kit.http.web import PlainRoute

LoadClaims = Callable[[], Awaitable[ClaimNames]]


def add_unique_routes(app: FastAPI, dependencies: PeopleDependencies, load_claims: LoadClaims) -> None:
    """Add the routes; before those whose paths are wider.

    Args:
        app: The query API.
        dependencies: What all routes of people need.
        load_claims: Returns what names claims.
    """
    app.router.route_class = PlainRoute
    documents = PeopleDocuments(dependencies.schema)
    for kind in dependencies.schema.unique:
        _add_unique_route(app, dependencies, load_claims, kind, documents.by_values(kind))


def _add_unique_route(
    app: FastAPI,
    dependencies: PeopleDependencies,
    load_claims: LoadClaims,
    kind: str,
    document: dict[str, Any],
) -> None:
    """Add the route that reads the person who holds a claim of a kind."""
    fields = [dependencies.schema.by_name[name] for name in dependencies.schema.unique[kind]]
    readers = {field.name: stored_value_of(field) for field in fields}
    context = {"phone_region": dependencies.phone_region}
    query_form = people_queries(dependencies.schema).sparse
    path = f"/people/by-{kind.replace('_', '-')}/" + "/".join(f"{{{field.name}}}" for field in fields)

    @app.get(path, tags=["people"], **document)
    async def get_person_by_values(request: Request) -> Response:
        view = dependencies.view(await dependencies.authorize(request, "people:read"))
        query = dependencies.read(query_form, request)
        view.refuse_hidden((*(field.name for field in fields), *(query.shown or ())))
        parts = values_at_end(request.scope, len(readers))
        texts = zip(readers.items(), parts, strict=True)
        values = {name: _stored(name, text, read, context) for (name, read), text in texts}
        place = dependencies.place(strong=query.strong)

        async def find(strong: bool) -> Answer:
            names = await load_claims()
            called = dependencies.schema.claimed_as.get(kind, kind)
            claim = names.name(called, list(values.values()))
            return await dependencies.reads.person_by_values(claim, values, strong=strong)

        answer = await read_expected(request.headers, query, find)
        missing = f"there is no person with this {kind.replace('_', ' ')}"
        return dependencies.person(request, answer, query, view, missing, place)


def _stored(name: str, text: str, read: Read, context: Context) -> Any:
    """Return a field's value that stands in a request's path, read as one in a body.

    Raises:
        InvalidFields: It is not valid.
    """
    try:
        return read(text, context)
    except ValueError as exc:
        reason = exc.message() if isinstance(exc, PydanticCustomError) else str(exc)
        kind = exc.type if isinstance(exc, PydanticCustomError) else "value_error"
        errors = field_errors([{"type": kind, "loc": (name,), "msg": reason}])
        raise InvalidFields("a parameter is not valid", errors) from exc
