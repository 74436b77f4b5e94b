"""Sends HTTP requests as fast as one process can: ready bytes over connections that stay open.

`closed` runs the generator in a process of its own (`python -m bench.load`): each connection sends its
next request when the answer to the one before is there.
"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from typing import cast

import uvloop

LOST = 0
"""Stands for the status of a request whose connection was closed without an answer."""
IDLE_SECONDS = 3.0
"""How long a connection may rest and be used again; less than the servers' patience of 5 s."""
_LENGTH = b"\r\ncontent-length:"


@dataclass(frozen=True)
class Job:
    """What to send: the requests in turn, again and again, until the time is over.

    Attributes:
        port: On loopback.
        requests: Whole requests, head and body.
        connections: How many at once.
        seconds: How long it counts.
        warm_seconds: How long it sends before it counts.
    """

    port: int
    requests: list[bytes]
    connections: int
    seconds: float
    warm_seconds: float = 0.5


@dataclass
class Outcome:
    """What came back while it counted.

    Attributes:
        seconds: How long it counted.
        statuses: Answers by status code.
        latencies: Seconds to each answer.
        cpu_seconds: Processor time of the generator itself.
    """

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(self.statuses.values()) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency, in milliseconds, that this share of the answers (0 to 1) did not exceed."""
        return percentile(self.latencies, share) * 1000


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the values (0 to 1) does not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def request(method: str, target: str, *, token: str = "", body: bytes = b"", kind: str = "") -> bytes:
    """Return the bytes of a request.

    Args:
        method: Of HTTP.
        target: Path and query.
        token: Access token; none is sent when empty.
        body: Content; none is sent when empty.
        kind: Its content type; JSON when empty.
    """
    lines = [f"{method} {target} HTTP/1.1", "host: 127.0.0.1"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body:
        lines += [f"content-type: {kind or 'application/json'}", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One connection with one request at a time on it; knows answers with a content length only.

    Args:
        answered: Gets each answer: its status, or `LOST`, its body, and the seconds it took.
    """

    def __init__(self, answered: Callable[[Connection, int, bytes, float], None]) -> None:
        self._answered = answered
        self._parts = b""
        self._wanted = 0
        self._sent = time.perf_counter()
        self._waiting = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from the standard ones.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, message: bytes) -> None:
        """Send a request; the one before must have been answered."""
        assert self._transport is not None
        self._sent, self._waiting = time.perf_counter(), True
        self._transport.write(message)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiting:
            self._waiting = False
            self._answered(self, LOST, b"", time.perf_counter() - self._sent)

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: servers close a connection that nothing comes on for a while."""
        fresh = time.perf_counter() - self._sent < IDLE_SECONDS
        return fresh and self._transport is not None and not self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        if self._parts:
            data = self._parts + data
        if len(data) < self._wanted:
            self._parts = data
            return
        head = data.find(b"\r\n\r\n")
        if head < 0:
            self._parts = data
            return
        length = 0
        if (at := data.find(_LENGTH, 0, head)) >= 0 or (at := data.lower().find(_LENGTH, 0, head)) >= 0:
            length = int(data[at + len(_LENGTH) : data.find(b"\r\n", at + 2)])
        self._wanted = head + 4 + length
        if len(data) < self._wanted:
            self._parts = data
            return
        self._parts, self._wanted, self._waiting = b"", 0, False
        status = int(data[9:12])
        self._answered(self, status, data[head + 4 :], time.perf_counter() - self._sent)


async def connect(port: int, answered: Callable[[Connection, int, bytes, float], None]) -> Connection:
    """Return an open connection to a port on loopback."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(lambda: Connection(answered), "127.0.0.1", port)
    return protocol


async def send_all(job: Job) -> Outcome:
    """Run a job in this process."""
    outcome = Outcome()
    messages = cycle(job.requests)
    counting = running = False
    statuses, latencies = outcome.statuses, outcome.latencies

    def answered(connection: Connection, status: int, _body: bytes, seconds: float) -> None:
        if counting:
            statuses[status] += 1
            latencies.append(seconds)
        if running and status != LOST:
            connection.send(next(messages))

    connections = [await connect(job.port, answered) for _ in range(job.connections)]
    running = True
    for connection in connections:
        connection.send(next(messages))
    await asyncio.sleep(job.warm_seconds)
    began, cpu, counting = time.perf_counter(), time.process_time(), True
    await asyncio.sleep(job.seconds)
    counting = False
    outcome.seconds = time.perf_counter() - began
    outcome.cpu_seconds = time.process_time() - cpu
    running = False
    await asyncio.sleep(0.3)
    for connection in connections:
        connection.close()
    return outcome


def in_process(job: object, module: str = "bench.load") -> object:
    """Run a job in a process of its own, given and returned by pickle.

    Args:
        job: What its `main` reads from standard input.
        module: The program.

    Raises:
        RuntimeError: The process failed.
    """
    with subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            output, _ = process.communicate(pickle.dumps(job))
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise RuntimeError(f"{module} failed with status {process.returncode}")
    return pickle.loads(output)


def closed(job: Job) -> Outcome:
    """Run a job in a process of its own and return what came back.

    Raises:
        RuntimeError: No answers came, or the generator failed.
    """
    outcome = in_process(job)
    assert isinstance(outcome, Outcome)
    if not outcome.statuses:
        raise RuntimeError(f"no answers from port {job.port}")
    return outcome


def main() -> None:
    """Read a job from standard input, run it, write the outcome to standard output."""
    job = pickle.load(sys.stdin.buffer)
    outcome = uvloop.run(send_all(job))
    sys.stdout.buffer.write(pickle.dumps(outcome))


if __name__ == "__main__":
    # As an import, so that the classes have the same names here and where the result is read.
    from bench import load

    load.main()
