"""What every HTTP service of ours has: health, readiness, metrics, problems, request metrics."""

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from uuid import UUID

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from events.errors import InvalidFields
from service_kit.auth.tokens import Caller, TokenVerifier
from service_kit.background import Background
from service_kit.http.answers import Liveness, Readiness
from service_kit.http.guard import Limits, charge_subject, guarded
from service_kit.http.openapi import TEXT, operation_id
from service_kit.http.pages import add_pages
from service_kit.http.problems import install_problem_handlers
from service_kit.http.readiness import Check, ReadinessChecks
from service_kit.http.turns import current_turn

REQUESTS: Final = Counter("rollcall_http_requests_total", "Requests answered", ["method", "route", "status"])
LATENCY: Final = Histogram(
    "rollcall_http_request_seconds",
    "Time to the answer",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30),
)


class RequestMetrics:
    """Counts and times each request by its route's template, never by its raw path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._counters: dict[tuple[str, str, int], Any] = {}
        self._timers: dict[tuple[str, str], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on (ASGI) and count it once it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        # The method is the client's word: only those that reached a route name a series.
        route = getattr(scope.get("route"), "path", None)
        method = scope["method"] if route else "any"
        key = (method, route or "none", status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = REQUESTS.labels(*map(str, key))
        counter.inc()
        timer = self._timers.get(key[:2])
        if timer is None:
            timer = self._timers[key[:2]] = LATENCY.labels(*key[:2])
        timer.observe(seconds)


class PlainRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response: nothing is left to convert.

    It is documented by what it is given, and spends a third less than a route that FastAPI calls
    with converted parameters.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request: the endpoint itself."""
        return self.endpoint


def path_id(request: Request, name: str) -> str:
    """Return the UUID in a request's path, in its usual form.

    Raises:
        InvalidFields: It is none.
    """
    try:
        return str(UUID(str(request.path_params[name])))
    except ValueError as exc:
        error = {"field": f"path.{name}", "reason": "must be a UUID"}
        raise InvalidFields("a parameter is not valid", [error]) from exc


async def authenticate(request: Request, verifier: TokenVerifier) -> Caller:
    """Return who asks, whatever they may do; arguments and errors as of `authorize`."""
    caller = await verifier.verify(request.headers.get("authorization"))
    charge_subject(request.scope, caller.subject)
    return caller


async def authorize(request: Request, verifier: TokenVerifier, scope: str, *others: str) -> Caller:
    """Return who asks.

    Args:
        request: It has a token.
        verifier: Checks tokens.
        scope: What the caller must be allowed to do.
        *others: Scopes that do as well.

    Raises:
        Unauthenticated: The token is not good.
        TooManyRequests: The caller has sent too many.
        Forbidden: The token lacks the scope.
        Busy: The caller asks for too much at once.
    """
    caller = await authenticate(request, verifier)
    caller.require(scope, *others)
    await current_turn.get().come(caller.subject)
    return caller


class _App(FastAPI):
    """An application of ours: nothing reaches it, and nothing leaves it, past its guard."""

    limits = Limits({})

    def build_middleware_stack(self) -> ASGIApp:
        """Return all that a request passes; the guard is outside of what answers unknown errors."""
        return guarded(super().build_middleware_stack(), self.limits)


def create_app(
    title: str,
    checks: Mapping[str, Check],
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
    measure: Callable[[], Awaitable[None]] | None = None,
    remarks: Mapping[str, Check] | None = None,
    limits: Limits | None = None,
    background: Background | None = None,
    recording: Callable[[ASGIApp], ASGIApp] | None = None,
    **options: Any,
) -> FastAPI:
    """Return an application with health, readiness, metrics and problem responses.

    Args:
        title: Name in the OpenAPI document.
        checks: What must be well for the service to be ready.
        lifespan: Opens and closes what the routes use.
        measure: Brings gauges up to date before each scrape; has a deadline of its own, and does not fail.
        remarks: What is told beside, and leaves the service ready when it is not well.
        limits: Rates and origins; by default no request is counted, and no origin is let in.
        background: What the process does beside; if that is at fault, whoever serves the application ends.
        recording: Puts an application behind what records who reads.
        **options: Passed on to FastAPI.
    """
    app = _App(
        title=title,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        **options,
    )
    if limits is not None:
        app.limits = limits
    app.state.background = background or Background()
    install_problem_handlers(app)
    if recording is not None:
        app.add_middleware(recording)
    app.add_middleware(RequestMetrics)
    add_pages(app)
    readiness = ReadinessChecks(checks, remarks or {})

    @app.get("/healthz", tags=["operations"], summary="The process lives")
    async def get_liveness() -> Liveness:
        return Liveness(status="alive")

    @app.get(
        "/readyz",
        tags=["operations"],
        summary="The service can do what it is for",
        responses={
            200: {"model": Readiness},
            503: {"model": Readiness, "description": "A part is not ready; `parts` tells which and why"},
        },
        description="`remarks` tells what is not well and leaves the service ready. At most a second old.",
    )
    async def get_readiness() -> Response:
        answer = await readiness.answer()
        return Response(orjson.dumps(answer), 200 if answer.ready else 503, media_type="application/json")

    @app.get(
        "/metrics",
        tags=["operations"],
        summary="Prometheus metrics",
        responses={200: {"content": {"text/plain": {"schema": TEXT}}}},
    )
    async def get_metrics() -> Response:
        if measure is not None:
            await measure()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app
