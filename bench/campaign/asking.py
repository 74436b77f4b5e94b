"""What clients ask with: where the APIs are, one request, and a change that may be asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.campaign.promises import Diary, Promises

AGAIN = frozenset({408, 425, 429, 502, 503, 504})
"""Answers after which a client repeats the same request."""


@dataclass
class Where:
    """The APIs, and what every client shares.

    Attributes:
        commands: URL of the command API.
        queries: URL of the query API.
        token: Of every scope.
        promises: What was promised.
        diary: What happens meanwhile.
        stop: Set when nothing new is to be begun.
        give_up: Set when whoever is still not answered stops asking.
    """

    commands: str
    queries: str
    token: str
    promises: Promises
    diary: Diary
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    give_up: asyncio.Event = field(default_factory=asyncio.Event)

    def client(self, url: str, seconds: float) -> httpx.AsyncClient:
        """Return an HTTP client that waits so long for each answer."""
        return httpx.AsyncClient(
            base_url=url, timeout=seconds, headers={"Authorization": f"Bearer {self.token}"}
        )

    async def ask(
        self, client: httpx.AsyncClient, method: str, path: str, **more: Any
    ) -> httpx.Response | None:
        """Send a request; return its answer, or None if there is none."""
        try:
            answer = await client.request(method, path, **more)
        except (httpx.TransportError, httpx.StreamError):
            return None
        if answer.status_code == 500:
            self.promises.broke("answers 500", f"{method} {path}: {answer.text[:300]}")
        return answer


@dataclass(frozen=True)
class Asked:
    """A request for a change, which may be sent again as it is."""

    method: str
    path: str
    key: str
    more: Mapping[str, Any] = field(default_factory=dict)
    wait: int = 0
    if_match: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Return its header fields."""
        headers = {"Idempotency-Key": self.key}
        if self.wait:
            headers["Prefer"] = f"wait={self.wait}"
        if self.if_match is not None:
            headers["If-Match"] = f'"{self.if_match}"'
        return headers
