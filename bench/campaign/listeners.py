"""Subscribers of every sort, each of which notes the events that it has had."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bench.campaign.asking import Where
from events.feed.errors import PositionGone
from subscriber import Event, SavedPosition, follow, subscribe

NAME = "campaign"
_SILENCE_SECONDS = 40.0
_MARGIN = timedelta(minutes=5)


class Had:
    """What one subscriber has had.

    Attributes:
        name: Whose.
        ids: Of the events.
        gone: How often it was told that its position is gone.
        fetched: How many events it then took from the log.
        late: Events that came after a newer one of their person, when they came for the first time.
        faults: What else its own code met, by kind.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.ids: set[str] = set()
        self.gone = self.fetched = 0
        self.late: list[str] = []
        self.faults: deque[str] = deque(maxlen=50)
        self.newest: str | None = None
        self._versions: dict[str, int] = {}

    async def take(self, event: Event) -> None:
        """Note an event as it was announced."""
        if event["id"] not in self.ids:
            person_id, version = event["subject"], event["version"]
            if version < self._versions.get(person_id, 0):
                self.late.append(f"{person_id} version {version} after {self._versions[person_id]}")
            self._note(event["id"], person_id, version, event["time"])

    def _note(self, event_id: str, person_id: str, version: int, time: str) -> None:
        self.ids.add(event_id)
        self._versions[person_id] = max(version, self._versions.get(person_id, 0))
        self.newest = max(time, self.newest or time)

    def take_line(self, line: str) -> None:
        """Note an event of the log's export."""
        event = json.loads(line)
        if event["event_id"] not in self.ids:
            self.fetched += 1
            self._note(event["event_id"], event["person_id"], event["version"], event["applied_at"])

    async def fetch(self, where: Where) -> None:
        """Take from the log what happened since the newest event that it has had, and a margin."""
        self.gone += 1
        where.diary.note(f"{self.name}: its position is gone")
        params = {"type": "person.*", "sort": "applied_at", "consistency": "strong"}
        if self.newest is not None:
            params["from"] = (datetime.fromisoformat(self.newest) - _MARGIN).isoformat()
        while not await self._fetched(where, params):  # noqa: ASYNC110 - it asks each time
            await asyncio.sleep(1)

    async def _fetched(self, where: Where, params: dict[str, str]) -> bool:
        headers = {"Accept": "application/x-ndjson"}
        try:
            async with (
                where.client(where.queries, 30) as client,
                client.stream("GET", "/events", params=params, headers=headers) as answer,
            ):
                if answer.status_code != 200:
                    await answer.aread()
                    # With MongoDB away that is the right answer: whoever follows the events asks again.
                    if answer.status_code != 503:
                        self.faults.append(f"the log: {answer.status_code} {answer.text[:200]}")
                    return False
                async for line in answer.aiter_lines():
                    self.take_line(line)
        except (httpx.TransportError, httpx.StreamError):
            return False
        return True


async def from_a_queue(where: Where, had: Had, url: str) -> None:
    """Have a queue of one's own, for ever."""
    await _for_ever(where, had, lambda: subscribe(url, NAME, had.take))


async def from_the_stream(where: Where, had: Had, url: str, saved: Path) -> None:
    """Follow the stream from where it had got to, for ever."""

    async def once() -> None:
        try:
            await follow(url, f"{NAME}.follow", had.take, SavedPosition(saved))
        except PositionGone:
            await had.fetch(where)
            saved.unlink(missing_ok=True)  # noqa: ASYNC240 - a small file

    await _for_ever(where, had, once)


async def _for_ever(where: Where, had: Had, once: Callable[[], Awaitable[None]]) -> None:
    """Begin again as a supervisor would, whatever the subscriber ends with."""
    while True:
        try:
            await once()
        except Exception as exc:  # noqa: BLE001 - the subscriber's own, told in the result
            had.faults.append(f"{type(exc).__name__}: {exc}"[:300])
            where.diary.note(f"{had.name} ended: {had.faults[-1]}")
        await asyncio.sleep(1)


async def over_http(where: Where, had: Had) -> None:
    """Follow the live feed as a browser does, for ever: resumed by the last id that it was given."""
    last: str | None = None
    async with where.client(where.queries, _SILENCE_SECONDS) as client:
        while True:
            headers = {} if last is None else {"Last-Event-ID": last}
            try:
                async with client.stream(
                    "GET", "/events/stream", params={"from": "first"}, headers=headers
                ) as answer:
                    if answer.status_code == 200:
                        last = await _listen(answer, had, last)
                    elif answer.status_code == 410:
                        await had.fetch(where)
                        last = None
                    elif answer.status_code != 503:
                        await answer.aread()
                        had.faults.append(f"{answer.status_code} {answer.text[:200]}")
            except Cut as cut:
                last = cut.last
            except (httpx.TransportError, httpx.StreamError):
                pass
            await asyncio.sleep(0.5)


class Cut(Exception):
    """A response broke off.

    Args:
        last: The last id that it gave.
    """

    def __init__(self, last: str | None) -> None:
        super().__init__(last)
        self.last = last


async def _listen(answer: httpx.Response, had: Had, last: str | None) -> str | None:
    """Take the events of a response to its end; return the last id that it gave."""
    fields: dict[str, str] = {}
    try:
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
                continue
            if "data" in fields and fields.get("event", "").startswith("person."):
                event: dict[str, Any] = json.loads(fields["data"])
                await had.take(event)
            last = fields.get("id", last)
            fields = {}
    except (httpx.TransportError, httpx.StreamError) as exc:
        raise Cut(last) from exc
    return last
