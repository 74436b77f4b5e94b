"""What every request passes before any route, and every answer carries: rates, lengths, headers.

The header fields of rates are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/,
the others those of the OWASP REST Security Cheat Sheet.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from prometheus_client import Counter
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from events.accounts.event import address_key
from events.errors import HeadersTooLarge, NotFound, RollcallError, TargetTooLong, TooManyRequests
from service_kit.http.addresses import PREFIX, methods_at
from service_kit.http.escaped_paths import has_escaped_slash, routed_path
from service_kit.http.problems import problem_of
from service_kit.http.rates import Rate
from service_kit.http.reasons import language_of
from service_kit.http.turns import Turn, current_turn
from service_kit.settings import Settings
from service_kit.slots import Slots

MAX_TARGET_BYTES: Final = 8 * 1024
"""Of path and query. RFC 9110, section 4.1, asks for 8,000 at least."""
MAX_HEADERS_BYTES: Final = 16 * 1024
EXPOSED: Final = (
    *(
        "Accept-Encoding",
        "Accept-Ranges",
        "Allow",
        "Content-Disposition",
        "Content-Language",
        "Content-Range",
    ),
    *("ETag", "Idempotent-Replayed", "Link", "Location", "Preference-Applied", "RateLimit"),
    *("RateLimit-Policy", "Retry-After", "Vary", "WWW-Authenticate", "X-Command-Id", "X-Read-From"),
    "X-Stream-Position",
)
"""What scripts of another origin may read, if they may ask at all."""

_REFUSED: Final = Counter("rollcall_http_over_quota_total", "Requests refused for their number", ["policy"])
_CHARGE: Final = "rollcall.charge"
SUBJECT: Final = "rollcall.subject"
"""Where a request has whom its token names, once that is known."""
_HEAD: Final = "rollcall.head"
_OPERATIONS: Final = frozenset({"/healthz", "/readyz", "/metrics"})
POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""What a browser may load, follow and send from an answer, and where it may show it: nothing, nowhere."""
ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY.encode()),
)
"""On every answer that has none of its own."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an API, and who else's pages may use it.

    Attributes:
        rates: By policy: `address` counts every request, `subject` those with a good token.
        origins: Origins whose scripts may read answers; none by default.
        turns: How many requests with a good token are worked on at once; any number by default.
    """

    rates: Mapping[str, Rate]
    origins: tuple[str, ...] = ()
    turns: Slots | None = None

    @classmethod
    def of(cls, settings: Settings, turns: Slots | None = None) -> "Limits":
        """Return the limits that the settings describe; `turns` as above."""
        quotas = {"address": settings.rate_address, "subject": settings.rate_subject}
        rates = {policy: Rate(quota) for policy, quota in quotas.items() if quota is not None}
        return cls(rates, settings.cors_origins, turns)


