"""Asks as an abuser does: as often as it can, whatever the answer, which is taken down."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from bench.load import LOST, request

PAUSE_SECONDS: Final = 0.5
"""Between a refusal and the next try, more or less: no abuser heeds `Retry-After`."""
TAKEN_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class AbuseJob:
    """What an abuser is told.

    Attributes:
        name: Which abuse.
        command_port: Of the command API.
        query_port: Of the query API.
        token: Its access token.
        old: A person with very many versions.
        oldest: Another one, without milestones.
        versions: How many those have.
        seconds: How long.
    """

    name: str
    command_port: int
    query_port: int
    token: str
    old: str
    oldest: str
    versions: int
    seconds: float


@dataclass
class Answered:
    """What an abuser was answered.

    Attributes:
        statuses: By status; `LOST` for a connection that ended without an answer.
        dishonest: Refusals that say not when to come again, and faults.
        most_open: How many answers it kept open at once.
        refused: How many of those that it wanted to keep open were refused.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    dishonest: list[str] = field(default_factory=list)
    most_open: int = 0
    refused: int = 0


class Abuser:
    """One subject with many clients.

    Args:
        job: What it is told.
    """

    def __init__(self, job: AbuseJob) -> None:
        self.job = job
        self.answered = Answered()
        self._open = 0

    async def query(self, target: str, accept: str = "*/*") -> None:
        """Ask the query API, and take the whole answer."""
        await self._ask(self.job.query_port, "GET", target, self._take, accept=accept)

    async def hold(self, target: str, accept: str = "*/*") -> None:
        """Ask the query API, and keep the answer open without reading it."""
        await self._ask(self.job.query_port, "GET", target, self._keep, accept=accept)

    async def login(self, body: bytes) -> None:
        """Log in at the command API."""
        await self._ask(self.job.command_port, "POST", "/auth/login", self._take, body=body)

    async def imported(self, packed: bytes, kind: str = "text/csv") -> None:
        """Import a packed file, without applying anything."""
        target = "/people/import?dry_run=true"
        await self._ask(
            self.job.command_port, "POST", target, self._take, body=packed, kind=kind, packed=True
        )

    async def _take(self, status: int, reader: asyncio.StreamReader) -> None:
        while await reader.read(TAKEN_BYTES):
            pass
        if status >= 400:
            await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))

    async def _keep(self, status: int, _reader: asyncio.StreamReader) -> None:
        if status != 200:
            self.answered.refused += 1
            await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))
            return
        self._open += 1
        self.answered.most_open = max(self.answered.most_open, self._open)
        try:
            await asyncio.sleep(self.job.seconds / 4)
        finally:
            self._open -= 1

    async def _ask(
        self,
        port: int,
        method: str,
        target: str,
        taking: Callable[[int, asyncio.StreamReader], Awaitable[None]],
        *,
        accept: str = "*/*",
        body: bytes = b"",
        kind: str = "",
        packed: bool = False,
    ) -> None:
        """Send a request on a connection of its own, and do what is to be done with its answer."""
        message = request(method, target, token=self.job.token, body=body, kind=kind)
        more = f"accept: {accept}\r\nconnection: close\r\n" + ("content-encoding: gzip\r\n" if packed else "")
        head, _, rest = message.partition(b"\r\n\r\n")
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=TAKEN_BYTES)
        except ConnectionError:
            self.answered.statuses[LOST] += 1
            await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))
            return
        try:
            writer.write(head + b"\r\n" + more.encode() + b"\r\n" + rest)
            await taking(await self._head(reader, f"{method} {target}"), reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.answered.statuses[LOST] += 1
        finally:
            writer.transport.abort()

    async def _head(self, reader: asyncio.StreamReader, what: str) -> int:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head[9:12])
        self.answered.statuses[status] += 1
        if status == 503 and "\r\nretry-after: " not in head:
            self.answered.dishonest.append(f"{what}: 503 without Retry-After")
        elif status >= 500 and status != 503:
            self.answered.dishonest.append(f"{what}: {status}")
        return status
