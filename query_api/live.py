"""Owns `GET /events/stream`: what a client asks for, whether it can be had, and the response that goes on."""

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from prometheus_client import Counter, Gauge
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.types import Receive, Scope, Send

from events.errors import InvalidFields, PositionGone, Unavailable
from events.facts import EventType
from events.position import PATTERN, Position
from query_api.feed import Feed
from query_api.follower import HEARTBEAT_SECONDS, Follower
from query_api.replays import FIRST, Replays
from query_api.tail import Tail
from service_kit.openapi import TEXT, header, problems
from service_kit.parameters import parameters
from service_kit.problems import field_errors
from service_kit.tokens import TokenVerifier
from service_kit.web import authorize

MAX_CLIENTS: Final = 2000
SEND_SECONDS: Final = 20.0
"""A client that takes nothing for so long is gone, or as good as that."""
CATCH_UP_SECONDS: Final = 2.0
"""How far this process may be behind another one from which a client brings its position."""
EXAMPLE: Final = "1234-0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09"
_AHEAD: Final = "the stream of events ends before this position: it was cut, or is another one"

CLIENTS: Final = Gauge("rollcall_live_clients", "Clients that follow the stream of events")
SLOW: Final = Counter("rollcall_live_clients_cut_total", "Clients that were cut off since they took nothing")

log = structlog.get_logger()


def _types(value: object) -> object:
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


class LiveQuery(BaseModel):
    """Parameters of the live feed."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: str = Field(
        default="now",
        alias="from",
        pattern=rf"^(now|first|{PATTERN})$",
        description="`now`, `first` (all that the stream has), or a position: what comes after it. An offset "
        "alone is read too, without the promise that it still means the same event",
    )
    type: Annotated[frozenset[EventType], BeforeValidator(_types)] = Field(
        default=frozenset(), description="Only these; several times, or with commas between"
    )
    person_id: UUID | None = Field(default=None, description="Only events about this person")


def live_query(request: Request) -> tuple[LiveQuery, Position | None]:
    """Return the parameters, and the position; None for now. `Last-Event-ID` wins over `from`.

    Raises:
        InvalidFields: One is not valid.
    """
    values: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in values and name != "type":
            raise InvalidFields("a parameter is given twice")
        values[name] = f"{values[name]},{value}" if name in values else value
    if last := request.headers.get("last-event-id"):
        values["from"] = last
    try:
        query = LiveQuery.model_validate(values)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidFields("a parameter is not valid", field_errors(errors)) from exc
    place = query.from_
    return query, {"now": None, "first": FIRST}[place] if place in ("now", "first") else Position.parse(place)


STREAM: Final[dict[str, Any]] = {
    "response_class": Response,  # of no media type that FastAPI would list beside ours
    "summary": "Follow the events, live",
    "description": "Scope `events:read`. Server-sent events: `id` is the position (the offset in the "
    "stream, a hyphen, the event's id), `event` the type, `data` the CloudEvent. A comment breaks 15 s of "
    "silence. `event: cut` ends a response: come again. 410: the stream does not have the position's event "
    "at its place; `next` is where the log has the events since then.",
    "responses": {
        200: {"description": "Events, without end", "content": {"text/event-stream": {"schema": TEXT}}},
        **problems(401, 403, 410, 422, 503),
    },
    "openapi_extra": {
        "parameters": [
            *parameters(LiveQuery),
            header("Last-Event-ID", "The position that the client has; wins over `from`.", EXAMPLE),
        ]
    },
}


@dataclass(frozen=True, slots=True)
class LiveDesk:
    """What the route needs, given by the composition root.

    Attributes:
        feed: The newest events.
        tail: Fills the feed.
        replays: Older events.
        verifier: Checks tokens.
        heartbeat: Seconds of silence after which a client is told its position.
    """

    feed: Feed
    tail: Tail
    replays: Replays
    verifier: TokenVerifier
    heartbeat: float = HEARTBEAT_SECONDS

    async def follow(self, request: Request) -> Follower:
        """Return the follower that a request asks for; whoever gets it closes it.

        Raises:
            RollcallError: No token, no scope, not valid, gone, or not available now.
        """
        caller = await authorize(request, self.verifier, "events:read")
        query, position = live_query(request)
        if self.feed.closed or self.feed.clients >= MAX_CLIENTS:
            raise Unavailable("too many clients follow here, or this process ends", retry_after=2)
        await self.tail.connection()
        follower = Follower(
            self.feed,
            await self._place(position),
            types=frozenset(query.type),
            person_id=None if query.person_id is None else str(query.person_id),
            expires_at=caller.expires_at,
            heartbeat=self.heartbeat,
        )
        try:
            await follower.open(self.replays)
        except BaseException:
            await follower.close()
            raise
        return follower

    async def _place(self, position: Position | None) -> Position:
        """Return the position to follow from.

        Raises:
            PositionGone: It lies beyond the stream's end.
            Unavailable: Where that is, is not known now.
        """
        deadline = asyncio.get_running_loop().time() + CATCH_UP_SECONDS
        happened = asyncio.Event()
        self.feed.register(happened)
        try:
            while True:
                happened.clear()
                reached = self.feed.newest or Position((self.feed.next or 0) - 1)
                if self.feed.next is not None and (position is None or position.offset <= reached.offset):
                    return position or reached
                async with asyncio.timeout_at(deadline):
                    await happened.wait()
        except TimeoutError:
            if position is None or self.feed.next is None:
                raise Unavailable("the end of the stream of events is not known") from None
        finally:
            self.feed.remove(happened)
        # This process may be behind, or the broker silent: gone is only what the stream shows to be so.
        if await self.tail.ends_before(position.offset):
            raise PositionGone(_AHEAD, position)
        raise Unavailable("the stream of events is not read up to this position yet", retry_after=1)


class LiveResponse(StreamingResponse):
    """Sends what a follower yields, for as long as the client takes it.

    Args:
        follower: Closed at the end.
    """

    def __init__(self, follower: Follower) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        self._chunks = follower.chunks()
        super().__init__(self._chunks, 200, headers, "text/event-stream")
        self._follower = follower

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer (ASGI)."""
        watching = asyncio.create_task(self._watch(receive))
        CLIENTS.inc()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await self._send(send, {"body": chunk, "more_body": True})
            await self._send(send, {"body": b"", "more_body": False})
        except TimeoutError:
            SLOW.inc()
            log.info("live client cut off", reason="takes nothing")
        finally:
            CLIENTS.dec()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._follower.close()

    async def _send(self, send: Send, message: dict[str, Any]) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.body", **message})

    async def _watch(self, receive: Receive) -> None:
        try:
            with suppress(OSError):
                while (await receive())["type"] != "http.disconnect":
                    pass
        finally:
            self._follower.leave()


def add_live_route(app: FastAPI, desk: LiveDesk) -> None:
    """Add the live feed."""

    @app.get("/events/stream", tags=["events"], **STREAM)
    async def stream(request: Request) -> Response:
        return LiveResponse(await desk.follow(request))
