"""Workers that end again and again: mostly for no fault of a command, and once for one that ends them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from pymongo import MongoClient

from tests import ledger
from tests.deadly_worker import DEADLY
from tests.system import Service, System, eventually, new_person

pytestmark = [
    pytest.mark.long,
    pytest.mark.parametrize("stage", ["replica-set"], indirect=True, scope="session"),
]
KILLS = 200
WAIT = {"Prefer": "wait=30"}


class Senders:
    """People, and what was accepted for each, in order."""

    def __init__(self, commands) -> None:
        self._commands = commands
        self.sent: dict[str, list[str]] = {}

    async def create(self, count: int) -> None:
        made = await asyncio.gather(
            *(self._commands.post("/people", json=new_person(), headers=WAIT) for _ in range(count))
        )
        self.sent |= {answer.json()["id"]: [] for answer in made}

    async def change(self, person_id: str, address: str | None = None) -> str:
        body = {"address": address or f"Calle {len(self.sent[person_id])}"}
        answer = await self._commands.patch(f"/people/{person_id}", json=body)
        assert answer.status_code == 202, answer.text
        self.sent[person_id].append(answer.json()["command_id"])
        return answer.json()["command_id"]

    async def change_all(self, times: int) -> None:
        for _ in range(times):
            await asyncio.gather(*(self.change(person_id) for person_id in self.sent))

    @property
    def accepted(self) -> set[str]:
        return {command_id for line in self.sent.values() for command_id in line}


@asynccontextmanager
async def own_worker(stage: System, cast: dict[str, Service]) -> AsyncIterator[Service]:
    """Lend the stage's worker to a test that ends it."""
    worker = cast["workers"]
    worker.kill()
    try:
        yield worker
    finally:
        worker.kill()
        worker.spawn()
        await worker.wait_ready()


async def live_and_die(worker: Service, seconds: float) -> None:
    """Let a worker run until it consumes and a little longer, and kill it."""
    before = worker.words().count('"consuming"')
    worker.spawn()

    async def consumes() -> bool:
        return worker.words().count('"consuming"') > before

    await eventually(consumes)
    await asyncio.sleep(seconds)
    worker.kill()


def in_log(stage: System, person_id: str) -> list[str]:
    with MongoClient(stage.mongo.uri) as client:
        events = client["rollcall"]["events"].find({"person_id": person_id}, sort=[("version", 1)])
        return [event["command_id"] for event in events][1:]


def counted(stage: System, *collections: str) -> list[int]:
    with MongoClient(stage.mongo.uri) as client:
        return [client["rollcall"][name].count_documents({}) for name in collections]


async def everything_in_order(stage: System, senders: Senders) -> None:
    # A dead letter would be a message that is left: none is.
    await ledger.settled(stage, senders.accepted, within=120)
    await asyncio.to_thread(ledger.check, stage, senders.accepted)
    for person_id, sent in senders.sent.items():
        assert in_log(stage, person_id) == sent
    assert counted(stage, "parked") == [0]


async def test_many_kills_while_mongodb_is_away_are_no_command_s_fault(stage, cast):
    async with stage.client(cast["command_api"]) as commands, own_worker(stage, cast) as worker:
        senders = Senders(commands)
        worker.spawn()
        await worker.wait_ready()
        await senders.create(10)
        worker.kill()
        stage.mongo.stop()
        try:
            await senders.change_all(9)
            for _ in range(KILLS):
                await live_and_die(worker, 0.05)
        finally:
            stage.mongo.start()
        assert counted(stage, "attempts") == [0]
        worker.spawn()
        await everything_in_order(stage, senders)


async def test_many_quick_kills_are_no_command_s_fault(stage, cast):
    chance = random.Random(5)
    async with stage.client(cast["command_api"]) as commands, own_worker(stage, cast) as worker:
        senders = Senders(commands)
        worker.spawn()
        await worker.wait_ready()
        await senders.create(10)
        worker.kill()
        await senders.change_all(4)
        for _ in range(KILLS):
            await senders.change_all(1)
            await live_and_die(worker, chance.uniform(0, 0.1))
        worker.spawn()
        await everything_in_order(stage, senders)


@asynccontextmanager
async def revived(worker: Service) -> AsyncIterator[list[int]]:
    """Start a worker again whenever it has ended; yields the statuses that it ended with."""
    ends: list[int] = []

    async def watch() -> None:
        while True:
            if worker.process.poll() is not None:
                ends.append(worker.process.returncode)
                worker.spawn()
            await asyncio.sleep(0.05)

    worker.spawn()
    watching = asyncio.create_task(watch())
    try:
        yield ends
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def test_a_command_that_ends_its_worker_is_parked_and_everybody_else_is_served_meanwhile(stage, cast):
    async with (
        stage.client(cast["command_api"]) as commands,
        stage.client(cast["query_api"]) as queries,
        own_worker(stage, cast) as worker,
    ):
        worker.module, usual = "tests.deadly_worker", worker.module
        senders = Senders(commands)
        async with revived(worker) as ends:
            await worker.wait_ready()
            await senders.create(9)
            eve, *others = senders.sent
            deadly = await senders.change(eve, DEADLY)
            behind = [await senders.change(eve) for _ in range(3)]

            async def parked(attempts: int) -> bool:
                await asyncio.gather(*map(senders.change, others))
                page = (await queries.get(f"/dead-letters/{eve}?consistency=strong")).json()
                items = page.get("items")
                return bool(items) and items[0]["attempts"] == attempts and len(items) == 4

            await eventually(lambda: parked(1), within=240, pause=0.3)
            assert (
                8 <= len(ends) <= 10
            )  # three times with others, once at most among suspects, five times alone
            assert set(ends) == {9}
            path = f"/people/{eve}/commands"
            for command_id, reason in ((deadly, "ended-its-worker"), (behind[0], "waits-behind")):
                status = (await queries.get(f"{path}/{command_id}?consistency=strong")).json()
                assert (status["status"], status["reason"]) == ("parked", reason)
            with MongoClient(stage.mongo.uri) as client:
                since = client["rollcall"]["parked"].find_one({"command_id": deadly})["parked_at"]
                meanwhile = {
                    "applied_at": {"$lt": since},
                    "person_id": {"$in": others},
                    "version": {"$gt": 1},
                }
                assert client["rollcall"]["events"].count_documents(meanwhile) > len(others)

            # A retry ends workers, too, and is given up likewise; the line stays as it is.
            await commands.post(f"/dead-letters/{eve}/retry")
            await eventually(lambda: parked(2), within=240, pause=0.3)
            assert (await commands.delete(f"/dead-letters/{eve}/{deadly}")).status_code == 202
            await commands.post(f"/dead-letters/{eve}/retry")
            senders.sent[eve] = behind
            worker.module = usual
            await everything_in_order(stage, senders)
            assert counted(stage, "attempts") == [0]
