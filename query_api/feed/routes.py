"""`GET /events/stream`: what a client asks for, and whether it can be had."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from events.errors import InvalidFields, Unavailable
from events.feed.errors import PositionGone
from events.feed.position import PATTERN, Position
from events.log.event import EventType
from events.person.schema.declarations import PersonSchema
from query_api.feed.buffer import FeedBuffer
from query_api.feed.live_client import HEARTBEAT_SECONDS, FindPeople, LiveClient
from query_api.feed.live_response import HEADERS, MEDIA_TYPE, LiveResponse
from query_api.feed.reader import FeedReader
from query_api.feed.replays import FIRST, Replays
from query_api.feed.ticket_route import add_ticket_route
from query_api.feed.tickets import MAX_TICKET, SCOPE, StreamTickets
from query_api.feed.withholding import HiddenFields
from service_kit.access.recording import note_people
from service_kit.auth.roles import AUDIT_SCOPE
from service_kit.auth.tokens import Caller, TokenVerifier
from service_kit.http.guard import charge_subject, is_head
from service_kit.http.openapi import TEXT, problems
from service_kit.http.turns import step_aside
from service_kit.http.typed import each_once
from service_kit.http.web import authorize
from service_kit.slots import Slots

RETRY_SECONDS: Final = 5
"""When to try again where too many clients follow."""
CATCH_UP_SECONDS: Final = 2.0
"""How far this process may be behind another one from which a client brings its position."""
EXAMPLE: Final = "1234-0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09"
_WORDS: Final[Mapping[str, Position | None]] = {"now": None, "first": FIRST}
_AHEAD: Final = "the stream of events ends before this position: it was cut, or is another one"


def _types(values: Iterable[str]) -> list[str]:
    return [part for value in values for part in value.split(",") if part]


def _beginning(text: str) -> str:
    """Return where to follow from, as it was written.

    Raises:
        ValueError: It is neither a word for that nor a position.
    """
    if text not in _WORDS:
        Position.parse(text)
    return text


class LiveQuery(BaseModel):
    """Parameters of the live feed."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: Annotated[str, AfterValidator(_beginning)] = Field(
        default="now",
        alias="from",
        json_schema_extra={"pattern": rf"^(now|first|{PATTERN})$"},
        description="`now`, `first` (all that the stream has), or a position: what comes after it. An offset "
        "alone is read too, without the promise that it still means the same event",
    )
    type: Annotated[frozenset[EventType], BeforeValidator(_types)] = Field(
        default=frozenset(), description="Only these; several times, or with commas between"
    )
    person_id: UUID | None = Field(default=None, description="Only events about this person")
    ticket: str | None = Field(
        default=None,
        max_length=MAX_TICKET,
        description="In place of a token: see `POST /events/stream/tickets`",
    )


def position_of(query: LiveQuery, last_event_id: str | None) -> Position | None:
    """Return the position to follow from; None for now. `Last-Event-ID` wins over `from`.

    Raises:
        InvalidFields: The header is no position.
    """
    place = last_event_id or query.from_
    if place in _WORDS:
        return _WORDS[place]
    try:
        return Position.parse(place)
    except ValueError as exc:
        error = {"field": "Last-Event-ID", "reason": str(exc)}
        raise InvalidFields("a header is not valid", [error]) from exc


