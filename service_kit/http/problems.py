"""Turns an error into an HTTP answer: one table of statuses, one form (RFC 9457)."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from events.accounts.errors import (
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
    RollcallError,
    SearchTooLong,
    TargetTooLong,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from events.feed.errors import PositionGone
from events.images.errors import ImagesOff, OtherImage, TicketUsed
from events.person.rejections import (
    HoldNotFound,
    IdempotencyKeyReused,
    PersonErased,
    PersonExists,
    PersonHeld,
    PersonNotFound,
    Rejection,
    UnknownVersion,
    ValueTaken,
    VersionMismatch,
)
from service_kit.http.addresses import methods_at
from service_kit.http.reasons import (
    Language,
    code_of,
    in_language,
    language_headers,
    language_of,
    reason_of,
    told,
    unknown,
)

MEDIA_TYPE: Final = "application/problem+json"
MAX_ERRORS: Final = 100
URN: Final = "urn:rollcall:problem:"
"""Begins the `type` of every problem; the code follows."""

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
    HoldNotFound: (404, "No such hold"),
    NotAcceptable: (406, "Not in this form"),
    PersonExists: (409, "The person exists"),
    AccountExists: (409, "The account exists"),
    PersonHeld: (409, "A hold forbids it"),
    UnknownVersion: (409, "No such version"),
    ImportConflict: (409, "Another import"),
    ValueTaken: (409, "The value is taken"),
    TicketUsed: (409, "The ticket is used"),
    PersonErased: (410, "The person was erased"),
    PositionGone: (410, "The position is gone"),
    VersionMismatch: (412, "Another version"),
    OtherImage: (412, "Another image"),
    BodyTooLarge: (413, "The body is too large"),
    TargetTooLong: (414, "The address is too long"),
    UnsupportedMediaType: (415, "The content type is not supported"),
    IdempotencyKeyReused: (422, "The idempotency key was used for another request"),
    InvalidFields: (422, "Invalid fields"),
    TooManyAttempts: (429, "Too many attempts"),
    TooManyRequests: (429, "Too many requests"),
    HeadersTooLarge: (431, "The header fields are too large"),
    InvalidRequest: (400, "Invalid request"),
    Rejection: (409, "Refused"),
    ImagesOff: (501, "No images here"),
    SearchTooLong: (503, "The search takes too long"),
    Unavailable: (503, "Not available"),
    NoAccounts: (501, "No accounts are kept here"),
    RollcallError: (500, "Internal error"),
}

_REALM: Final = 'Bearer realm="rollcall"'
_PLAIN: Final = {404: "not-found", 405: "method-not-allowed", 413: BodyTooLarge.code}
FRAMEWORK_CODES: Final = frozenset({*_PLAIN.values(), "http-error", "range-not-satisfiable"})
"""The codes of problems that are no error of ours."""

log = structlog.get_logger()


def status_of(error: type[RollcallError]) -> tuple[int, str]:
    """Return the HTTP status and title of an error: its own, or its nearest ancestor's."""
    return next(STATUS[kind] for kind in error.__mro__ if kind in STATUS)


def problem(
    status: int, code: str, title: str, detail: str, language: Language = "en", **more: Any
) -> Response:
    """Return a problem response.

    Args:
        status: HTTP status.
        code: Stable name of the kind of problem; ends the `type` URN.
        title: The kind of problem in words, in English.
        detail: This case in words, in English.
        language: In which to tell both.
        **more: Extension members, and `headers` for the response.
    """
    headers = {**(more.pop("headers", None) or {}), **language_headers(language)}
    content = {
        "type": f"{URN}{code}",
        "title": in_language(title, language),
        "status": status,
        "detail": in_language(detail, language),
        **more,
    }
    return Response(orjson.dumps(content), status, headers, MEDIA_TYPE)


