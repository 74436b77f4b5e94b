"""Reads right after a waited answer, and of what a secondary lacks, from secondaries that are well or lag."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient

from tests.firehose import Firehose, request
from tests.people_files import NDJSON, finished, ndjson_of, people, send
from tests.pictures import photo
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
        """Write that often in all, half of it creates; the clients have equal shares."""
        assert rounds % CLIENTS == 0
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

    await eventually(none, pause=0.2)


LONG = pytest.param(2004, marks=pytest.mark.long)


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


async def strongly(queries: httpx.AsyncClient, path: str) -> httpx.Response:
    """Return the primary's answer, once there is what is asked for."""

    async def there() -> httpx.Response | None:
        response = await queries.get(path, params={"consistency": "strong"})
        return response if response.status_code == 200 else None

    return await eventually(there)


async def parked(stage: System) -> str:
    """Return the id of a person of whom a command waits."""
    now = datetime.now(UTC)
    line = {"person_id": str(uuid4()), "command_id": str(uuid4()), "position": 1, "body": b"{}"}
    why = {"type": "person.update", "actor": "tester", "reason": "ValueError", "detail": "", "attempts": 1}

    def insert() -> None:
        with MongoClient(stage.mongo.uri, w="majority") as client:
            client["rollcall"]["parked"].insert_one({**line, **why, "accepted_at": now, "parked_at": now})

    await asyncio.to_thread(insert)
    return str(line["person_id"])


async def everything(
    stage: System, queries: httpx.AsyncClient, commands: httpx.AsyncClient
) -> dict[str, list[str]]:
    """Make one of each thing that a path can name; return the paths, each with words that its answer has."""
    body = new_person()
    created = (await commands.post("/people", json=body)).json()
    person = f"/people/{created['person_id']}"
    await strongly(queries, person)
    refused = (await commands.patch(person, json={"address": "x"}, headers={"If-Match": '"9"'})).json()
    files = {"file": ("me.jpg", photo(), "image/jpeg")}
    changed = (await commands.patch(f"{person}/image", files=files)).json()
    rows = people(2)
    rows[1]["email"] = "nobody"
    imported = f"/imports/{(await send(commands, ndjson_of([*rows, rows[0]]), NDJSON))['import_id']}"
    paths = {
        person: [created["person_id"]],
        f"{person}?version=1": [],
        f"{person}?version=2": [],
        f"{person}?min_version=2": [],
        f"{person}?as_of={datetime.now(UTC) + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}": [],
        f"{person}/history": ["person.created"],
        **{
            f"{person}/commands/{one['command_id']}": [status]
            for one, status in ((created, "applied"), (refused, "rejected"), (changed, "applied"))
        },
        f"/people/by-document/{body['document_type']}/{body['document_id']}": [created["person_id"]],
        imported: [],
        f"{imported}/errors": ["email", "document"],
        f"/dead-letters/{await parked(stage)}": ["ValueError"],
    }
    for path in paths:
        await strongly(queries, path)
    await finished(queries, imported.removeprefix("/imports/"))
    shown = (await strongly(queries, person)).json()
    return {**paths, shown["image_url"]: [], shown["thumbnail_url"]: []}


async def test_what_a_secondary_lacks_the_primary_is_asked_for(stage, cast):
    """Nobody waits here, so reads go on from secondaries, one of which has nothing of this."""
    await all_caught_up(stage)
    async with stage.client(cast["query_api"]) as queries, stage.client(cast["command_api"]) as commands:
        # A shard's secondary cannot read a collection for the first time while it applies nothing.
        known = [path for _ in range(12) for path in await everything(stage, queries, commands)]
        await asyncio.gather(*map(queries.get, known))
        async with lagging(stage):
            paths = await everything(stage, queries, commands)
            wrong = []
            for path, words in list(paths.items()) * 12:
                answer = await queries.get(path)
                if answer.status_code != 200 or not all(word in answer.text for word in words):
                    wrong.append((path, answer.status_code, answer.text[:200]))
            assert wrong == []
            assert not await on_record(stage)