@dataclass(frozen=True, slots=True)
class LiveDependencies:
    """What the route needs, given by the composition root.

    Attributes:
        feed: The newest events.
        reader: Fills the feed.
        replays: Older events.
        verifier: Checks tokens.
        tickets: Lets in who has no token, once.
        slots: How many may follow, in all and of one subject.
        find_people: Tells of older events what is still so, to those who may not read histories.
        schema: What a person is, and which fields want a scope.
        heartbeat: Seconds of silence after which a client is told its position.
    """

    feed: FeedBuffer
    reader: FeedReader
    replays: Replays
    verifier: TokenVerifier
    tickets: StreamTickets
    slots: Slots
    find_people: FindPeople
    schema: PersonSchema
    heartbeat: float = HEARTBEAT_SECONDS

    async def follower(self, request: Request) -> Caller:
        """Return who follows: by a token, else by a ticket, which is still to be spent.

        Raises:
            RollcallError: Neither is good, or there are too many requests.
        """
        ticket = _ticket(request)
        if ticket is None:
            return await authorize(request, self.verifier, SCOPE)
        caller = self.tickets.read(ticket)
        charge_subject(request.scope, caller.subject)
        return caller

    async def follow(self, caller: Caller, query: LiveQuery, position: Position | None) -> LiveClient:
        """Return what sends a client the events that it asks for; whoever gets it closes it.

        Args:
            caller: Who follows, as long as its token is good.
            query: Which events.
            position: After what; None for now.

        Raises:
            RollcallError: Gone, or not available now.
        """
        if self.feed.closed:
            raise Unavailable("this process ends")
        await self.reader.connection()
        client = LiveClient(
            self.feed,
            await self._place(position, caller.subject),
            types=frozenset(query.type),
            person_id=None if query.person_id is None else str(query.person_id),
            subject=caller.subject,
            expires_at=caller.expires_at,
            heartbeat=self.heartbeat,
            is_good=partial(self.verifier.is_known, caller.key_id),
            hidden=HiddenFields(hidden, self.schema)
            if (hidden := self.schema.hidden(caller.scopes))
            else None,
            find_people=None if AUDIT_SCOPE in caller.scopes else self.find_people,
        )
        try:
            await client.open(self.replays)
        except BaseException:
            await client.close()
            raise
        return client

    async def _place(self, position: Position | None, subject: str) -> Position:
        """Return the position to follow from.

        Args:
            position: That is asked for; None for now.
            subject: Who asks.

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
        if await self.reader.ends_before(position.offset, subject):
            raise PositionGone(_AHEAD, position)
        raise Unavailable("the stream of events is not read up to this position yet", retry_after=1)


def _ticket(request: Request) -> str | None:
    """Return the ticket that a request comes with in place of a token."""
    return None if "authorization" in request.headers else request.query_params.get("ticket")


def add_live_route(app: FastAPI, dependencies: LiveDependencies) -> None:
    """Add the live feed, and the tickets for those who can send no token."""
    app.router.route_class = APIRoute
    reader = Depends(dependencies.follower)
    add_ticket_route(app, dependencies.verifier, dependencies.tickets)

    @app.get(
        "/events/stream",
        tags=["events"],
        summary="Follow the events, live",
        dependencies=[reader, each_once("type")],
        response_class=Response,  # of no media type that FastAPI would list beside ours
        responses={
            200: {"description": "Events, without end", "content": {MEDIA_TYPE: {"schema": TEXT}}},
            **problems(401, 403, 410, 422, 503),
        },
    )
    async def follow_events(
        request: Request,
        caller: Annotated[Caller, reader],
        query: Annotated[LiveQuery, Query()],
        last_event_id: Annotated[
            str | None,
            Header(
                alias="Last-Event-ID",
                description="The position that the client has; wins over `from`.",
                examples=[EXAMPLE],
            ),
        ] = None,
    ) -> Response:
        """Scope `events:read`. Server-sent events: `id` is the position (the offset in the stream, a hyphen,
        the event's id), `event` the type, `data` the CloudEvent. A comment breaks 15 s of silence.

        Without `audit:read`, its `data` lacks what is not so any more: values that were changed since, and
        all values of a deleted person. `sourceaddress`, `useragent`, `hash` and `prevhash` are absent.

        `event: cut` ends a response: come again. 410: the stream does not have the position's event at its
        place; `next` is where the log has the events since then.
        """
        position = position_of(query, last_event_id)
        if query.person_id is not None:
            note_people(request.scope, (str(query.person_id),))
        if is_head(request.scope):
            return StreamingResponse(iter(()), headers=HEADERS, media_type=MEDIA_TYPE)
        with ExitStack() as held:
            held.enter_context(dependencies.slots.taken(caller.subject))
            step_aside()
            if (ticket := _ticket(request)) is not None:
                await dependencies.tickets.spend(ticket)
            client = await dependencies.follow(caller, query, position)
            return LiveResponse(client, held.pop_all())
