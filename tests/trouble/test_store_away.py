"""MongoDB away, and both servers restarted under load."""

import asyncio
import time

import pytest

from tests import ledger
from tests.firehose import Firehose, request
from tests.system import TOPOLOGIES, eventually, new_person
from tests.trouble.test_broker import readiness

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES, indirect=True, scope="session")
WAIT = {"Prefer": "wait=30"}


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
            assert (await readiness(cast["query_api"]))[0] == 503
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

        await eventually(back, within=30, pause=0.2)
        assert (await queries.get(f"/people/{person['id']}")).json() == person


class Load:
    """Clients that create and change people, and repeat what was not accepted, until told to stop."""

    def __init__(self, stage, port: int) -> None:
        self._token = stage.token()
        self._port = port
        self.accepted: set[str] = set()
        self.stop = asyncio.Event()

    async def client(self, number: int) -> None:
        hose = Firehose(self._port)
        person, count = None, 0
        while not self.stop.is_set():
            count += 1
            key = f"{id(self)}-{number}-{count}"
            if person is None or count % 10 == 0:
                raw = request("POST", "/people", self._token, new_person(), Idempotency_Key=key)
            else:
                body = {"address": f"Calle {count}"}
                raw = request("PATCH", f"/people/{person}", self._token, body, Idempotency_Key=key)
            while (answer := await hose.send(raw)).status != 202:
                assert answer.status == 503
                await asyncio.sleep(0.1)
            person = answer.body["person_id"]
            self.accepted.add(answer.body["command_id"])
            await asyncio.sleep(0.01)
        hose.close()


async def test_everything_reconnects_by_itself_when_servers_restart_under_load(stage, cast):
    load = Load(stage, cast["command_api"].port)
    clients = [asyncio.create_task(load.client(number)) for number in range(12)]
    try:
        await asyncio.sleep(1)
        primaries = [(each, each.primary()) for each in stage.sets]
        for each, primary in primaries:
            each.kill(primary)
        await asyncio.sleep(1)
        stage.rabbit.kill()
        stage.rabbit.spawn()
        for each, primary in primaries:
            each.start_member(primary)
        await asyncio.to_thread(stage.rabbit.wait_ready)
        await asyncio.sleep(1)
        await asyncio.to_thread(stage.rabbit.stop)
        stage.rabbit.spawn()
        await asyncio.to_thread(stage.rabbit.wait_ready)
        members = [(each, member) for each in stage.sets for member in range(len(each.ports))]
        for each, member in members:
            each.kill(member)
        for each, member in members:
            each.start_member(member)
        await asyncio.sleep(2)
        before = len(load.accepted)

        async def going_on():
            return len(load.accepted) > before + 100

        await eventually(going_on, within=30)
    finally:
        load.stop.set()
        await asyncio.gather(*clients)

    await ledger.settled(stage, load.accepted, within=60)
    await asyncio.to_thread(ledger.check, stage, load.accepted)
