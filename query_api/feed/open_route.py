"""`POST /events/open`: lays open what is sealed in events that a subscriber has from the broker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from events.log.event import announced_hash
from events.person.schema.declarations import PersonSchema, Value
from query_api.feed.live_client import FindPeople
from query_api.feed.opening import opened_event
from query_api.feed.tickets import SCOPE
from query_api.feed.withholding import HiddenFields, compared_with, without_former
from query_api.reading.opening import Keys
from service_kit.access.recording import note_people
from service_kit.auth.roles import AUDIT_SCOPE
from service_kit.auth.tokens import Caller, TokenVerifier
from service_kit.http.bodies import read_body
from service_kit.http.openapi import json_answer, json_body, problems, schemas_of
from service_kit.http.typed import EACH_ONCE, wants
from service_kit.pieces import PIECE, next_piece
from service_kit.seals.opening import Key

MAX_EVENTS: Final = 100
MAX_BYTES: Final = 512 * 1024
"""Of a request's body: a command has 64 KB at most, and an event of it less than three times as many."""
_JSON: Final = "application/json"


class SealedEvent(BaseModel):
    """A CloudEvent as the broker has it, with every attribute: see `/asyncapi.json`."""

    model_config = ConfigDict(extra="allow", strict=True)

    id: str
    type: str
    subject: str
    version: int
    sealedfields: list[str]
    sealed: str
    hash: str
    data: dict[str, Value | None]


class SealedEvents(BaseModel):
    """Events of any people."""

    model_config = ConfigDict(extra="forbid")

    events: list[SealedEvent] = Field(min_length=1, max_length=MAX_EVENTS)


class OpenedEvent(BaseModel):
    """The event with its other attributes, without what is sealed."""

    id: str
    subject: str
    data: dict[str, Value | None] = Field(description="With the sealed values that the caller may see")
    erased: bool = Field(default=False, description="Nobody can open it any more")
    damaged: bool = Field(default=False, description="It is not the event that was announced")


class OpenedEvents(BaseModel):
    """The same events in the same order, with what the caller may see of them."""

    items: list[OpenedEvent]


FORMS: Final = schemas_of(SealedEvents)


@dataclass(frozen=True, slots=True)
class EventOpening:
    """Opens events for callers.

    Attributes:
        keys: Has what the events open with.
        find_people: Tells what is still so, to those who may not read histories.
        schema: What a person is, and which fields want a scope.
    """

    keys: Keys
    find_people: FindPeople
    schema: PersonSchema

    async def opened(self, events: Sequence[Mapping[str, Any]], caller: Caller) -> list[bytes]:
        """Return events as a caller may see them, each as JSON.

        Nothing but what was announced is opened: the seal proves the hash, and the hash all that says what
        the values are. So who tells of another version, say, is not shown a former value for it.

        Args:
            events: As they were announced, or so the caller says.
            caller: Who asks.

        Raises:
            StoreUnavailable: The keys, or the people, are not to be had.
        """
        audited, hidden = AUDIT_SCOPE in caller.scopes, self.schema.hidden(caller.scopes)
        people = {event["subject"] for event in events if _is_announced(event)}
        keys = await self.keys.load(people) if people else {}
        newest = {} if audited or not people else await self.find_people(people)
        bodies = []
        for number, event in enumerate(events, 1):
            if not number % PIECE:
                await next_piece()
            if not _is_announced(event):
                bodies.append(_damaged(event))
                continue
            body = orjson.dumps(_opened(event, keys[event["subject"]]))
            if not audited:
                is_former = compared_with(newest.get(event["subject"]), event["version"])
                body, _ = without_former(body, is_former)
            bodies.append(HiddenFields(hidden, self.schema).taken_out_of(body) if hidden else body)
        return bodies


def _is_announced(event: Mapping[str, Any]) -> bool:
    """Return whether an event has the hash of what it says."""
    try:
        orjson.dumps(event)  # what it cannot write cannot be answered either
        return bool(announced_hash(event) == event["hash"])
    except (TypeError, ValueError, RecursionError):
        return False


def _opened(event: Mapping[str, Any], key: Key) -> dict[str, Any]:
    content = opened_event(dict(event), key)
    return {**content, "data": {}} if "damaged" in content else content


def _damaged(event: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"id": event["id"], "subject": event["subject"], "data": {}, "damaged": True})


def add_open_route(app: FastAPI, verifier: TokenVerifier, opening: EventOpening) -> None:
    """Add the route that opens events."""
    app.router.route_class = APIRoute
    reader = wants(verifier, SCOPE, AUDIT_SCOPE)

    async def asked(request: Request, _: Annotated[Caller, reader]) -> SealedEvents:
        return await read_body(request, SealedEvents, (_JSON,), most=MAX_BYTES)

    @app.post(
        "/events/open",
        tags=["events"],
        summary="Open sealed events",
        dependencies=[reader, EACH_ONCE],
        responses={
            200: json_answer("The events, opened", OpenedEvents, "opened_events"),
            **problems(400, 401, 403, 413, 415, 422, 503),
        },
        openapi_extra={"requestBody": json_body(SealedEvents)},
    )
    async def open_events(
        request: Request,
        caller: Annotated[Caller, reader],
        body: Annotated[SealedEvents, Depends(asked)],
    ) -> Response:
        """Scope `events:read` or `audit:read`. For who has events from the broker, where they are sealed: 100
        at most, in 512 KB.

        With `events:read` alone they have what is still so, as in `GET /events/stream`: no value that was
        changed since, none of a deleted or an erased person, and nothing of where an editor was. Fields that
        want a scope are shown to those who have it.
        """
        items = await opening.opened([event.model_dump() for event in body.events], caller)
        note_people(request.scope, list(dict.fromkeys(event.subject for event in body.events)))
        return Response(b'{"items":[%b]}' % b",".join(items), 200, media_type=_JSON)
