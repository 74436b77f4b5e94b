"""Reads right after a waited answer, and of what a secondary lacks, from secondaries that are well or lag."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from pymongo import MongoClient

from tests.firehose import Firehose, request
from tests.system import TOPOLOGIES, System, eventually, new_person
from tests.trouble.lagging import lagging

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES, indirect=True, scope="session")
CLIENTS = 6


class Writers:
    """Clients that create and change people, wait for each answer, and read at once what it tells of.

    Attributes:
        shown: How many reads showed it.
        stale: What the others said.
    """

    def __init__(self, system: System, cast: dict) -> None:
        self._commands, self._queries = cast["command_api"].port, cast["query_api"].port
        self._token = system.token()
        self.shown = 0
        self.stale: list[tuple[str, int, int]] = []

    async def run(self, rounds: int) -> None:
        """Write that often in all, half of it creates."""
        await asyncio.gather(*(self._client(rounds // CLIENTS) for _ in range(CLIENTS)))

    async def _client(self, rounds: int) -> None:
        write, read = Firehose(self._commands), Firehose(self._queries)
        try:
            for number in range(rounds):
                if number % 2 == 0:
                    raw = request("POST", "/people", self._token, new_person(), Prefer="wait=20")
                    version = 1
                else:
                    body, version = {"address": f"Calle {number}"}, 2
                    raw = request("PATCH", f"/people/{person}", self._token, body, Prefer="wait=20")  # noqa: F821
                answer = await write.send(raw)
                assert answer.status in (200, 201), answer
                person = answer.body["id"]
                seen = await read.send(request("GET", f"/people/{person}", self._token))
                if seen.status == 200 and seen.body["version"] >= version:
                    self.shown += 1
                else:
                    self.stale.append((person, seen.status, version))
        finally:
            write.close()
            read.close()


@asynccontextmanager
async def readers(stage: System, port: int, count: int) -> AsyncIterator[None]:
    """Let so many reads be under way at once for as long as the block runs."""

    async def read() -> None:
        hose = Firehose(port)
        try:
            while True:
                await hose.send(request("GET", "/people?limit=5", stage.token()))
        finally:
            hose.close()

    running = [asyncio.create_task(read()) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended


async def on_record(stage: System) -> bool:
    """Return whether a lag is."""

    def count() -> int:
        with MongoClient(stage.mongo.uri) as client:
            return len(client["rollcall"]["lags"].find({"expires_at": {"$exists": True}}).to_list())

    return await asyncio.to_thread(count) > 0


async def all_caught_up(stage: System) -> None:
    async def none() -> bool:
        return not await on_record(stage)

    await eventually(none, within=40, pause=0.2)


LONG = pytest.param(2000, marks=pytest.mark.long)


@pytest.mark.parametrize("rounds", [300, LONG])
async def test_a_read_after_a_waited_answer_shows_it(stage, cast, rounds):
    writers = Writers(stage, cast)
    await writers.run(rounds)
    assert (writers.shown, writers.stale) == (rounds, [])


@pytest.mark.parametrize("rounds", [120, LONG])
async def test_it_does_under_many_reads_at_once(stage, cast, rounds):
    writers = Writers(stage, cast)
    async with readers(stage, cast["query_api"].port, 60):
        await writers.run(rounds)
    assert (writers.shown, writers.stale) == (rounds, [])


@pytest.mark.parametrize("rounds", [120, LONG])
async def test_it_does_with_a_secondary_that_is_slow(stage, cast, rounds):
    writers = Writers(stage, cast)
    async with lagging(stage, 0.3):
        await writers.run(rounds)
    assert (writers.shown, writers.stale) == (rounds, [])


async def test_it_does_with_a_secondary_that_applies_nothing_and_goes_back_to_it(stage, cast):
    writers = Writers(stage, cast)
    async with stage.client(cast["query_api"]) as queries:
        async with lagging(stage):
            began = asyncio.get_running_loop().time()
            await writers.run(CLIENTS)
            # Nothing waits for the member a second time.
            await writers.run(120)
            assert asyncio.get_running_loop().time() - began < 60
            assert (writers.shown, writers.stale) == (120 + CLIENTS, [])
            assert await on_record(stage)
            if not stage.routed:
                assert (await queries.get("/people")).headers["x-read-from"].endswith("(primary)")
        await all_caught_up(stage)
        if not stage.routed:

            async def from_a_secondary() -> bool:
                return (await queries.get("/people")).headers["x-read-from"].endswith("(secondary)")

            await eventually(from_a_secondary)
    again = Writers(stage, cast)
    await again.run(CLIENTS)
    assert not again.stale


async def strongly(queries: httpx.AsyncClient, path: str) -> None:
    async def there() -> bool:
        return (await queries.get(path, params={"consistency": "strong"})).status_code == 200

    await eventually(there)


async def test_what_a_secondary_lacks_the_primary_is_asked_for(stage, cast):
    """Nobody waits here, so reads go on from secondaries, one of which has nothing of this."""
    await all_caught_up(stage)
    async with stage.client(cast["query_api"]) as queries, stage.client(cast["command_api"]) as commands:
        for _ in range(12):
            # A shard's secondary cannot read a collection for the first time while it applies nothing.
            body = new_person()
            made = (await commands.post("/people", json=body, headers={"Prefer": "wait=20"})).json()
            await queries.get(f"/people/by-document/{made['document_type']}/{made['document_id']}")
            await queries.get(f"/people/{made['id']}/history")
            await queries.get(f"/people/{made['id']}/commands/{made['id']}")
        body = new_person()
        async with lagging(stage):
            created = (await commands.post("/people", json=body)).json()
            person = f"/people/{created['person_id']}"
            await strongly(queries, person)
            refused = (
                await commands.patch(person, json={"address": "x"}, headers={"If-Match": '"9"'})
            ).json()
            paths = [
                person,
                f"{person}?version=1",
                f"{person}/history",
                f"{person}/commands/{created['command_id']}",
                f"{person}/commands/{refused['command_id']}",
                f"/people/by-document/{body['document_type']}/{body['document_id']}",
            ]
            for path in paths:
                await strongly(queries, path)
            answers = [(path, (await queries.get(path)).status_code) for path in paths * 12]
            assert [one for one in answers if one[1] != 200] == []
            assert not await on_record(stage)
