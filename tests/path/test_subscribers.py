"""Other systems: a queue of their own, or the stream from where they were; and the two examples."""

import asyncio
import csv
import subprocess
import sys
from contextlib import asynccontextmanager

import aiormq
import pytest

from service_kit.broker.connection import connect
from subscriber import SavedPosition, follow, subscribe
from tests.system import ROOT, TOPOLOGIES, eventually, new_person

# Subscribers know the broker only.
pytestmark = pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}


async def create(commands, **changes) -> dict:
    response = await commands.post("/people", json=new_person(**changes), headers=WAIT)
    assert response.status_code == 201
    return response.json()


@asynccontextmanager
async def running(work):
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def broker(system):
    """A channel, and the queues of the subscriber `tester` gone at the end."""
    async with await connect(system.rabbit.url, "tests") as connection:
        channel = await connection.channel()
        yield channel
        for name in ("events.tester", "events.tester.dead"):
            await channel.queue_delete(name)


async def queue_is_there(channel_of, name):
    async with await connect(channel_of.rabbit.url, "tests") as connection:
        try:
            async with connection.channel() as channel:
                return (await channel.declare_queue(name, passive=True)).declaration_result.consumer_count
        except aiormq.exceptions.ChannelNotFoundEntity:
            return 0


async def test_a_queue_keeps_what_comes_while_nobody_runs(system, commands, broker):
    seen: list[str] = []

    async def handle(event):
        seen.append(event["subject"])

    def subscribing():
        return running(subscribe(system.rabbit.url, "tester", handle, topics=["person.created"]))

    async with subscribing():
        await eventually(lambda: queue_is_there(system, "events.tester"))
        first = await create(commands)
        await eventually(lambda: has(seen, first["id"]))
    second = await create(commands)
    async with subscribing():
        await eventually(lambda: has(seen, second["id"]))
    assert seen.count(second["id"]) == 1


async def has(seen, person_id):
    return person_id in seen


async def test_an_event_that_fails_is_tried_again_then_put_aside_and_the_rest_goes_on(
    system, commands, broker
):
    tries: list[str] = []

    async def handle(event):
        tries.append(event["subject"])
        if event["subject"] == tries[0]:
            raise ValueError("never")

    async with running(subscribe(system.rabbit.url, "tester", handle, topics=["person.created"], attempts=3)):
        await eventually(lambda: queue_is_there(system, "events.tester"))
        bad, good = await create(commands), await create(commands)
        await eventually(lambda: has(tries, good["id"]))
    assert tries == [bad["id"]] * 3 + [good["id"]]
    dead = await broker.declare_queue("events.tester.dead", passive=True)
    message = await eventually(lambda: dead.get(fail=False))
    await message.ack()
    assert bad["id"].encode() in message.body
    assert message.headers["x-rollcall-reason"].startswith("ValueError at test_subscribers.py:")


async def test_the_stream_is_followed_from_where_it_was(system, commands, broker, tmp_path):
    seen: list[tuple[str, str]] = []
    covered = []

    class Place(SavedPosition):
        def save(self, position):
            super().save(position)
            covered.append(len(seen))

    async def handle(event):
        seen.append((event["id"], event["subject"]))

    async def follows(person):
        """Follow until a person's event is handled and covered by the saved position."""

        async def kept():
            return person["id"] in [subject for _, subject in seen] and covered[-1] == len(seen)

        async with running(follow(system.rabbit.url, "tester", handle, Place(tmp_path / "place"))):
            await eventually(kept)
        return {event_id for event_id, _ in seen}

    first = await follows(await create(commands))
    seen.clear()
    again = await follows(await create(commands))
    assert again
    assert not first & again


@pytest.fixture
def example(system, services, tmp_path):
    """Start an example as its docstring says."""
    processes = []
    token_file = tmp_path / "subscriber.token"
    token_file.write_text(system.token("events:read"))
    settings = {
        "ROLLCALL_AMQP_URL": system.rabbit.url,
        "ROLLCALL_QUERY_URL": services["query_api"].url,
        "ROLLCALL_SUBSCRIBER_TOKEN_FILE": str(token_file),
    }

    def start(name, *arguments):
        with (tmp_path / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"examples.{name}", *arguments],
                cwd=ROOT,
                env={"PATH": "/usr/bin", **settings},
                stdout=log,
                stderr=log,
            )
        processes.append(process)
        return tmp_path / f"{name}.log"

    yield start
    for process in processes:
        process.kill()
        process.wait(60)


async def test_the_example_that_mirrors_people(commands, example, tmp_path):
    file = tmp_path / "people.csv"
    person = await create(commands, last_name="Mirrored")
    gone = await create(commands, last_name="Gone")
    log = example("mirror_to_csv", str(file))
    await commands.delete(f"/people/{gone['id']}", headers=WAIT)

    async def mirrored():
        rows = (
            {row["id"]: row for row in csv.DictReader(file.read_text().splitlines())} if file.exists() else {}
        )
        return rows.get(person["id"], {}).get("last_name") == "Mirrored" and gone["id"] not in rows

    await eventually(mirrored)
    assert "Traceback" not in log.read_text()


async def test_the_example_that_notifies(system, commands, example):
    person = await create(commands)
    log = example("notify_changes")
    await eventually(lambda: queue_is_there(system, "events.notify"))
    await commands.patch(f"/people/{person['id']}", json={"address": "Calle 9"}, headers=WAIT)

    async def told():
        return f"tester person.updated {person['id']}: address" in log.read_text()

    await eventually(told)
