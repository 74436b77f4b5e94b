"""Shards that lose members, and a shard more, while commands flow."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from pymongo import MongoClient

from devstack.servers.mongo import ReplicaSet
from devstack.servers.ports import free_ports
from service_kit.mongo.collections import load_collections
from tests import ledger
from tests.system import eventually, run_script
from tests.trouble.crowd import Crowd

pytestmark = pytest.mark.parametrize("stage", ["sharded"], indirect=True, scope="session")
CLIENTS = 8


class Reader:
    """A dashboard that reads people and lists, one after the other, and notes what it is told."""

    def __init__(self, queries: httpx.AsyncClient, crowd: Crowd) -> None:
        self._queries = queries
        self._crowd = crowd
        self.answers: Counter[int] = Counter()
        self.slowest = 0.0

    async def run(self) -> None:
        while True:
            person = self._crowd.random.choice(self._crowd.people)
            for path in (f"/people/{person}", "/people?limit=20"):
                began = time.monotonic()
                response = await self._queries.get(path)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.answers[response.status_code] += 1
                assert response.status_code in (200, 404), (path, response.text)
            await asyncio.sleep(0.02)


def count(member: ReplicaSet, index: int, collection: str = "events") -> int:
    with MongoClient("127.0.0.1", member.ports[index], directConnection=True) as client:
        # Counted, not estimated: after a member was killed the estimate is off.
        return int(client["rollcall"][collection].count_documents({}))


async def grows(shard: ReplicaSet) -> None:
    """Return when a shard has a primary that takes more events than it has now."""
    primary = await eventually(lambda: _primary(shard), pause=0.1)
    before = count(shard, primary[0])

    async def more() -> bool:
        return count(shard, primary[0]) > before + 20

    await eventually(more, pause=0.1)


async def _primary(shard: ReplicaSet) -> list[int]:
    primary = await asyncio.to_thread(shard.primary)
    return [] if primary is None else [primary]


@asynccontextmanager
async def traffic(stage, cast, rate: float) -> AsyncIterator[None]:
    """Let commands and reads flow for as long as the block runs; then hold all of it against the ledger."""
    crowd = Crowd(stage.token(), commands=40_000, people=600, rate=rate)
    async with stage.client(cast["query_api"]) as queries:
        reader = Reader(queries, crowd)
        sending = asyncio.create_task(crowd.run(cast["command_api"].port, CLIENTS))
        await eventually(lambda: _enough(crowd))
        reading = asyncio.create_task(reader.run())
        try:
            yield
        finally:
            crowd.stop.set()
            (fault,) = await asyncio.gather(sending, return_exceptions=True)
            ended_early = reading.done()
            reading.cancel()
    assert fault is None
    assert not ended_early, reading.exception()
    assert reader.answers[200] > 100
    assert reader.slowest < 5
    await ledger.settled(stage, crowd.accepted)
    await asyncio.to_thread(ledger.check, stage, crowd.accepted)


async def _enough(crowd: Crowd) -> bool:
    return len(crowd.people) >= 300


async def test_members_of_shards_are_killed_and_reads_and_writes_go_on(stage, cast):
    first, second = stage.cluster.shards[:2]
    async with traffic(stage, cast, rate=200):
        for shard in (first, second):  # one of them also routes for everybody
            victim = shard.primary()
            shard.kill(victim)
            await grows(shard)
            shard.start_member(victim)
            await asyncio.to_thread(shard.wait_ready)
        victim = next(n for n in range(3) if n != second.primary())
        second.kill(victim)
        await grows(second)
        await grows(first)
        second.start_member(victim)
        await grows(second)


async def test_a_shard_is_added_and_takes_its_share_while_commands_flow(stage, cast):
    async with traffic(stage, cast, rate=150):
        added = stage.cluster.add_shard(free_ports(2))
        await asyncio.to_thread(added.wait_ready)
        seated = "seated the members of replica set shard-3"
        assert await asyncio.to_thread(stage.initialise) == [seated, "added shard shard-3"]
        moved = await asyncio.to_thread(run_script, "spread.py", ROLLCALL_MONGO_URI=stage.mongo.uri)
        assert moved.returncode == 0, moved.stderr
        # A sixth of all, twice, of each collection.
        assert moved.stdout.count("to shard-3") == 2 * len(load_collections())
        await grows(added)
    people = [count(shard, shard.primary(), "people") for shard in stage.cluster.shards]
    # A shard removes what has left it a quarter of an hour later: the first two still count that.
    assert 0.2 < people[2] / max(people[:2]) < 1
    again = run_script("spread.py", ROLLCALL_MONGO_CLUSTER=str(stage.cluster.description))
    assert again.stdout == "nothing to move\n"
    assert stage.initialise() == []
