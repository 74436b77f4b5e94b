"""A long export: in constant memory, from a secondary, never cut short unnoticed."""

from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from pymongo import AsyncMongoClient, MongoClient

from events.log.stored import event_document
from service_kit.ids import new_id
from service_kit.mongo.keys import PersonKeys
from tests.chained import SEALING, stream
from tests.system import Service, eventually
from tests.witness import Witness

DATABASE = "exported"
PEOPLE, EACH = 300, 100
COUNT = PEOPLE * EACH
NDJSON = {"Accept": "application/x-ndjson"}
SPARE_KB = 12_000
"""By how much the process may grow: less than what it sends."""


@pytest_asyncio.fixture(scope="module")
async def exporter(system, keks) -> AsyncIterator[Service]:
    """A query API on a log of many events."""
    system.initialise(DATABASE)
    people = [new_id() for _ in range(PEOPLE)]
    async with AsyncMongoClient(system.mongo.uri) as client:
        await PersonKeys(client, DATABASE, keks).insert(dict.fromkeys(people, SEALING))
    documents = (event_document(event) for person_id in people for event in stream(person_id, EACH))
    with MongoClient(system.mongo.uri) as client:
        while batch := list(islice(documents, 2_000)):
            for document in batch:
                document["_id"] = new_id()
            client[DATABASE]["events"].insert_many(batch, ordered=False)
    async with system.running("query_api", ROLLCALL_MONGO_DB=DATABASE) as service:
        yield service


def resident_kb(service: Service) -> int:
    assert service.process is not None
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def ticks(service: Service) -> int:
    assert service.process is not None
    words = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


async def at_rest(service: Service) -> None:
    """Return once the service has nothing to do but wait for its reader."""
    last = [-1] * 3

    async def still() -> bool:
        last.append(ticks(service))
        return last[-1] - last[-4] <= 1 and last[-4] >= 0

    await eventually(still, pause=0.3)


async def all_there(client: httpx.AsyncClient) -> bool:
    response = await client.get("/events", params={"limit": 1})
    # While a member lags, which a busy machine makes it do, the primary is asked.
    return bool(response.json()["items"]) and not response.headers["x-read-from"].endswith("(primary)")


async def test_a_slow_reader_costs_no_memory_and_gets_everything(system, exporter):
    async with system.client(exporter) as client:
        await eventually(lambda: all_there(client))
        await client.get("/events", headers=NDJSON, params={"to": "2026-01-31T08:00:20Z"})  # warm
        before = resident_kb(exporter)
        async with client.stream("GET", "/events", headers=NDJSON) as response:
            assert response.headers["x-read-from"].endswith("(router)" if system.routed else "(secondary)")
            chunks = response.aiter_bytes()
            first = await anext(chunks)
            await at_rest(exporter)
            assert resident_kb(exporter) - before < SPARE_KB
            # Others are answered meanwhile.
            assert (await client.get("/events", params={"limit": 5})).status_code == 200
            size, lines = len(first), first.count(b"\n")
            async for chunk in chunks:
                size, lines = size + len(chunk), lines + chunk.count(b"\n")
    assert lines == COUNT
    assert size > SPARE_KB * 1024
    assert resident_kb(exporter) - before < SPARE_KB


async def test_an_export_whose_rest_is_lost_does_not_look_complete(system, exporter):
    witness = Witness(system, DATABASE)
    try:
        async with system.client(exporter) as client:
            lines = 0
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                async with client.stream("GET", "/events", headers=NDJSON) as response:
                    async for chunk in response.aiter_bytes():
                        if not lines:
                            kill(witness)
                        lines += chunk.count(b"\n")
            assert 0 < lines < COUNT
    finally:
        witness.close()
    assert "an export broke off" in exporter.words()


def reading(witness: Witness) -> list[tuple[MongoClient, list[int]]]:
    """Return the cursors that are open on the log, by the member that has them."""
    found = []
    for client in witness.members.values():
        open_ = client.admin.aggregate(
            [
                {"$currentOp": {"allUsers": True, "idleCursors": True}},
                {"$match": {"ns": f"{DATABASE}.events", "cursor": {"$exists": True}}},
            ]
        )
        if cursors := [one["cursor"]["cursorId"] for one in open_]:
            found.append((client, cursors))
    return found


def kill(witness: Witness) -> None:
    """Kill what is being read of the log."""
    cursors = reading(witness)
    assert cursors
    for client, ids in cursors:
        client[DATABASE].command({"killCursors": "events", "cursors": ids})


# The development router has no way to kill what a routing member reads; mongos does.
@pytest.mark.parametrize("system", ["replica-set"], indirect=True, scope="session")
async def test_a_reader_who_leaves_leaves_no_cursor_behind(system, exporter):
    witness = Witness(system, DATABASE)
    try:
        async with system.client(exporter) as client:
            async with client.stream("GET", "/events", headers=NDJSON) as response:
                await anext(response.aiter_bytes())
                assert reading(witness)

            async def none_open() -> bool:
                return not reading(witness)

            await eventually(none_open)
    finally:
        witness.close()
