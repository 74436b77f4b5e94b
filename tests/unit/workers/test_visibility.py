"""How long those who wait for an answer are held up by a MongoDB that is slow; what they share."""

import asyncio
import types

import pytest
from pymongo.errors import AutoReconnect

from workers.projecting import visibility
from workers.projecting.visibility import Visibility


class Lags:
    """The collection of that name: each write waits until it is let through."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.asked: list[str] = []

    async def update_one(self, *_: object, **__: object) -> object:
        self.asked.append("update")
        await self.open.wait()
        return types.SimpleNamespace(upserted_id="x" if self.asked.count("update") == 1 else None)

    async def delete_one(self, *_: object) -> None:
        self.asked.append("delete")


class Database(dict):
    """A database whose members prove nothing, or all."""

    proves = False

    async def command(self, *_: object, **__: object) -> dict:
        if not self.proves:
            raise AutoReconnect("a member is away")
        seats = {"_id": "seats", "count": 0}
        return {"cursor": {"firstBatch": [seats]}, "operationTime": 0}


@pytest.fixture
def store(monkeypatch):
    """A database, and what proves that its members show what was projected."""
    monkeypatch.setattr(visibility, "RECORD_SECONDS", 0.3)
    monkeypatch.setattr(visibility, "LEASE_SECONDS", 0.02)
    database = Database({visibility.LAGS: Lags()})
    monkeypatch.setattr(visibility, "writing", lambda _client, _name: database)
    topology = types.SimpleNamespace(topology_type_name="ReplicaSetWithPrimary")
    client = types.SimpleNamespace(topology_description=topology)
    return database, Visibility(client, "x")


async def test_those_who_wait_while_nothing_can_be_recorded_wait_for_the_same(store):
    database, visible = store
    async with asyncio.timeout(2):
        told = await asyncio.gather(*(visible.reached([f"p{number}"]) for number in range(30)))
    assert not any(told)
    assert len(database[visibility.LAGS].asked) == 1


async def test_one_who_goes_away_takes_nobody_along(store):
    database, visible = store
    first = asyncio.create_task(visible.reached(["p1"]))
    second = asyncio.create_task(visible.reached(["p2"]))
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    database[visibility.LAGS].open.set()
    assert await second
    assert len(database[visibility.LAGS].asked) == 1


async def test_a_record_that_is_being_removed_is_waited_for_no_longer_than_one(store):
    database, visible = store
    database[visibility.LAGS].open.set()
    assert await visible.reached(["p1"])
    async with visible._lock:  # a removal that takes its time
        visible._relied_until = 0
        async with asyncio.timeout(2):
            assert not await visible.reached(["p2"])


async def test_what_was_relied_on_meanwhile_stays_on_record(store):
    """Whoever joins a record under way, after the proof that it is needed no more was begun, relies on it."""
    database, visible = store
    recording = asyncio.create_task(visible.reached(["p1"]))
    await asyncio.sleep(0.05)
    database.proves = True
    clearing = asyncio.create_task(visible._clear())
    await asyncio.sleep(0.05)
    database.proves = False
    joined = asyncio.create_task(visible.reached(["p2"]))
    await asyncio.sleep(0.05)
    database[visibility.LAGS].open.set()
    assert await recording
    assert await joined
    await clearing
    assert "delete" not in database[visibility.LAGS].asked
