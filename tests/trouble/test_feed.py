"""The feed after the broker forgot some of it, and the log after MongoDB did: found, told, mended in order."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
import httpx
import pytest
from pymongo import MongoClient

from events.errors import BrokerUnavailable
from service_kit.broker.connection import connect
from service_kit.broker.declaring import declare
from service_kit.broker.feed_comparison import entries
from service_kit.broker.stream import probe
from service_kit.broker.topology import EVENT_LOG
from tests.system import ROOT, TOPOLOGIES, eventually, new_person

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES[:1], indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}
WITHIN = 60


def verb(stage, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a verb against the stage."""
    return subprocess.run(
        [sys.executable, "-m", "operations", *words],
        cwd=ROOT,
        env={**os.environ, **stage.environment(), "ROLLCALL_STATE_DIR": str(stage.directory / "state")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def grown(commands, count: int) -> list[str]:
    """Make some people of three versions each."""

    async def one() -> str:
        body, key = new_person(), str(uuid4())

        async def create():
            return await commands.post("/people", json=body, headers={**WAIT, "Idempotency-Key": key})

        response = await eventually(lambda: answered(create, 201), within=WITHIN)
        id_ = response.json()["id"]
        for number in range(2):
            change = {"address": f"Street {number}"}

            headers = {**WAIT, "Idempotency-Key": str(uuid4())}

            async def update(change=change, headers=headers):
                return await commands.patch(f"/people/{id_}", json=change, headers=headers)

            await eventually(lambda update=update: answered(update, 200), within=WITHIN)
        return id_

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def answered(send, status: int):
    """Return the response if it is the one that is wanted."""
    response = await send()
    return response if response.status_code == status else None


async def in_feed(stage) -> list[tuple[str, int, str]]:
    """Return person, version and id of each event in the feed, in order."""
    async with await connect(stage.rabbit.url, "test") as connection:
        last = await probe(connection, "last")
        if not last:
            return []
        return [
            (entry.person_id, entry.version, entry.event_id)
            async for entry in entries(connection, "first", last[-1].offset)
            if entry.event_id
        ]


def in_log(stage, people) -> list[tuple[str, int, str]]:
    """Return the same of the log, for some people."""
    with MongoClient(stage.mongo.uri) as client:
        found = client["rollcall"]["events"].find({"person_id": {"$in": people}})
        return [(one["person_id"], one["version"], one["_id"]) for one in found.sort("version", 1)]


async def whole_again(stage, people, within: float = WITHIN) -> list[tuple[str, int, str]]:
    """Return the feed once it has all of some people's events."""
    wanted = set(in_log(stage, people))
    assert len(wanted) == 3 * len(people)

    async def complete():
        try:
            found = await in_feed(stage)
        except BrokerUnavailable:
            return None
        return found if wanted <= set(found) else None

    return await eventually(complete, within=within, pause=1)


def assert_in_order(feed, people) -> None:
    """Assert that each person's events come in order of version, repeats apart, and end with the newest."""
    for person in people:
        versions = [version for subject, version, _ in feed if subject == person]
        assert list(dict.fromkeys(versions)) == [1, 2, 3]
        assert versions[-1] == 3


async def emptied(stage) -> None:
    """Take the stream away, and make another one in its place."""
    async with await connect(stage.rabbit.url, "test") as connection:
        async with connection.channel() as channel:
            await channel.queue_delete(EVENT_LOG)
        await declare(connection, 8)


@pytest.fixture
async def commands(stage, cast):
    async with stage.client(cast["command_api"]) as client:
        yield client


@pytest.fixture
async def queries(stage, cast):
    async with stage.client(cast["query_api"]) as client:
        yield client


async def test_an_emptied_stream_is_filled_again_while_nothing_else_happens(stage, cast, commands):
    people = await grown(commands, 4)
    await whole_again(stage, people)
    await emptied(stage)
    assert await in_feed(stage) == []
    assert_in_order(await whole_again(stage, people), people)


async def test_what_comes_after_a_loss_comes_after_what_was_lost(stage, cast, commands):
    people = await grown(commands, 3)
    await whole_again(stage, people)
    once = {**WAIT, "Idempotency-Key": str(uuid4())}
    await asyncio.to_thread(stage.rabbit.kill)
    await emptied_files(stage)
    await asyncio.to_thread(stage.rabbit.start)
    response = await eventually(
        lambda: answered(
            lambda: commands.patch(f"/people/{people[0]}", json={"address": "New"}, headers=once), 200
        ),
        within=WITHIN,
    )
    assert response.headers["etag"] == '"4"'

    async def there():
        try:
            feed = await in_feed(stage)
        except BrokerUnavailable:
            return None
        return feed if (4 in [version for subject, version, _ in feed if subject == people[0]]) else None

    feed = await eventually(there, within=WITHIN, pause=1)
    assert list(dict.fromkeys(v for subject, v, _ in feed if subject == people[0])) == [1, 2, 3, 4]
    for service in cast.values():
        await service.wait_ready(WITHIN)


async def emptied_files(stage) -> None:
    """Let the broker forget everything it had."""
    shutil.rmtree(stage.rabbit.directory / "mnesia")


async def test_the_end_of_the_feed_that_a_restored_broker_lacks_is_announced_again(stage, cast, commands):
    before = await grown(commands, 2)
    await whole_again(stage, before)
    mnesia, copy = stage.rabbit.directory / "mnesia", stage.directory / "copy"
    await asyncio.to_thread(stage.rabbit.stop)
    shutil.copytree(mnesia, copy)
    await asyncio.to_thread(stage.rabbit.start)
    after = await grown(commands, 3)
    await whole_again(stage, after)
    await asyncio.to_thread(stage.rabbit.stop)
    shutil.rmtree(mnesia)
    copy.rename(mnesia)
    await asyncio.to_thread(stage.rabbit.start)
    feed = await whole_again(stage, [*before, *after])
    assert_in_order(feed, [*before, *after])
    assert verb(stage, "feed", "check").returncode == 0


async def test_the_verb_names_what_the_feed_lacks_and_mends_it(stage, cast, commands):
    people = await grown(commands, 2)
    await whole_again(stage, people)
    cast["workers"].stop()
    try:
        await emptied(stage)
        async with await connect(stage.rabbit.url, "test") as connection, connection.channel() as channel:
            exchange = await channel.get_exchange("events")
            await exchange.publish(aio_pika.Message(b"no event"), "person.created")
        wanted = {(person, version) for person in people for version in (1, 2, 3)}
        await eventually(lambda: named(stage, wanted), within=WITHIN)
        assert verb(stage, "feed", "mend").returncode == 0
        assert verb(stage, "feed", "check").returncode == 0
        assert_in_order(await in_feed(stage), people)
    finally:
        cast["workers"].spawn()
        await cast["workers"].wait_ready()


async def test_workers_that_run_announce_what_is_to_be_mended(stage, cast, commands):
    """They took the feed for whole: their newest mark is there."""
    people = await grown(commands, 2)
    feed = await whole_again(stage, people)
    newest = feed[-1]
    cast["workers"].stop()
    try:
        body = (await in_feed_bodies(stage))[newest[2]]
        await emptied(stage)
        async with await connect(stage.rabbit.url, "test") as connection, connection.channel() as channel:
            exchange = await channel.get_exchange("events")
            await exchange.publish(aio_pika.Message(body), "person.updated")
        now = datetime.now(UTC)
        mark = {"offset": 0, "event_id": newest[2], "floor": now, "made_at": now}
        with MongoClient(stage.mongo.uri) as client:
            client["rollcall"]["feed_marks"].update_many({}, {"$set": {"marks": [mark]}})
    finally:
        cast["workers"].spawn()
        await cast["workers"].wait_ready()
    assert {event for _, _, event in await in_feed(stage)} == {newest[2]}
    done = await asyncio.to_thread(verb, stage, "feed", "mend")
    assert (done.returncode, "events again" in done.stderr) == (0, True), done
    assert_in_order((await in_feed(stage))[1:], people)
    await cast["workers"].wait_ready()
    with MongoClient(stage.mongo.uri) as client:
        assert client["rollcall"]["feed_marks"].count_documents({"asked": {"$exists": True}}) == 0


async def in_feed_bodies(stage) -> dict[str, bytes]:
    """Return what was announced in the feed, by the event's id."""
    async with await connect(stage.rabbit.url, "test") as connection:
        last = await probe(connection, "last")
        found = entries(connection, "first", last[-1].offset)
        return {entry.event_id: entry.body async for entry in found if entry.event_id}


async def named(stage, wanted: set[tuple[str, int]]) -> bool:
    """Return whether `feed check` names some events: those of the last seconds it still leaves alone."""
    done = await asyncio.to_thread(verb, stage, "feed", "check", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode == 1 and wanted <= {(one["person_id"], one["version"]) for one in lines}


async def test_a_log_that_is_older_than_the_feed_is_named_and_not_appended_to(stage, cast, commands, queries):
    lost, kept = await grown(commands, 2)
    await whole_again(stage, [lost, kept])
    worker = cast["workers"]
    worker.stop()
    with MongoClient(stage.mongo.uri) as client:
        db = client["rollcall"]
        marks = list(db["feed_marks"].find())
        db["events"].delete_one({"person_id": lost, "version": 3})
        db["people"].delete_one({"_id": lost})
        assert marks
    # Nobody but the feed knows yet.
    early = verb(stage, "verify")
    assert (early.returncode, f"person {lost}, version 3: the feed knows" in early.stdout) == (1, True)
    worker.spawn()

    async def told():
        async with stage.client(worker) as client:
            response = await client.get("/readyz")
            return response.status_code == 503 and "log lacks" in response.json()["parts"]["feed"]

    try:
        await eventually(lambda: quiet(told), within=WITHIN, pause=0.5)
        response = await commands.patch(
            f"/people/{lost}", json={"address": "x"}, headers={"Prefer": "wait=5"}
        )
        assert (response.status_code, response.json()["status"]) == (202, "parked")
        where = f"/people/{lost}/commands/{response.json()['command_id']}?consistency=strong"
        assert (await queries.get(where)).json()["reason"] == "log-behind-feed"
        response = await commands.patch(f"/people/{kept}", json={"address": "x"}, headers=WAIT)
        assert response.status_code == 200
        proof = verb(stage, "verify")
        assert proof.returncode == 1
        assert f"person {lost}, version 3: the feed knows" in proof.stdout
        found = verb(stage, "feed", "check")
        assert (found.returncode, f"person {lost}, version 3: the log lacks it" in found.stdout) == (1, True)
        assert verb(stage, "dead-letters", "retry", lost).returncode == 1
        assert verb(stage, "feed", "check", "--accept-loss").returncode == 0
        await worker.wait_ready(WITHIN)
        assert verb(stage, "dead-letters", "retry", lost).returncode == 0
        assert in_log(stage, [lost])[-1][1] == 3
        assert verb(stage, "feed", "check").returncode == 0
    finally:
        verb(stage, "feed", "check", "--accept-loss")


async def quiet(check):
    """Return what a check says; nothing while the service does not answer."""
    try:
        return await check()
    except httpx.TransportError:
        return None
