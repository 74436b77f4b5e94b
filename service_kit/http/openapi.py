"""What both OpenAPI documents share: operation ids, the bearer scheme, problems, forms of answers."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from events.person.schema.declarations import PersonSchema
from service_kit.access.records import MAX_PURPOSE, PURPOSE_HEADER
from service_kit.http.answers import Problem, problem_types
from service_kit.http.examples import examples
from service_kit.http.parameters import plain
from service_kit.http.schema_document import PersonSchemaDocument

_TITLES: Final = {
    400: "The request or its body cannot be read",
    401: "No token, or not a good one; `WWW-Authenticate` tells",
    403: "The token lacks the scope",
    404: "No such thing, or not yet (`Retry-After`)",
    406: "None of the media types of `Accept` can be had",
    409: "A unique value is taken, or there is no such version yet (with `Prefer: wait`)",
    410: "The stream of events does not have all that comes after the position",
    412: "The person is at another version (with `Prefer: wait`)",
    413: "The body is over 64 KB",
    415: "The content type is not supported",
    422: "A field, parameter or header is not valid; `errors` names each",
    416: "The range lies beyond the end",
    414: "Path and query are over 8 KB",
    429: "More requests than the quota, or too many failed attempts; go on after `Retry-After` seconds",
    431: "The header fields are over 16 KB",
    501: "Accounts are kept by another issuer of tokens, or images nowhere",
    503: "A part is away; try again after `Retry-After` seconds",
}
_UNCOUNTED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_OPEN: Final = frozenset(
    {
        *_UNCOUNTED,
        *("/images/{image_id}", "/images/{image_id}/thumbnail", "/images/uploads"),
    }
)

UUID: Final = {"type": "string", "format": "uuid"}
TEXT: Final = {"type": "string"}
NEXT_LINK: Final = {"description": '`rel="next"`', "schema": TEXT}

_COUNTED: Final = {
    "Retry-After": {"description": "Seconds", "schema": {"type": "integer"}},
    "RateLimit": {
        "description": "What is left of each quota (`r`), and until when (`t`, seconds); on every answer "
        "that was counted, with `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)",
        "schema": TEXT,
        "example": '"address";r=4999;t=1, "subject";r=0;t=2',
    },
}


def problems(*statuses: int, **more: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of the statuses, each a problem; `more` is what others mean."""
    schema = {"$ref": "#/components/schemas/Problem"}
    words = {status: _TITLES[status] for status in statuses} | {int(key): more[key] for key in more}
    return {
        status: {
            "description": text,
            "content": {"application/problem+json": {"schema": schema}},
            **({"headers": _COUNTED} if status == 429 else {}),
        }
        for status, text in sorted(words.items())
    }


def in_path(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Return a path's OpenAPI parameter: a UUID unless a schema is given."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema or UUID,
    }


def header(name: str, description: str, example: str, **schema: Any) -> dict[str, Any]:
    """Return an optional request header's OpenAPI parameter; a text, of which a schema may say more."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
        "example": example,
    }


def links(targets: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the OpenAPI links from an answer to what may be asked next.

    Args:
        targets: By the id of each operation, where its parameters are in the answer.
    """
    return {
        target: {"operationId": target, "parameters": dict(parameters)}
        for target, parameters in targets.items()
    }


def json_answer(
    description: str,
    form: type[BaseModel],
    example: str,
    *,
    links: Mapping[str, Any] | None = None,
    **headers: Any,
) -> dict[str, Any]:
    """Return an OpenAPI response of JSON.

    Args:
        description: What it means.
        form: What it holds.
        example: Name of one of the `examples`.
        links: What may be asked next, as of `links`.
        **headers: Its headers by name.
    """
    shown = {example: {"$ref": f"#/components/examples/{example}"}}
    return {
        "description": description,
        "model": form,
        "headers": headers,
        **({"links": dict(links)} if links else {}),
        "content": {"application/json": {"examples": shown}},
    }


