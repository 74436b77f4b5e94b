"""Imports that are cut: wherever that is, the same file again brings the rest, and doubles nothing."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient

from tests import ledger
from tests.people_files import CSV, csv_of, errors, finished, people, send
from tests.system import TOPOLOGIES, eventually

on_both = pytest.mark.parametrize("stage", TOPOLOGIES, indirect=True, scope="session")
on_a_set = pytest.mark.parametrize("stage", TOPOLOGIES[:1], indirect=True, scope="session")
ROWS = 1_500
HALF = ROWS // 2


def file_of(rows: list[dict]) -> tuple[bytes, bytes]:
    """Return a file in two halves, the first one ending within a row."""
    body = csv_of(rows)
    cut = len(body) // 2
    return body[:cut], body[cut:]


async def held(halves: tuple[bytes, bytes], go: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield a body, the second half when it may go."""
    yield halves[0]
    await go.wait()
    yield halves[1]


async def read_so_far(client: httpx.AsyncClient, import_id: str) -> int:
    response = await client.get(f"/imports/{import_id}?consistency=strong")
    return response.json().get("read", 0)


def in_the_log(stage, import_id: str) -> tuple[int, int, int]:
    """Return how many events, people and documents an import made."""
    with MongoClient(stage.mongo.uri) as client:
        events = list(client["rollcall"]["events"].find({"correlation_id": f"import:{import_id}"}))
        opened = ledger.opened(client, events)
    return len(events), len({e["person_id"] for e in events}), len({e["data"]["document_id"] for e in opened})


