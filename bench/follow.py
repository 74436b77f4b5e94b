"""Runs live clients: many event streams open at once, and how old each event is when it comes.

It is a process of its own (`python -m bench.follow`). An event's age runs from `time`, when a worker applied
it, in whole milliseconds by the clock of this same machine.
"""

from __future__ import annotations

import asyncio
import pickle
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import cast

import uvloop

from bench.load import request

_EVENT = re.compile(rb'id: (\d+)[-0-9a-f]*\nevent: [a-z_.]+\ndata: [^\n]*?"time":"([^"]+)"[^\n]*\n\n')


@dataclass(frozen=True)
class FollowJob:
    """What to follow.

    Attributes:
        port: Of the query API.
        token: Access token.
        clients: How many streams.
        seconds: How long, from when all are open.
        warm_seconds: How long of it does not count.
        pid: Process whose resident memory is noted, while all are open.
    """

    port: int
    token: str
    clients: int
    seconds: float
    warm_seconds: float
    pid: int


@dataclass
class Followed:
    """What came.

    Attributes:
        ages: From applied to received, of every event that every client got: how often each, in tenths of
            a millisecond.
        events: How many events each client got.
        gaps: Events that a client got out of order of their positions.
        lost: Clients whose stream ended.
        resident_mb: Memory of the process, when all were open for a while.
        cpu_seconds: Processor time of the clients themselves.
    """

    ages: Counter[int] = field(default_factory=Counter)
    events: list[int] = field(default_factory=list)
    gaps: int = 0
    lost: int = 0
    resident_mb: float = 0.0
    cpu_seconds: float = 0.0

    def percentile(self, share: float) -> float:
        """The age, in milliseconds, that this share of the events (0 to 1) did not exceed; NaN of none."""
        left = share * self.ages.total()
        for age, count in sorted(self.ages.items()):
            left -= count
            if left <= 0:
                return age / 10
        return float("nan")


@lru_cache(maxsize=4096)
def _applied(text: bytes) -> float:
    return datetime.fromisoformat(text.decode()).timestamp()


class Client(asyncio.Protocol):
    """One stream."""

    def __init__(self, job: FollowJob, followed: Followed) -> None:
        self._job, self._followed = job, followed
        self._rest = b""
        self._last = -1
        self.events = 0
        self.opened = asyncio.get_running_loop().create_future()
        self.counting = False
        self.ending = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(request("GET", "/events/stream", token=self._job.token))

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if not self.opened.done():
            if not data.startswith(b"HTTP/1.1 200"):
                self.opened.set_exception(RuntimeError(f"the query API answered {data[:200]!r}"))
                return
            self.opened.set_result(None)
        # Chunk sizes stand between chunks; no block is torn by one, only by where reading stopped.
        text, end = self._rest + data, 0
        for found in _EVENT.finditer(text):
            end = found.end()
            self.events += 1
            position = int(found[1])
            self._followed.gaps += position <= self._last
            self._last = position
            if self.counting:
                self._followed.ages[int((now - _applied(found[2])) * 10_000)] += 1
        self._rest = text[end:] if end else text[-65536:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._followed.lost += not self.ending

    def close(self) -> None:
        """End the stream."""
        self.ending = True
        if self._transport is not None:
            self._transport.close()


async def follow(job: FollowJob) -> Followed:
    """Run a job in this process."""
    followed = Followed()
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for _ in range(job.clients):
        _, client = await loop.create_connection(lambda: Client(job, followed), "127.0.0.1", job.port)
        clients.append(client)
        await client.opened
    await asyncio.sleep(job.warm_seconds)
    for client in clients:
        client.counting = True
    await asyncio.sleep(job.seconds - job.warm_seconds)
    followed.resident_mb = _resident_mb(job.pid)
    for client in clients:
        client.close()
    await asyncio.sleep(0.2)
    followed.cpu_seconds = time.process_time()
    followed.events = [client.events for client in clients]
    return followed


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def main() -> None:
    """Read a job from standard input, run it, write what came to standard output."""
    job = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps(uvloop.run(follow(job))))


if __name__ == "__main__":
    # As an import, so that the classes have the same names here and where the result is read.
    from bench import follow as program

    program.main()
