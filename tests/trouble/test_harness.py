"""20,000 commands from several clients while workers are killed: nothing lost, doubled or out of order."""

import asyncio
import random
import time

import pytest

from service_kit.ids import new_id
from tests import ledger
from tests.firehose import Firehose, request
from tests.system import TOPOLOGIES, eventually, new_person

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES, indirect=True, scope="session")
COMMANDS = 20_000
CLIENTS = 8
PEOPLE = 2_400
KILLS = 12
WORKERS = 3
SECONDS = 18.0


class Crowd:
    """What the clients know together: who was accepted, and the documents in use."""

    def __init__(self, token: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.token = token
        self.people: list[str] = []
        self.bodies: list[dict] = []
        self.accepted: set[str] = set()
        self.sent = 0

    def next(self) -> bytes:
        """Return a request: first creates; then a mix, some of which must be refused."""
        self.sent += 1
        if self.sent <= PEOPLE:
            body = new_person()
            self.bodies.append(body)
            return request("POST", "/people", self.token, body, Idempotency_Key=new_id())
        choice, person = self.random.random(), self.random.choice(self.people)
        key = new_id()
        if choice < 0.05:
            body = {**new_person(), "document_id": self.random.choice(self.bodies)["document_id"]}
            return request("POST", "/people", self.token, body, Idempotency_Key=key)
        if choice < 0.07:
            return request("DELETE", f"/people/{person}", self.token, Idempotency_Key=key)
        body = {"address": f"Calle {self.sent}"}
        if choice < 0.12:
            body["document_id"] = new_person()["document_id"]
        headers = {"If_Match": '"3"'} if choice < 0.17 else {}
        return request("PATCH", f"/people/{person}", self.token, body, Idempotency_Key=key, **headers)


async def insist(hose: Firehose, raw: bytes):
    """Send until the answer is not 503, as its `Retry-After` asks; the key makes it one command."""
    for _ in range(100):
        answer = await hose.send(raw)
        if answer.status != 503:
            return answer
        await asyncio.sleep(0.2)
    raise AssertionError("503 for 20 s")


async def client(crowd: Crowd, port: int, pace: float) -> None:
    hose = Firehose(port)
    due = time.monotonic()
    while crowd.sent < COMMANDS:
        raw = crowd.next()
        answer = await insist(hose, raw)
        assert answer.status == 202, answer
        crowd.accepted.add(answer.body["command_id"])
        if answer.body["person_id"] not in crowd.accepted and raw.startswith(b"POST"):
            crowd.people.append(answer.body["person_id"])
        if crowd.random.random() < 0.02:
            again = await hose.send(raw)  # a client that retries: the same command
            assert again.status == 503 or again.body == answer.body
        due += pace
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    hose.close()


async def killer(workers: list, done: asyncio.Event) -> int:
    kills = 0
    while not done.is_set() or kills < KILLS:
        await asyncio.sleep(SECONDS / KILLS / 1.3)
        victim = workers[kills % len(workers)]
        victim.kill()
        victim.spawn()
        kills += 1
    return kills


async def test_nothing_is_lost_doubled_or_out_of_order_while_workers_are_killed(stage, cast):
    workers = [cast["workers"], *(stage.service("workers") for _ in range(WORKERS - 1))]
    for worker in workers[1:]:
        worker.spawn()
    for worker in workers:
        await worker.wait_ready()
    crowd, done = Crowd(stage.token(), seed=7), asyncio.Event()
    killing = asyncio.create_task(killer(workers, done))
    pace = SECONDS * CLIENTS / COMMANDS
    try:
        port = cast["command_api"].port
        await asyncio.gather(*(client(crowd, port, pace) for _ in range(CLIENTS)))
        done.set()
        kills = await killing
    finally:
        killing.cancel()

    async def settled():
        return not await asyncio.to_thread(ledger.undecided, stage, crowd.accepted) and not (
            await ledger.depths(stage)
        )

    await eventually(settled, within=60, pause=0.5)
    for worker in workers[1:]:
        assert worker.stop() == 0
    counted = await asyncio.to_thread(ledger.check, stage, crowd.accepted)

    assert kills >= 10
    assert len(crowd.accepted) >= COMMANDS
    assert counted["people"] >= 2_000
    assert counted["rejections"] > 500
