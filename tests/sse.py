"""A client of the live feed: events with their positions, as a browser's EventSource reads them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.system import PATIENCE

OPEN_SECONDS = 20.0
"""How long a query API may take to learn where the stream ends: of an empty one it does after 10 s."""


@dataclass(frozen=True)
class Event:
    """One block of an event stream.

    Attributes:
        position: Where it is, if the block says so.
        type: Its type; empty for a block without one.
        data: Its JSON, if it has data.
    """

    position: str | None
    type: str
    data: Any

    @property
    def id(self) -> int | None:
        """The position's offset."""
        return None if self.position is None else int(self.position.split("-")[0] or -1)


class Following:
    """An open response.

    Attributes:
        last: The last position that it named.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.last: str | None = None
        self._lines = response.aiter_lines()

    async def block(self, within: float = PATIENCE) -> Event:
        """Return the next block; raises EOFError at the response's end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(within):
            async for line in self._lines:
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    if "id" in fields:
                        self.last = fields["id"]
                    data = json.loads(fields["data"]) if "data" in fields else None
                    return Event(fields.get("id"), fields.get("event", ""), data)
        raise EOFError

    async def next(self, within: float = PATIENCE) -> Event:
        """Return the next event."""
        async with asyncio.timeout(within):
            while not (event := await self.block(within)).type:
                pass
        return event

    async def take(self, count: int, within: float = PATIENCE) -> list[Event]:
        """Return the next events."""
        async with asyncio.timeout(within):
            return [await self.next(within) for _ in range(count)]

    async def until(self, event_id: str, within: float = PATIENCE) -> list[Event]:
        """Return the events up to one."""
        events: list[Event] = []
        async with asyncio.timeout(within):
            while not events or events[-1].data["id"] != event_id:
                events.append(await self.next(within))
        return events


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, last: str | int | None = None, **params: Any
) -> AsyncIterator[Following]:
    """Follow the feed for as long as the block runs; a 503 is what it says: come again.

    Args:
        client: Of a query API.
        last: `Last-Event-ID`.
        **params: Of the request; `from_` for `from`.
    """
    if "from_" in params:
        params["from"] = params.pop("from_")
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    deadline = asyncio.get_running_loop().time() + OPEN_SECONDS
    while True:
        async with client.stream("GET", "/events/stream", params=params, headers=headers) as response:
            if response.status_code == 200:
                yield Following(response)
                return
            await response.aread()
            if response.status_code != 503 or asyncio.get_running_loop().time() > deadline:
                raise AssertionError(response.text)
        await asyncio.sleep(0.2)