class Charge:
    """What a request costs its sender, and how that is told.

    Args:
        rates: By policy.
    """

    __slots__ = ("_rates", "_told")

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        self._rates = rates
        self._told: dict[str, tuple[str, str]] = {}

    def take(self, policy: str, key: str) -> None:
        """Count the request, once for each policy.

        Raises:
            TooManyRequests: The key has no quota left.
        """
        rate = self._rates.get(policy)
        if rate is None or policy in self._told:
            return
        standing = rate.take(key, time.monotonic())
        quota = rate.quota
        self._told[policy] = (
            f'"{policy}";q={quota.requests};w={quota.seconds}',
            f'"{policy}";r={standing.remaining};t={standing.seconds}',
        )
        if not standing.allowed:
            _REFUSED.labels(policy).inc()
            raise TooManyRequests(
                f"more than {quota.requests} requests in {quota.seconds} s",
                policy=policy,
                retry_after=standing.seconds,
            )

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return what the answer tells of the rates that it was counted by."""
        if not self._told:
            return []
        policies, standings = (
            ", ".join(texts).encode("latin-1") for texts in zip(*self._told.values(), strict=True)
        )
        return [(b"ratelimit-policy", policies), (b"ratelimit", standings)]


def charge_subject(scope: Scope, subject: str) -> None:
    """Say whom a request's token names, and count it by that.

    Args:
        scope: The request's.
        subject: Claim `sub` of a token that is good.

    Raises:
        TooManyRequests: The subject has no quota left.
    """
    scope[SUBJECT] = subject
    charge: Charge | None = scope.get(_CHARGE)
    if charge is not None:
        charge.take("subject", subject)


class Guard:
    """Refuses what is too much or too long before any of it is looked at, and completes every answer.

    Args:
        app: The application, its answers to unknown errors included.
        limits: The limits.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._rates = limits.rates
        self._turns = limits.turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on (ASGI), or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        charge, turn = Charge(self._rates), Turn(self._turns)
        if scope["method"] == "HEAD" or scope["path"].endswith("/") or has_escaped_slash(scope):
            scope = _as_routed(scope)
        path = scope["path"].removeprefix(PREFIX)

        async def completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                given = {name for name, _ in headers}
                headers += [field for field in ALWAYS if field[0] not in given]
                headers += charge.headers()
                turn.end()
            await send(message)

        try:
            if path not in _OPERATIONS:
                client = scope.get("client")
                charge.take("address", _sender(client[0] if client else None))
            _check_head(scope)
            if scope["method"] == "OPTIONS":
                await _options(scope["path"])(scope, receive, completed)
                return
        except RollcallError as exc:
            language = language_of(Headers(scope=scope).get("accept-language"))
            await problem_of(exc, language)(scope, receive, completed)
            return
        scope[_CHARGE] = charge
        current_turn.set(turn)
        try:
            await self._app(scope, receive, completed)
        finally:
            turn.end()


_sender = lru_cache(maxsize=4096)(address_key)


def is_head(scope: Scope) -> bool:
    """Return whether only the answer's head is wanted: then nothing is opened that its body would take."""
    return _HEAD in scope


def _as_routed(scope: Scope) -> Scope:
    """Return a request as its route knows it: HEAD is a GET; no slash at the end, or in a value, divides.

    The server leaves out the body of an answer to HEAD (RFC 9110, section 9.3.2).
    """
    path = routed_path(scope).rstrip("/") or "/"
    if scope["method"] == "HEAD":
        return {**scope, "path": path, "method": "GET", _HEAD: True}
    return {**scope, "path": path}


def _options(path: str) -> Response:
    """Return what is told of an address, to anybody (RFC 9110, section 9.3.7).

    Raises:
        NotFound: Neither API has it.
    """
    methods = methods_at(path)
    if not methods:
        raise NotFound("there is nothing at this address")
    return Response(status_code=204, headers={"Allow": ", ".join(methods)})


def target_too_long() -> TargetTooLong:
    """Return the error that an address of more than `MAX_TARGET_BYTES` is answered with."""
    return TargetTooLong(f"path and query are longer than {MAX_TARGET_BYTES} bytes")


def _check_head(scope: Scope) -> None:
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET_BYTES:
        raise target_too_long()
    # The colon, the space and the line's end count, too.
    if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > MAX_HEADERS_BYTES:
        raise HeadersTooLarge(f"the header fields are longer than {MAX_HEADERS_BYTES} bytes")


class _Sharing(CORSMiddleware):
    """Lets the pages of listed origins in; what a preflight may not do, it is told as any `OPTIONS` is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on (ASGI), or answer a preflight."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            asks = "origin" in headers and "access-control-request-method" in headers
            if not asks or self.preflight_response(headers).status_code != 200:
                await self.simple_response(scope, receive, send, request_headers=headers)
                return
        await super().__call__(scope, receive, send)


def guarded(app: ASGIApp, limits: Limits) -> ASGIApp:
    """Return an application behind its guard; scripts of other origins are told nothing, unless listed."""
    guard = Guard(app, limits)
    if not limits.origins:
        return guard
    return _Sharing(
        guard,
        allow_origins=limits.origins,
        allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=("*",),
        expose_headers=EXPOSED,
        max_age=600,
    )
