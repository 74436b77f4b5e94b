"""Workers that come, go and share; and two that hold the same person."""

import asyncio
import json
import signal

import httpx
import pytest

from tests import ledger
from tests.system import TOPOLOGIES, eventually, new_person
from tests.trouble.load import Load

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES, indirect=True, scope="session")
WAIT = {"Prefer": "wait=30"}


async def active(service) -> int:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{service.url}/metrics")).text
    (line,) = [x for x in text.splitlines() if x.startswith("rollcall_active_partitions ")]
    return int(float(line.split()[1]))


async def test_a_worker_that_joins_has_its_share_and_one_that_dies_is_replaced(stage, cast):
    first = cast["workers"]
    async with Load(stage, cast["command_api"].port) as load:
        await eventually(lambda: _has(first, 8))
        async with stage.running("workers") as second:
            await eventually(lambda: _has(second, 4))
            await eventually(lambda: _has(first, 4))
            second.kill()
            await eventually(lambda: _has(first, 8))
            second.spawn()
            await second.wait_ready()
    await ledger.settled(stage, load.accepted)
    await asyncio.to_thread(ledger.check, stage, load.accepted)


async def _has(worker, count: int) -> bool:
    return await active(worker) == count


async def test_a_worker_that_is_asked_to_stop_finishes_its_batches(stage, cast):
    worker = cast["workers"]
    async with Load(stage, cast["command_api"].port) as load:
        await load.goes_on()
        assert await asyncio.to_thread(worker.stop, 15) == 0
    lines = [json.loads(line) for line in worker.words().splitlines()]
    logged = {line["command_id"] for line in lines if line["event"] in ("applied", "rejected")}
    # What it applied it also acknowledged, and said so: nothing was left half done.
    missing = await asyncio.to_thread(ledger.undecided, stage, load.accepted)
    assert len(load.accepted - logged) == missing
    worker.spawn()
    await worker.wait_ready()
    await ledger.settled(stage, load.accepted)


async def test_a_worker_that_wakes_up_late_changes_nothing(stage, cast):
    """Stopped with a batch in its hands, replaced, then continued: the zombie loses every race."""
    impatient = f"{stage.rabbit.url}?heartbeat=2"
    async with (
        stage.running("workers", ROLLCALL_AMQP_URL=impatient) as second,
        stage.client(cast["command_api"]) as commands,
    ):
        made = await asyncio.gather(
            *(commands.post("/people", json=new_person(), headers=WAIT) for _ in range(8))
        )
        people = [answer.json()["id"] for answer in made]
        accepted = set()

        async def change(number: int) -> None:
            path, body = f"/people/{people[number % 8]}", {"address": f"Calle {number}"}
            answer = await commands.patch(path, json=body)
            accepted.add(answer.json()["command_id"])

        sending = [asyncio.create_task(change(number)) for number in range(400)]
        await asyncio.sleep(0.15)
        second.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.gather(*sending)
            # The broker gives up a silent consumer after two missed heartbeats.
            await eventually(lambda: _empty(stage, accepted), pause=0.5)
        finally:
            second.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(2)
        await second.wait_ready()
        await ledger.settled(stage, accepted)
        await asyncio.to_thread(ledger.check, stage, accepted)


async def _empty(stage, accepted: set[str]) -> bool:
    return not await asyncio.to_thread(ledger.undecided, stage, accepted)
