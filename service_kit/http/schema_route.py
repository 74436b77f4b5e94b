"""The route that tells what a person is; both APIs have it."""

from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response

from events.person.schema.declarations import PersonSchema
from events.person.schema.showing import shown_schema
from service_kit.auth.tokens import TokenVerifier
from service_kit.http.conditions import is_known
from service_kit.http.openapi import problems
from service_kit.http.schema_document import PersonSchemaDocument
from service_kit.http.web import PlainRoute, authenticate
from service_kit.person_view import PersonView

MEDIA_TYPE: Final = "application/schema+json"
_CONTENT: Final = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{PersonSchemaDocument.__name__}"}}}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "JSON Schema 2020-12, with the keyword `rollcall`", "content": _CONTENT},
    304: {"description": "The client has this version"},
    **problems(401, 503),
}


def add_schema_route(app: FastAPI, verifier: TokenVerifier, schema: PersonSchema) -> None:
    """Add the route that tells what a person is."""
    app.router.route_class = PlainRoute

    @app.get(
        "/schema", tags=["people"], summary="What a person is", response_class=Response, responses=_ANSWERS
    )
    async def get_schema(request: Request) -> Response:
        """Any token. The person schema in force, without the fields that the caller may not see."""
        caller = await authenticate(request, verifier)
        view = PersonView.of(schema, caller.scopes)
        tag = view.tag(schema.version)
        headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache", "Vary": "Authorization"}
        if is_known(request.headers, tag):
            return Response(status_code=304, headers=headers)
        return Response(orjson.dumps(shown_schema(schema, view.hidden)), 200, headers, MEDIA_TYPE)
