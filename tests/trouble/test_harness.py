"""Thousands of commands while workers are killed: nothing lost, doubled or out of order."""

import asyncio

import pytest

from tests import ledger
from tests.system import TOPOLOGIES
from tests.trouble.crowd import Crowd

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES, indirect=True, scope="session")
COMMANDS = {"replica-set": 20_000, "sharded": 6_000}
SOME = {"replica-set": 4_000, "sharded": 2_000}
CLIENTS = 8
KILLS = 12
WORKERS = 3
SECONDS = 18.0


async def killer(workers: list, done: asyncio.Event) -> int:
    kills = 0
    while not done.is_set() or kills < KILLS:
        await asyncio.sleep(SECONDS / KILLS / 1.3)
        victim = workers[kills % len(workers)]
        victim.kill()
        victim.spawn()
        kills += 1
    return kills


@pytest.mark.parametrize(
    "load", [pytest.param(SOME, id="some"), pytest.param(COMMANDS, id="all", marks=pytest.mark.long)]
)
async def test_nothing_is_lost_doubled_or_out_of_order_while_workers_are_killed(stage, cast, load):
    workers = [cast["workers"], *(stage.service("workers") for _ in range(WORKERS - 1))]
    for worker in workers[1:]:
        worker.spawn()
    for worker in workers:
        await worker.wait_ready()
    commands = load["sharded" if stage.routed else "replica-set"]
    crowd = Crowd(stage.token(), commands=commands, people=commands // 8, rate=commands / SECONDS)
    done = asyncio.Event()
    killing = asyncio.create_task(killer(workers, done))
    try:
        await crowd.run(cast["command_api"].port, CLIENTS)
        done.set()
        kills = await killing
    finally:
        killing.cancel()
    await ledger.settled(stage, crowd.accepted)
    for worker in workers[1:]:
        assert worker.stop() == 0
    counted = await asyncio.to_thread(ledger.check, stage, crowd.accepted)

    assert kills >= 10
    assert len(crowd.accepted) >= commands
    assert counted["people"] >= commands // 8
    assert counted["rejections"] > commands // 40
