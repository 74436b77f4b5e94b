"""MongoDB away, and both servers restarted under load."""

import asyncio
import time

import pytest

from tests import ledger
from tests.system import TOPOLOGIES, eventually, new_person
from tests.trouble.load import Load
from tests.trouble.test_broker import readiness

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES, indirect=True, scope="session")
WAIT = {"Prefer": "wait=30"}


async def unready(service) -> bool:
    return (await readiness(service))[0] == 503


async def test_mongodb_down_for_the_query_api(stage, cast):
    async with stage.client(cast["query_api"]) as queries, stage.client(cast["command_api"]) as commands:
        person = (await commands.post("/people", json=new_person(), headers=WAIT)).json()
        stage.mongo.stop()
        try:
            for path in (f"/people/{person['id']}", "/people", "/people?consistency=strong"):
                began = time.monotonic()
                response = await queries.get(path)
                assert time.monotonic() - began < 5
                assert response.status_code == 503
                assert response.headers["retry-after"]
                assert response.json()["type"] == "urn:rollcall:problem:store-unavailable"
            await eventually(lambda: unready(cast["query_api"]))
            # Commands are accepted all the same, and applied when MongoDB is back.
            accepted = await commands.post("/people", json=new_person())
            assert accepted.status_code == 202
        finally:
            stage.mongo.start()

        async def back():
            status = await queries.get(
                f"/people/{accepted.json()['person_id']}", params={"consistency": "strong"}
            )
            return status.status_code == 200

        await eventually(back, pause=0.2)
        assert (await queries.get(f"/people/{person['id']}")).json() == person


async def test_everything_reconnects_by_itself_when_servers_restart_under_load(stage, cast):
    async with Load(stage, cast["command_api"].port) as load:
        await load.goes_on()
        primaries = [(each, each.primary()) for each in stage.sets]
        for each, primary in primaries:
            each.kill(primary)
        await load.goes_on()
        stage.rabbit.kill()
        stage.rabbit.spawn()
        for each, primary in primaries:
            each.start_member(primary)
        await asyncio.to_thread(stage.rabbit.wait_ready)
        await load.goes_on()
        await asyncio.to_thread(stage.rabbit.stop)
        stage.rabbit.spawn()
        await asyncio.to_thread(stage.rabbit.wait_ready)
        members = [(each, member) for each in stage.sets for member in range(len(each.ports))]
        for each, member in members:
            each.kill(member)
        for each, member in members:
            each.start_member(member)
        await load.goes_on()
    await ledger.settled(stage, load.accepted)
    await asyncio.to_thread(ledger.check, stage, load.accepted)