@on_both
async def test_a_client_an_api_and_a_worker_that_die_leave_nothing_out_and_nothing_twice(stage, cast):
    rows, import_id = people(ROWS), str(uuid4())
    rows[HALF // 2]["email"] = rows[ROWS - 5]["email"] = "nobody"
    halves, query = file_of(rows), {"import_id": import_id}
    api, worker = cast["command_api"], cast["workers"]
    async with stage.client(api) as commands, stage.client(cast["query_api"]) as queries:

        async def half_way() -> bool:
            return await read_so_far(queries, import_id) > HALF // 2

        async def some_are_applied() -> bool:
            return (await asyncio.to_thread(in_the_log, stage, import_id))[0] > 0

        # The API dies before it has noted what it published; the client later, when all that is noted.
        for dies, when in (("api", some_are_applied), ("client", half_way)):
            go = asyncio.Event()
            sending = asyncio.create_task(send(commands, held(halves, go), **query))
            await eventually(when)
            if dies == "client":
                worker.kill()
                sending.cancel()
            else:
                api.kill()
                go.set()
                api.spawn()
                await api.wait_ready()
            async with asyncio.timeout(40):
                (result,) = await asyncio.gather(sending, return_exceptions=True)
            assert isinstance(result, BaseException), result
        worker.spawn()
        await worker.wait_ready()
        told = await send(commands, csv_of(rows), **query)
        assert (told["read"], told["accepted"], told["rejected"]) == (ROWS, ROWS - 2, 2)
        status = await finished(queries, import_id)
        assert (status["applied"], status["rejected"]) == (ROWS - 2, 2)
        assert [one["row"] for one in await errors(queries, import_id)] == [HALF // 2 + 1, ROWS - 4]
    assert in_the_log(stage, import_id) == (ROWS - 2,) * 3


@on_a_set
async def test_a_broker_that_dies_is_waited_for(stage, cast):
    rows, import_id, go = people(300), str(uuid4()), asyncio.Event()
    async with stage.client(cast["command_api"]) as commands, stage.client(cast["query_api"]) as queries:
        sending = asyncio.create_task(send(commands, held(file_of(rows), go), import_id=import_id))

        async def begun() -> bool:
            return await read_so_far(queries, import_id) > 0

        await eventually(begun)
        stage.rabbit.kill()
        go.set()
        await asyncio.to_thread(stage.rabbit.start)
        told = await asyncio.wait_for(sending, 40)
        assert (told["state"], told["accepted"]) == ("applying", 300)
        assert (await finished(queries, import_id))["applied"] == 300
    assert in_the_log(stage, import_id) == (300,) * 3


@on_a_set
async def test_a_request_that_goes_on_with_an_import_takes_it_over(stage, cast):
    rows, import_id, go = people(200), str(uuid4()), asyncio.Event()
    async with stage.client(cast["command_api"]) as commands, stage.client(cast["query_api"]) as queries:
        first = asyncio.create_task(send(commands, held(file_of(rows), go), import_id=import_id))

        async def begun() -> bool:
            return await read_so_far(queries, import_id) > 0

        await eventually(begun)
        told = await send(commands, csv_of(rows), import_id=import_id)
        assert (told["state"], told["accepted"]) == ("applying", 200)
        go.set()
        left = await first
        assert (left["state"], "another request" in left["reason"]) == ("interrupted", True)
        assert (await finished(queries, import_id))["applied"] == 200


async def connected(commands) -> bool:
    """Return whether a command API has a connection to the broker, whatever the broker says on it."""
    try:
        parts = (await commands.get("/readyz")).json()["parts"]
    except httpx.TransportError:
        return False
    return "publishing" in parts["rabbitmq"]


@on_a_set
async def test_full_queues_are_waited_for_and_then_the_import_is_interrupted(stage, cast):
    rows, import_id, worker = people(200), str(uuid4()), cast["workers"]
    full = ("set_policy", "--apply-to", "queues", "full", r"^commands\.[0-9]+$", '{"max-length":3}')
    worker.stop()
    stage.rabbit.ctl(*full)

    async def all_are_full() -> bool:
        async with stage.client(cast["command_api"]) as client:
            answers = await asyncio.gather(*(client.post("/people", json=one) for one in people(40)))
        return {answer.status_code for answer in answers} == {503}

    try:
        # A policy takes effect after a while, and a quorum queue stops a little late.
        await eventually(all_are_full)
        # A command API whose every partition refuses is not ready; it answers all the same.
        hasty = stage.service("command_api", ROLLCALL_IMPORT_PATIENCE="0.5")
        hasty.spawn()
        async with stage.client(hasty) as commands:
            await eventually(lambda: connected(commands))
            told = await send(commands, csv_of(rows), import_id=import_id)
        hasty.kill()
        stage.services.remove(hasty)
        assert (told["state"], "full" in told["reason"]) == ("interrupted", True)
        assert told["read"] < 200
        async with stage.client(cast["command_api"]) as commands, stage.client(cast["query_api"]) as queries:
            left = (await queries.get(f"/imports/{import_id}?consistency=strong")).json()
            assert left["state"] == "interrupted"
            waiting = asyncio.create_task(send(commands, csv_of(rows), import_id=import_id))

            async def refused() -> bool:
                return (await commands.post("/people", json=people(1)[0])).status_code == 503

            # Single commands are told at once, and the import waits.
            await eventually(refused)
            assert not waiting.done()
            lenient = (*full[:-1], '{"max-length":100000}')
            await asyncio.to_thread(stage.rabbit.ctl, *lenient)
            assert (await asyncio.wait_for(waiting, 30))["accepted"] == 200
    finally:
        stage.rabbit.ctl("clear_policy", "full")
        worker.spawn()
        await worker.wait_ready()
    async with stage.client(cast["query_api"]) as queries:
        assert (await finished(queries, import_id))["applied"] == 200
    assert in_the_log(stage, import_id) == (200,) * 3


@on_a_set
async def test_only_so_many_imports_are_read_at_once(stage, cast):
    go = asyncio.Event()
    async with stage.client(cast["command_api"]) as commands, stage.client(cast["query_api"]) as queries:
        ids = [str(uuid4()) for _ in range(3)]
        first = [asyncio.create_task(send(commands, held(file_of(people(4)), go), import_id=i)) for i in ids]

        async def all_begun() -> bool:
            found = [await queries.get(f"/imports/{i}?consistency=strong") for i in ids]
            return all(one.status_code == 200 for one in found)

        await eventually(all_begun)
        refused = await commands.post("/people/import", content=csv_of(people(1)), headers=CSV)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:rollcall:problem:busy")
        assert int(refused.headers["retry-after"]) > 0
        go.set()
        assert [told["accepted"] for told in await asyncio.gather(*first)] == [4, 4, 4]
        assert (await send(commands, csv_of(people(1))))["accepted"] == 1


@on_a_set
async def test_an_api_that_is_stopped_notes_how_far_it_came(stage, cast):
    rows, import_id, go, api = people(150), str(uuid4()), asyncio.Event(), cast["command_api"]
    async with stage.client(api) as commands, stage.client(cast["query_api"]) as queries:
        sending = asyncio.create_task(send(commands, held(file_of(rows), go), import_id=import_id))

        async def begun() -> bool:
            return await read_so_far(queries, import_id) > 0

        await eventually(begun)
        stopping = asyncio.create_task(asyncio.to_thread(api.stop))
        await asyncio.sleep(0.2)
        go.set()
        # It is told, or finds its connection closed while it sends.
        await asyncio.gather(sending, return_exceptions=True)
        assert await stopping == 0
        left = (await queries.get(f"/imports/{import_id}?consistency=strong")).json()
        assert (left["state"], left["reason"]) == ("interrupted", "the command API is being stopped")
        assert 0 < left["read"] < 150
        api.spawn()
        await api.wait_ready()
        assert (await send(commands, csv_of(rows), import_id=import_id))["accepted"] == 150
        assert (await finished(queries, import_id))["applied"] == 150
