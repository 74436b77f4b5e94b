"""Handles one event: drops it if it came before, tries it again if it fails, then gives it up."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
import structlog

from events.errors import NewerSchema, UnknownSchema
from events.log.event import EVENT_SCHEMA
from events.log.upcasting import lift
from service_kit.logs import class_and_place
from service_kit.retries import backoff

Event = dict[str, Any]
"""A CloudEvent as announced: `id`, `type`, `subject` (the person), `version`, `time`, `actor`, `data` …"""
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
    """

    def __init__(self, handle: Handler, attempts: int = ATTEMPTS) -> None:
        self._handle = handle
        self._attempts = attempts
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def take(self, body: bytes) -> str | None:
        """Handle a message.

        Args:
            body: As it came.

        Returns:
            Why it was given up; None if it was not.
        """
        try:
            event = in_newest_form(orjson.loads(body))
            event_id = str(event["id"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
            return f"no event: {type(exc).__name__}"
        except (NewerSchema, UnknownSchema) as exc:
            return exc.detail
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