def json_body(form: type[BaseModel], *media_types: str) -> dict[str, Any]:
    """Return an OpenAPI request body of JSON; `document` must be given the form, too.

    Args:
        form: What it holds.
        *media_types: What it may be sent as.
    """
    schema = {"$ref": f"#/components/schemas/{form.__name__}"}
    content = {media_type: {"schema": schema} for media_type in media_types or ("application/json",)}
    return {"required": True, "content": content}


def operation_id(route: APIRoute) -> str:
    """Return a route's id in OpenAPI: the name of its function, as clients in most languages write one."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


def schemas_of(*forms: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Return the JSON schemas of forms, and of those that they are made of, by name."""
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [(form, "validation") for form in forms]
    _, schemas = models_json_schema(asked, ref_template="#/components/schemas/{model}")
    return dict(schemas["$defs"])


def _bare(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of names, and without defaults.

    A field that may be absent is left alone then, or was not asked for: it is never as if it had a default.
    """
    if isinstance(schema, list):
        return [_bare(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name not in ("title", "default")}
    return {
        name: {key: _bare(one) for key, one in value.items()} if name == "properties" else _bare(value)
        for name, value in kept.items()
    }


def document(
    app: FastAPI,
    forms: Mapping[str, dict[str, Any]],
    person_schema: PersonSchema,
    impersonal: Collection[str],
) -> None:
    """Give the application an OpenAPI document with our schemas, examples and bearer scheme.

    FastAPI documents a 422 of its own form for every parameter; ours are problems. It also drops nulls
    from what it is given, so the examples and the forms come in here.

    Args:
        app: The application, with all its routes.
        forms: The schemas of request bodies, by name.
        person_schema: What a person is.
        impersonal: Templates of the routes that show nothing personal: of all others, each request is put on
            record, with its purpose.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            parts = schema.setdefault("components", {})
            known = {**parts.get("schemas", {}), **forms, **schemas_of(Problem, PersonSchemaDocument)}
            known["Problem"]["properties"]["type"]["enum"] = problem_types(person_schema)
            shown = examples(person_schema)
            for unused in ("HTTPValidationError", "ValidationError"):
                known.pop(unused, None)
            parts["schemas"] = {name: _bare(known[name]) for name in sorted(known)}
            parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
            parts["examples"] = {}
            for path, methods in schema["paths"].items():
                for operation in methods.values():
                    _complete(path, operation)
                    if path not in impersonal:
                        operation["parameters"] = [*operation.get("parameters", ()), _PURPOSE]
                    parts["examples"] |= {name: {"value": shown[name]} for name in _examples_of(operation)}
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


_PURPOSE: Final = header(
    PURPOSE_HEADER,
    f"Why this is read: put on record with the access, {MAX_PURPOSE} characters of it",
    "case 4711",
)


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Bring an operation to our form, and add what holds for all: the bearer scheme, the guard's problems."""
    if path not in _OPEN:
        operation.setdefault("security", [{"bearer": []}])
    if "parameters" in operation:
        operation["parameters"] = list(map(plain, operation["parameters"]))
    if "application/json" in operation["responses"].get("422", {}).get("content", {}):
        del operation["responses"]["422"]  # FastAPI's: ours are problems, where there are any
    for answer in operation["responses"].values():
        content = answer.get("content", {})
        if len(content) > 1 and content.get("application/json") == {"schema": {}}:
            del content["application/json"]  # FastAPI's own word, beside ours
    # What the guard says of any request.
    statuses = (414, 431) if path in _UNCOUNTED else (414, 429, 431)
    for status, answer in problems(*statuses).items():
        operation["responses"].setdefault(str(status), answer)


def _examples_of(operation: dict[str, Any]) -> Iterator[str]:
    for answer in operation["responses"].values():
        for content in answer.get("content", {}).values():
            yield from content.get("examples", ())
