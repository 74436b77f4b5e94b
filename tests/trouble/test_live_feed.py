"""The live feed while the broker is away: nobody is sent away, nothing is missed, new clients are told."""

import asyncio

import httpx
import pytest

from tests.sse import following
from tests.system import TOPOLOGIES, eventually, new_person

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES[:1], indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}


async def created(commands) -> str | None:
    response = await commands.post("/people", json=new_person(), headers=WAIT)
    return response.json()["id"] if response.status_code == 201 else None


async def test_a_broker_that_restarts_leaves_no_gap(stage, cast):
    async with (
        stage.client(cast["command_api"]) as commands,
        stage.client(cast["query_api"]) as queries,
        following(queries) as feed,
    ):
        people = [await created(commands)]
        first = await feed.next()
        assert first.data["subject"] == people[0]
        await asyncio.to_thread(stage.rabbit.kill)
        try:
            refused = await eventually(lambda: refusal(queries))
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["type"] == "urn:rollcall:problem:broker-unavailable"
            # Reads go on, and the service stays ready.
            assert (await queries.get("/people", params={"limit": 1})).status_code == 200
            assert (await queries.get("/readyz")).status_code == 200
        finally:
            await asyncio.to_thread(stage.rabbit.start)
        people.append(await eventually(lambda: created(commands), within=40))
        people += [await created(commands) for _ in range(3)]
        events = [await feed.next(within=30) for _ in range(4)]
        assert [event.data["subject"] for event in [first, *events]] == people
        async with following(queries, last=first.id) as again:
            assert [event.data["subject"] for event in await again.take(4)] == people[1:]


async def refusal(queries) -> httpx.Response | None:
    async with queries.stream("GET", "/events/stream") as response:
        if response.status_code != 503:
            return None
        await response.aread()
        return response
