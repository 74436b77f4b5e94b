"""Owns how an error becomes an HTTP answer: one table of statuses, one form (RFC 9457)."""

from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from events.errors import (
    BodyTooLarge,
    Forbidden,
    ImportConflict,
    InvalidFields,
    InvalidRequest,
    MalformedBody,
    NotAcceptable,
    NotFound,
    PersonExists,
    PersonNotFound,
    PositionGone,
    Rejection,
    RollcallError,
    Unauthenticated,
    Unavailable,
    UnknownVersion,
    UnsupportedMediaType,
    ValueTaken,
    VersionMismatch,
)

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[dict[type[RollcallError], tuple[int, str]]] = {
    MalformedBody: (400, "The body is not JSON"),
    Unauthenticated: (401, "Not authenticated"),
    Forbidden: (403, "Not allowed"),
    NotFound: (404, "Not found"),
    PersonNotFound: (404, "No such person"),
    NotAcceptable: (406, "Not in this form"),
    PersonExists: (409, "The person exists"),
    UnknownVersion: (409, "No such version"),
    ImportConflict: (409, "Another import"),
    ValueTaken: (409, "The value is taken"),
    PositionGone: (410, "The position is gone"),
    VersionMismatch: (412, "Another version"),
    BodyTooLarge: (413, "The body is too large"),
    UnsupportedMediaType: (415, "The content type is not supported"),
    InvalidFields: (422, "Invalid fields"),
    InvalidRequest: (400, "Invalid request"),
    Rejection: (409, "Refused"),
    Unavailable: (503, "Not available"),
    RollcallError: (500, "Internal error"),
}

_PLAIN: Final = {404: "not-found", 405: "method-not-allowed", 413: BodyTooLarge.code}

log = structlog.get_logger()


def status_of(error: type[RollcallError]) -> tuple[int, str]:
    """Return the HTTP status and title of an error: its own, or its nearest ancestor's."""
    return next(STATUS[kind] for kind in error.__mro__ if kind in STATUS)


def problem(status: int, code: str, title: str, detail: str, **more: Any) -> Response:
    """Return a problem response.

    Args:
        status: HTTP status.
        code: Stable name of the kind of problem; ends the `type` URN.
        title: The kind of problem in words.
        detail: This case in words.
        **more: Extension members, and `headers` for the response.
    """
    headers = more.pop("headers", None)
    content = {
        "type": f"urn:rollcall:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        **more,
    }
    return Response(orjson.dumps(content), status, headers, MEDIA_TYPE)


def problem_of(error: RollcallError) -> Response:
    """Return the response to one of our errors, with the headers that its status asks for."""
    status, title = status_of(type(error))
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    match error:
        case InvalidRequest(errors=errors) if errors:
            more["errors"] = list(errors)
        case Unauthenticated():
            headers["WWW-Authenticate"] = 'Bearer realm="rollcall", error="invalid_token"'
        case Forbidden(scope=scope):
            headers["WWW-Authenticate"] = (
                f'Bearer realm="rollcall", error="insufficient_scope", scope="{scope}"'
            )
        case PositionGone():
            headers["Link"] = '</events>; rel="alternate"; type="application/x-ndjson"'
        case Unavailable(retry_after=seconds) | NotFound(retry_after=int() as seconds):
            headers["Retry-After"] = str(seconds)
    return problem(status, error.code, title, error.detail, headers=headers, **more)


def field_errors(errors: Any) -> list[dict[str, str]]:
    """Return pydantic's errors as `field` and `reason`; never the value, which may be personal."""
    return [
        {
            "field": ".".join(str(part) for part in error["loc"]) or "body",
            "reason": error["msg"].removeprefix("Value error, "),
        }
        for error in errors
    ]


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of an application a problem response; unknown ones are logged and say nothing."""

    async def ours(_request: Request, exc: Exception) -> Response:
        assert isinstance(exc, RollcallError)  # noqa: S101 - narrows what Starlette dispatches by type
        return problem_of(exc)

    async def framework(_request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)  # noqa: S101
        code = _PLAIN.get(exc.status_code, "http-error")
        detail = str(exc.detail)
        return problem(exc.status_code, code, detail, detail, headers=exc.headers)

    async def parameters(_request: Request, exc: Exception) -> Response:
        assert isinstance(exc, RequestValidationError)  # noqa: S101
        return problem_of(InvalidFields("a parameter is not valid", field_errors(exc.errors())))

    async def unknown(request: Request, exc: Exception) -> Response:
        log.error("request failed", path=request.url.path, exc_info=exc)
        return problem(500, "internal", "Internal error", "this is our fault, and it was logged")

    app.add_exception_handler(RollcallError, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(Exception, unknown)
