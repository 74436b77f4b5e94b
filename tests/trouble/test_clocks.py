"""Clocks that are hours off: the process says so, nothing is lost, and applied times never go back."""

import asyncio

import httpx
import pytest
from pymongo import MongoClient

from tests import ledger
from tests.shifted import shifted
from tests.system import TOPOLOGIES, Service, eventually, new_person

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES[:1], indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}
HOURS = 3600.0


async def remark(service: Service) -> str | None:
    """Return what a service says of its clock, if it is ready and that is wrong."""
    async with httpx.AsyncClient() as client:
        ready = await client.get(f"{service.url}/readyz")
        metrics = (await client.get(f"{service.url}/metrics")).text
    said = ready.json()["remarks"]["clock"]
    if ready.status_code != 200 or said == "ok":
        return None
    assert "rollcall_clock_offset_seconds" in metrics
    assert "clock is wrong" in service.words()
    return said


async def test_workers_with_wrong_clocks_apply_everything_in_order(stage, cast):
    cast["workers"].stop()
    accepted: set[str] = set()
    async with stage.client(cast["command_api"]) as commands:
        path = ""
        for hours, said in ((3, "10800 s ahead of"), (-3, "10800 s behind")):
            worker = shifted(stage.service("workers"), hours * HOURS)
            worker.spawn()
            try:
                await worker.wait_ready()
                assert said in await eventually(lambda worker=worker: remark(worker))
                if not path:
                    created = await commands.post("/people", json=new_person(), headers=WAIT)
                    assert created.status_code == 201
                    accepted.add(created.headers["x-command-id"])
                    path = f"/people/{created.json()['id']}"
                for number in range(5):
                    body = {"occupation": f"Engineer {hours} {number}"}
                    changed = await commands.patch(path, json=body, headers=WAIT)
                    assert changed.status_code == 200, changed.text
                    accepted.add(changed.headers["x-command-id"])
            finally:
                worker.stop()
                stage.services.remove(worker)
    cast["workers"].spawn()
    await cast["workers"].wait_ready()
    await ledger.settled(stage, accepted)
    assert await asyncio.to_thread(ledger.undecided, stage, accepted) == 0
    with MongoClient(stage.mongo.uri) as client:
        log = client["rollcall"]["events"].find({"person_id": path.removeprefix("/people/")}).sort("version")
        events = ledger.opened(client, list(log))
    assert len(events) == 11
    assert [event["data"].get("occupation") for event in events[1:]] == [
        f"Engineer {hours} {number}" for hours in (3, -3) for number in range(5)
    ]
    times = [event["applied_at"] for event in events]
    assert times == sorted(times)


async def test_a_command_api_that_is_behind_refuses_fresh_tokens_and_says_why(stage, cast):
    service = shifted(stage.service("command_api"), -2 * HOURS)
    service.spawn()
    try:
        await service.wait_ready()
        assert "7200 s behind" in await eventually(lambda: remark(service))
        async with stage.client(service) as commands:
            refused = await commands.post("/people", json=new_person())
        assert refused.status_code == 401
        assert "not good yet, by this service's clock" in refused.json()["detail"]
    finally:
        service.kill()
        stage.services.remove(service)
