"""Owns how an error becomes an HTTP answer: one table of statuses, one form (RFC 9457)."""

from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from events.account_errors import (
    AccountExists,
    AccountNotFound,
    InvalidCredentials,
    InvalidInvitation,
    NoAccounts,
    PasswordChangeRequired,
    SignupClosed,
    TooManyAttempts,
)
from events.errors import (
    BodyTooLarge,
    Forbidden,
    HeadersTooLarge,
    ImportConflict,
    InvalidFields,
    InvalidRequest,
    MalformedBody,
    NotAcceptable,
    NotFound,
    PositionGone,
    RollcallError,
    TargetTooLong,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from events.image_errors import ImagesOff, TicketUsed
from events.rejections import (
    PersonExists,
    PersonNotFound,
    Rejection,
    UnknownVersion,
    ValueTaken,
    VersionMismatch,
)

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[dict[type[RollcallError], tuple[int, str]]] = {
    MalformedBody: (400, "The body cannot be read"),
    Unauthenticated: (401, "Not authenticated"),
    InvalidCredentials: (401, "Not the right name and password"),
    Forbidden: (403, "Not allowed"),
    PasswordChangeRequired: (403, "The password must be changed"),
    SignupClosed: (403, "Signing up is closed"),
    InvalidInvitation: (403, "Not a good invitation"),
    NotFound: (404, "Not found"),
    AccountNotFound: (404, "No such account"),
    PersonNotFound: (404, "No such person"),
    NotAcceptable: (406, "Not in this form"),
    PersonExists: (409, "The person exists"),
    AccountExists: (409, "The account exists"),
    UnknownVersion: (409, "No such version"),
    ImportConflict: (409, "Another import"),
    ValueTaken: (409, "The value is taken"),
    TicketUsed: (409, "The ticket is used"),
    PositionGone: (410, "The position is gone"),
    VersionMismatch: (412, "Another version"),
    BodyTooLarge: (413, "The body is too large"),
    TargetTooLong: (414, "The address is too long"),
    UnsupportedMediaType: (415, "The content type is not supported"),
    InvalidFields: (422, "Invalid fields"),
    TooManyAttempts: (429, "Too many attempts"),
    TooManyRequests: (429, "Too many requests"),
    HeadersTooLarge: (431, "The header fields are too large"),
    InvalidRequest: (400, "Invalid request"),
    Rejection: (409, "Refused"),
    ImagesOff: (501, "No images here"),
    Unavailable: (503, "Not available"),
    NoAccounts: (501, "No accounts are kept here"),
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
        case InvalidCredentials():
            headers["WWW-Authenticate"] = 'Bearer realm="rollcall"'
        case Forbidden(scope=scope):
            headers["WWW-Authenticate"] = (
                f'Bearer realm="rollcall", error="insufficient_scope", scope="{scope}"'
            )
        case PositionGone(event_id=event_id, next=url):
            more["next"] = url
            if event_id:
                more["event_id"] = event_id
            headers["Link"] = f'<{url}>; rel="alternate"; type="application/x-ndjson"'
        case TooManyRequests(policy=policy, retry_after=seconds):
            more["violated-policies"] = [policy]
            headers["Retry-After"] = str(seconds)
        case (
            Unavailable(retry_after=seconds)
            | TooManyAttempts(retry_after=seconds)
            | NotFound(retry_after=int() as seconds)
        ):
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


def _allowed(request: Request) -> dict[str, str]:
    """Return what may be done at an address (RFC 9110, section 10.2.1): each method is a route of its own."""
    here = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    ]
    # `/people/import` is also of the form `/people/{person_id}`: the more exact one is meant.
    exact = min((route.path for route in here), key=lambda path: path.count("{"))
    methods = {method for route in here if route.path == exact for method in route.methods or ()}
    return {"Allow": ", ".join(sorted(methods))}


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of an application a problem response; unknown ones are logged and say nothing."""

    async def ours(_request: Request, exc: Exception) -> Response:
        assert isinstance(exc, RollcallError)  # noqa: S101 - narrows what Starlette dispatches by type
        return problem_of(exc)

    async def framework(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)  # noqa: S101
        code = _PLAIN.get(exc.status_code, "http-error")
        detail = str(exc.detail)
        headers = _allowed(request) if exc.status_code == 405 else exc.headers
        return problem(exc.status_code, code, detail, detail, headers=headers)

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
