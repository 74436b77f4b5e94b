"""Asks the query API to open sealed events, with the subscriber's own rights, for as long as it must."""

import asyncio
import http.client
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import structlog

from service_kit.retries import backoff

Event = dict[str, Any]
"""A CloudEvent as announced: `id`, `type`, `subject` (the person), `version`, `time`, `actor`, `data` …

One that was opened has the sealed values in `data`, too; of an erased person it has `erased` instead.
"""
URL_SETTING: Final = "ROLLCALL_QUERY_URL"
TOKEN_SETTING: Final = "ROLLCALL_SUBSCRIBER_TOKEN_FILE"  # noqa: S105 - a name
MOST_EVENTS: Final = 100
MOST_BYTES: Final = 256 * 1024
"""Of a request, unless a single event has more: half of what the query API takes."""
_SECONDS: Final = 15.0
_LONGEST_ANSWER: Final = 4 * 1024 * 1024
_NOT_TAKEN: Final = frozenset({400, 413, 422})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What stands for an event that cannot be handed on.

    Attributes:
        reason: Why; without a value of it.
    """

    reason: str


class _NotOpened(Exception):
    """The events were not opened.

    Args:
        reason: Why; names no value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Away(_NotOpened):
    """They may be later."""


class _NotTaken(_NotOpened):
    """The query API does not take the request, now or later."""


class EventOpener:
    """Opens events for a subscriber.

    Args:
        query_url: Where the query API answers.
        token_file: Holds an access token with `events:read`, or `audit:read`. It is read for each request, so
            that a token may be renewed by replacing the file.
    """

    def __init__(self, query_url: str, token_file: str | Path) -> None:
        self._place = urlsplit(query_url)
        if self._place.scheme not in ("http", "https") or not self._place.hostname:
            raise ValueError("the query API's address must begin with http:// or https://")
        self._token_file = Path(token_file)

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> "EventOpener | None":
        """Return what the environment's variables describe; None if no token is named: events stay closed.

        Raises:
            ValueError: The query API's address is missing, or is none.
        """
        token_file = environ.get(TOKEN_SETTING)
        return cls(environ.get(URL_SETTING, ""), token_file) if token_file else None

    async def opened(self, events: Sequence[Event]) -> list[Event | GivenUp]:
        """Return sealed events opened, as far as the token's scopes go, in their order.

        While the query API is away, or does not take the token, this waits and asks again.
        """
        done: list[Event | GivenUp] = []
        for some in _portions(events):
            done += await self._insist(some)
        return done

    async def _insist(self, events: Sequence[Event]) -> list[Event | GivenUp]:
        attempt = 0
        while True:
            try:
                items = await asyncio.to_thread(self._ask, events)
            except _Away as exc:
                attempt += 1
                log.warning("events wait to be opened", reason=exc.reason, attempt=attempt)
                await asyncio.sleep(backoff(attempt))
            except _NotTaken as exc:
                if len(events) == 1:
                    return [GivenUp(f"cannot be opened: {exc.reason}")]
                # One of them is at fault: the others are not to suffer for it.
                return [one for event in events for one in await self._insist([event])]
            else:
                return list(map(_judged, items))

    def _ask(self, events: Sequence[Event]) -> list[Event]:
        kind = http.client.HTTPSConnection if self._place.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._place.hostname or "", self._place.port, timeout=_SECONDS)
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            target = f"{self._place.path.rstrip('/')}/events/open"
            connection.request("POST", target, orjson.dumps({"events": list(events)}), headers)
            response = connection.getresponse()
            body = response.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise _Away(type(exc).__name__) from None  # what it says may quote a token
        finally:
            connection.close()
        if response.status in _NOT_TAKEN:
            raise _NotTaken(f"the query API answers {response.status}")
        if response.status != http.client.OK:
            raise _Away(f"the query API answers {response.status}")
        return _items(body, [event["id"] for event in events])


def _portions(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield the events of each request."""
    some: list[Event] = []
    size = 0
    for event in events:
        length = len(orjson.dumps(event))
        if some and (len(some) >= MOST_EVENTS or size + length > MOST_BYTES):
            yield some
            some, size = [], 0
        some.append(event)
        size += length
    if some:
        yield some


def _items(body: bytes, ids: Sequence[str]) -> list[Event]:
    try:
        items: list[Event] = orjson.loads(body)["items"]
        if [item["id"] for item in items] == ids:
            return items
    except (orjson.JSONDecodeError, KeyError, TypeError):
        pass
    raise _Away("this is no answer of the query API")


def _judged(item: Event) -> Event | GivenUp:
    """Return an event as it is handed on; a damaged one is named instead."""
    if not item.get("damaged"):
        return item
    log.error("an event is damaged", event_id=item["id"], person_id=item["subject"])
    return GivenUp(f"damaged: event {item['id']} of {item['subject']}")