def problem_of(error: RollcallError, language: Language = "en") -> Response:
    """Return the response to one of our errors, with the headers that its status asks for.

    Args:
        error: Ours.
        language: In which to say what is wrong.
    """
    (status, title), detail = status_of(type(error)), error.detail
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    match error:
        case InvalidRequest(errors=errors) if errors:
            more["errors"] = [told(one, language) for one in errors]
        case UnsupportedMediaType(codings=codings) if codings:
            headers["Accept-Encoding"] = ", ".join(codings)
        case Unauthenticated():
            headers["WWW-Authenticate"] = f'{_REALM}, error="invalid_token"'
        case InvalidCredentials():
            headers["WWW-Authenticate"] = _REALM
        case Forbidden(scope=scope):
            headers["WWW-Authenticate"] = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
        case PositionGone(event_id=event_id, next=url):
            more["next"] = url
            if event_id:
                more["event_id"] = event_id
            headers["Link"] = f'<{url}>; rel="alternate"; type="application/x-ndjson"'
        case VersionMismatch(version=int() as version):
            more["version"] = version
            headers["ETag"] = f'"{version}"'
        case ValueTaken(fields=fields, said=said):
            more["fields"], detail = list(fields), said.get(language, detail)
        case TooManyRequests(policy=policy, retry_after=seconds):
            more["violated-policies"] = [policy]
            headers["Retry-After"] = str(seconds)
        case (
            Unavailable(retry_after=seconds)
            | TooManyAttempts(retry_after=seconds)
            | NotFound(retry_after=int() as seconds)
        ):
            headers["Retry-After"] = str(seconds)
    return problem(status, error.code, title, detail, language, headers=headers, **more)


def field_errors(
    failure: ValidationError | Sequence[Any],
    known: Iterable[str] = (),
    what: Literal["parameter", "field"] = "field",
    most: int = MAX_ERRORS,
    whole: str = "body",
) -> list[dict[str, str]]:
    """Return what is not valid as `field`, `code` and `reason`; never the value, which may be personal.

    Args:
        failure: What pydantic raised, or the errors that FastAPI lists.
        known: The names that there are, for one that is none of them.
        what: What they are names of.
        most: How many are told, since a body may have thousands; of those beyond, the number.
        whole: Stands for the field where the whole is wrong.
    """
    if isinstance(failure, ValidationError):
        failure = failure.errors(include_url=False, include_input=False)
    found = []
    for error in failure[:most]:
        field = ".".join(str(part) for part in error["loc"]) or whole
        if error["type"] == "extra_forbidden":
            reason = unknown(str(error["loc"][-1]), known, what)
            code = "unknown-name" if reason == "is not known" else f"unknown-{what}"
        else:
            reason, code = reason_of(error), code_of(error)
        found.append({"field": field[:200], "code": code, "reason": reason})
    if left := len(failure) - len(found):
        found.append({"field": whole, "code": "more-errors", "reason": f"has {left} more errors"})
    return found


def names_of(form: type[BaseModel]) -> list[str]:
    """Return the names of a form's fields, as clients write them."""
    return [field.alias or name for name, field in form.model_fields.items()]


def _parameters_of(request: Request) -> list[str]:
    """Return the names of the query parameters that a typed route is documented with."""
    paths = request.app.openapi()["paths"]
    operation = paths.get(request.scope["route"].path_format, {}).get(request.method.lower(), {})
    return [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]


def _language(request: Request) -> Language:
    return language_of(request.headers.get("accept-language"))


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of an application a problem response; unknown ones are logged and say nothing."""

    async def ours(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, RollcallError)  # noqa: S101 - narrows what Starlette dispatches by type
        return problem_of(exc, _language(request))

    async def framework(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)  # noqa: S101
        status, detail, headers = exc.status_code, str(exc.detail), exc.headers
        if status in (404, 405):
            methods = methods_at(request.url.path)
            # The other API may have the address, and this method not (RFC 9110, section 15.5.6).
            if methods and (status == 405 or request.method not in methods):
                status, detail = 405, "Method Not Allowed"
                headers = {"Allow": ", ".join(methods)}
        code = _PLAIN.get(status, "http-error")
        return problem(status, code, detail, detail, _language(request), headers=headers)

    async def parameters(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, RequestValidationError)  # noqa: S101
        # A field is named as the client named it; only what is in the path is told with its place.
        errors = [
            {**error, "loc": error["loc"][1:] if error["loc"][0] in ("query", "header") else error["loc"]}
            for error in exc.errors()
        ]
        told = field_errors(errors, _parameters_of(request), "parameter")
        return await ours(request, InvalidFields("a parameter is not valid", told))

    async def unknown(request: Request, exc: Exception) -> Response:
        # Not the path: it may hold what somebody looked for.
        route = getattr(request.scope.get("route"), "path", "none")
        log.error("request failed", method=request.method, route=route, exc_info=exc)
        detail = "this is our fault, and it was logged"
        return problem(500, "internal", "Internal error", detail, _language(request))

    app.add_exception_handler(RollcallError, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(Exception, unknown)
