"""Sends commands at a constant rate and watches when they can be read.

It is a process of its own (`python -m bench.pace`). A command is sent when its time has come, whether or
not the ones before it are answered, so a slow answer delays nothing but itself (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import pickle
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import orjson
import uvloop

from bench.load import LOST, Connection, connect, request
from bench.payloads import changes
from devstack.demo.people import demo_person

POLL_SECONDS, POLL_SHARE = 0.005, 0.1
"""A watched person is asked for again after so long, or after this share of the time waited so far, if that
is longer: exact to a tenth, without burdening a system that is behind already."""
PATIENCE_SECONDS = 20.0
CONNECTIONS = 64
"""To each API. Waiting for a free one counts: the time runs from when a command was due."""


@dataclass(frozen=True)
class PaceJob:
    """What to send: creates and updates by turns.

    Attributes:
        command_port: Of the command API.
        query_port: Of the query API.
        token: Access token.
        people: Ids of people at version 1, to be updated in turn.
        first_number: Of the demo people to create.
        rate: Commands a second.
        seconds: How long.
        warm_seconds: How long before it counts.
        every: Of so many commands one is watched.
    """

    command_port: int
    query_port: int
    token: str
    people: list[str]
    first_number: int
    rate: int
    seconds: float
    warm_seconds: float = 4.0
    every: int = 50


@dataclass
class Watched:
    """What was seen.

    Attributes:
        statuses: Answers of the command API, by status code.
        due_to_visible: Seconds from the moment a command was due to be sent until it could be read.
        accepted_to_visible: Seconds from its 202.
        late: Seconds by which commands left later than they were due.
        missing: Whom and which version the query API did not show in time.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    due_to_visible: list[float] = field(default_factory=list)
    accepted_to_visible: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


class Pool:
    """So many connections to one port, used in turn; a request waits until one is free."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        self._asked: dict[Connection, asyncio.Future[tuple[int, bytes]]] = {}

    async def open(self, size: int) -> None:
        """Open the connections."""
        for _ in range(size):
            self._free.put_nowait(await connect(self._port, self._answered))

    async def ask(self, message: bytes) -> tuple[int, bytes]:
        """Send a request and return status and body of the answer."""
        connection = await self._free.get()
        if not connection.usable:
            connection.close()
            connection = await connect(self._port, self._answered)
        future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._asked[connection] = future
        connection.send(message)
        return await future

    def _answered(self, connection: Connection, status: int, body: bytes, _seconds: float) -> None:
        self._free.put_nowait(connection)
        if not (asked := self._asked.pop(connection)).done():
            asked.set_result((status, body))


class Pace:
    """Sends the commands of a job."""

    def __init__(self, job: PaceJob) -> None:
        self._job = job
        self._commands = Pool(job.command_port)
        self._queries = Pool(job.query_port)
        self._versions = dict.fromkeys(job.people, 1)
        self.watched = Watched()

    async def run(self) -> Watched:
        """Send all, and return when each command that is watched can be read."""
        job = self._job
        total = int(job.rate * (job.seconds + job.warm_seconds))
        warm = int(job.rate * job.warm_seconds)
        await self._commands.open(CONNECTIONS)
        await self._queries.open(CONNECTIONS)
        start = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as group:
            for number in range(total):
                due = start + number / job.rate
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                if number >= warm:
                    self.watched.late.append(time.perf_counter() - due)
                # Creates are even, updates odd: an odd step watches both.
                watch = number >= warm and number % (job.every + 1) == 0
                group.create_task(self._send(number, due, watch))
        return self.watched

    async def _send(self, number: int, due: float, watch: bool) -> None:
        message, person_id, version = self._command(number)
        status, body = await self._commands.ask(message)
        accepted = time.perf_counter()
        self.watched.statuses[status] += 1
        if not watch or status != 202:
            return
        person_id = person_id or orjson.loads(body)["person_id"]
        if not await self._until_visible(person_id, version):
            self.watched.missing.append(f"{person_id} at version {version}")
            return
        visible = time.perf_counter()
        self.watched.due_to_visible.append(visible - due)
        self.watched.accepted_to_visible.append(visible - accepted)

    def _command(self, number: int) -> tuple[bytes, str | None, int]:
        """Return a request, whom it concerns if that is known, and the version that it makes."""
        token = self._job.token
        if number % 2 == 0:
            body = orjson.dumps(demo_person(self._job.first_number + number))
            return request("POST", "/people", token=token, body=body), None, 1
        person_id = self._job.people[number // 2 % len(self._job.people)]
        self._versions[person_id] += 1
        body, kind = orjson.dumps(changes(number)), "application/merge-patch+json"
        message = request("PATCH", f"/people/{person_id}", token=token, body=body, kind=kind)
        return message, person_id, self._versions[person_id]

    async def _until_visible(self, person_id: str, version: int) -> bool:
        message = request("GET", f"/people/{person_id}", token=self._job.token)
        began = time.perf_counter()
        while (asked := time.perf_counter()) < began + PATIENCE_SECONDS:
            status, body = await self._queries.ask(message)
            if status == 200 and orjson.loads(body)["version"] >= version:
                return True
            if status not in (200, 404, LOST):
                raise RuntimeError(f"the query API answered {status}")
            now = time.perf_counter()
            await asyncio.sleep(max(POLL_SECONDS - (now - asked), POLL_SHARE * (now - began)))
        return False


def main() -> None:
    """Read a job from standard input, run it, write what was seen to standard output."""
    job = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps(uvloop.run(Pace(job).run())))


if __name__ == "__main__":
    # As an import, so that the classes have the same names here and where the result is read.
    from bench import pace

    pace.main()
