"""Handles events one by one: drops what came before, tries again what fails, then gives it up."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import orjson
import structlog

from events.errors import NewerSchema, UnknownSchema
from events.log.event import EVENT_SCHEMA
from events.log.upcasting import lift
from service_kit.logs import class_and_place
from service_kit.retries import backoff
from subscriber.opening import Event, EventOpener, GivenUp

Handler = Callable[[Event], Awaitable[None]]
"""Returns when it has done with an event, raises to get it again. After a crash an event may come twice."""
ATTEMPTS: Final = 5
REMEMBERED: Final = 10_000
"""Repeats come soon after each other: a worker that crashed announces its last batch again."""

log = structlog.get_logger()


def in_newest_form(event: Event) -> Event:
    """Return an event with its data in the newest schema's form, whichever it was written in.

    Its `hash` is that of the event as it was written.

    Raises:
        NewerSchema: This code is too old to know what it means.
        UnknownSchema: It has a schema that there has never been.
    """
    data = lift(event["type"], event["schemaversion"], event["data"])
    return {**event, "schemaversion": EVENT_SCHEMA, "data": data}


class Handling:
    """Gives events to a handler, each until it succeeds, and in order.

    Args:
        handle: The subscriber's own code.
        attempts: How often an event is tried.
        opener: Opens what is sealed; without one, events have what is in the clear.
    """

    def __init__(self, handle: Handler, attempts: int = ATTEMPTS, opener: EventOpener | None = None) -> None:
        self._handle = handle
        self._attempts = attempts
        self._opener = opener
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def read(self, bodies: Sequence[bytes]) -> list[Event | GivenUp]:
        """Return the events in messages, opened, in the newest form.

        Args:
            bodies: As they came.
        """
        events = list(map(_event_in, bodies))
        if self._opener is not None:
            sealed = [number for number, event in enumerate(events) if self._is_to_be_opened(event)]
            asked: list[Event] = [event for number in sealed if isinstance(event := events[number], dict)]
            for number, opened in zip(sealed, await self._opener.opened(asked), strict=True):
                events[number] = opened
        return [event if isinstance(event, GivenUp) else _lifted(event) for event in events]

    def _is_to_be_opened(self, event: Event | GivenUp) -> bool:
        return isinstance(event, dict) and "sealed" in event and str(event["id"]) not in self._seen

    async def take(self, event: Event | GivenUp) -> str | None:
        """Handle an event.

        Args:
            event: As of `read`.

        Returns:
            Why it was given up; None if it was not.
        """
        if isinstance(event, GivenUp):
            return event.reason
        event_id = str(event["id"])
        if event_id in self._seen:
            return None
        reason = await self._insist(event)
        if reason is not None:
            return reason  # it may be handed in again
        self._seen[event_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return None

    async def _insist(self, event: Event) -> str | None:
        attempt = 1
        while True:
            try:
                await self._handle(event)
            except Exception as exc:  # noqa: BLE001 - it is not our code, and whatever it raises is a failure
                reason = class_and_place(exc)  # what it says may quote the event
                log.warning("event not handled", id=event["id"], attempt=attempt, reason=reason)
            else:
                return None
            if attempt >= self._attempts:
                return reason
            await asyncio.sleep(backoff(attempt))
            attempt += 1


def _event_in(body: bytes) -> Event | GivenUp:
    try:
        event: Event = orjson.loads(body)
        return event if event["id"] else GivenUp("no event: it has no id")
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        return GivenUp(f"no event: {type(exc).__name__}")


def _lifted(event: Event) -> Event | GivenUp:
    try:
        return in_newest_form(event)
    except (KeyError, TypeError) as exc:
        return GivenUp(f"no event: {type(exc).__name__}")
    except (NewerSchema, UnknownSchema) as exc:
        return GivenUp(exc.detail)
