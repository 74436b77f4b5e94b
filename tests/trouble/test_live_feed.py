"""The live feed while the broker is away: nobody is sent away, nothing is missed, new clients are told."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from events.errors import BrokerUnavailable
from query_api.replays import FIRST, Replays
from tests.sse import following
from tests.system import TOPOLOGIES, eventually, new_person

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES[:1], indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}


async def created(commands, body, key) -> str | None:
    """Ask for a person, with a key: a request whose answer was lost may have made it already."""
    response = await commands.post("/people", json=body, headers={**WAIT, "Idempotency-Key": key})
    return response.json()["id"] if response.status_code == 201 else None


async def create(commands) -> str:
    """Ask for a person until there is one."""
    body, key = new_person(), str(uuid4())
    return await eventually(lambda: created(commands, body, key), within=40)


async def subjects(feed, last, known: set[str]) -> list[str]:
    """Return whom the events are about up to the first one about a person; those that are known are dropped.

    What was announced and not acknowledged when the broker was killed is announced again, with the same id.
    """
    seen: list[str] = []
    while last not in seen:
        event = await feed.next(within=30)
        if event.data["id"] not in known:
            known.add(event.data["id"])
            seen.append(event.data["subject"])
    return seen


async def test_a_broker_that_restarts_leaves_no_gap(stage, cast):
    async with (
        stage.client(cast["command_api"]) as commands,
        stage.client(cast["query_api"]) as queries,
        following(queries) as feed,
    ):
        people = [await create(commands)]
        known: set[str] = set()
        assert (await subjects(feed, people[0], known))[-1] == people[0]
        before = set(known)
        position = feed.last
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
        people += [await create(commands) for _ in range(4)]
        assert await subjects(feed, people[-1], known) == people[1:]
        async with following(queries, last=position) as again:
            assert await subjects(again, people[-1], before) == people[1:]


async def refusal(queries) -> httpx.Response | None:
    async with queries.stream("GET", "/events/stream") as response:
        if response.status_code != 503:
            return None
        await response.aread()
        return response


async def replayed(replays: Replays) -> bool:
    try:
        async with replays.after(FIRST) as (entries, _):
            return bool(entries)
    except BrokerUnavailable:
        return False


async def test_a_connection_that_is_lost_while_nobody_uses_it_is_made_again(stage, cast):
    async with stage.client(cast["command_api"]) as commands:
        await create(commands)
    replays = Replays(stage.rabbit.url)
    running = asyncio.create_task(replays.run())
    try:
        await eventually(lambda: replayed(replays))
        await asyncio.to_thread(stage.rabbit.kill)
        await asyncio.to_thread(stage.rabbit.start)
        await eventually(lambda: replayed(replays), within=30)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
