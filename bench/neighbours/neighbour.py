"""Does what another subject does all day, at a constant rate: creates, reads by id, and pages.

It is a process of its own (`python -m bench.neighbours.neighbour`). A request is sent when its time has come,
whether or not those before it are answered.
"""

from __future__ import annotations

import asyncio
import pickle
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import orjson
import uvloop

from bench.load import request
from bench.pace import Pool
from devstack.demo.people import demo_person

CREATE, READ, PAGE = KINDS = ("create", "read", "page")
CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class NeighbourJob:
    """What to do.

    Attributes:
        command_port: Of the command API.
        query_port: Of the query API.
        token: Access token of a subject that does nothing else.
        people: Ids of people to read.
        first_number: Of the demo people to create.
        rate: Requests of each kind a second.
        seconds: How long it counts.
        warm_seconds: How long it goes on before that.
    """

    command_port: int
    query_port: int
    token: str
    people: list[str]
    first_number: int
    rate: float
    seconds: float
    warm_seconds: float


@dataclass
class Noticed:
    """What came of it.

    Attributes:
        latencies: By kind, the seconds from when each was due to its answer.
        statuses: By kind and status.
    """

    latencies: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})

    def add(self, other: Noticed) -> None:
        """Count what was noticed at another time, too."""
        for kind in KINDS:
            self.latencies[kind] += other.latencies[kind]
            self.statuses[kind] += other.statuses[kind]


async def live_on(job: NeighbourJob) -> Noticed:
    """Do a job in this process."""
    noticed = Noticed()
    pools = {kind: Pool(job.command_port if kind == CREATE else job.query_port) for kind in KINDS}
    for pool in pools.values():
        await pool.open(CONNECTIONS)
    dice = random.Random(7)

    async def ask(kind: str, message: bytes, due: float, *, counts: bool) -> None:
        status, _ = await pools[kind].ask(message)
        if counts:
            noticed.latencies[kind].append(time.perf_counter() - due)
            noticed.statuses[kind][status] += 1

    start = time.perf_counter() + 0.1
    total = int(job.rate * (job.warm_seconds + job.seconds))
    async with asyncio.TaskGroup() as group:
        for number in range(total):
            for place, kind in enumerate(KINDS):
                due = start + (number + place / len(KINDS)) / job.rate
                await asyncio.sleep(due - time.perf_counter())
                counts = number >= job.rate * job.warm_seconds
                message = _message(job, kind, number, dice)
                group.create_task(ask(kind, message, due, counts=counts))
    return noticed


def _message(job: NeighbourJob, kind: str, number: int, dice: random.Random) -> bytes:
    if kind == CREATE:
        body = orjson.dumps(demo_person(job.first_number + number))
        return request("POST", "/people", token=job.token, body=body)
    target = "/people?limit=50" if kind == PAGE else f"/people/{dice.choice(job.people)}"
    return request("GET", target, token=job.token)


def main() -> None:
    """Read a job from standard input, do it, write what was noticed to standard output."""
    job = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps(uvloop.run(live_on(job))))


if __name__ == "__main__":
    # As an import, so that the classes have the same names here and where the result is read.
    from bench.neighbours import neighbour

    neighbour.main()
