"""Replaying the log, as lines and into a queue; and a log in an older schema, all the way."""

import asyncio
import json
from contextlib import asynccontextmanager, closing
from datetime import timedelta

import orjson

from events.log.event import GENESIS, export_line
from events.log.stored import event_document
from events.person.decider import fold
from events.times import rfc3339
from operations.log_opening import Opening
from operations.log_walk import Range
from operations.rebuild.connections import Rebuilding
from operations.rebuild.rebuilding import PeopleWalker
from query_api.history.filters import HistoryQuery
from query_api.history.folding import Folds
from query_api.history.queries import LogReads
from query_api.people.queries import Reads
from service_kit.broker.announcements import announcement
from service_kit.broker.connection import connect
from service_kit.ids import new_id
from service_kit.read_model import person_document
from tests import older
from tests.chained import SEALING, event, resealed
from tests.chained import stream as chained
from tests.claims import known_names
from tests.default_schema import SCHEMA
from tests.store.given import KEKS, keys_of, run, stream, update
from tests.store.log import Log, harm
from tests.system import eventually


def put(log: Log, *streams) -> list:
    """Put streams into the log as they are; return their events in order of time, then version."""
    events = [event for one in streams for event in one]
    harm(log, lambda collection: collection.insert_many([event_document(one) for one in events]))
    return sorted(events, key=lambda one: (one.applied_at, one.version))


async def replay(log: Log, *words):
    """Run the verb; return its status, its lines, and where it says to go on."""
    status, out, err = await log.inside("replay", *words)
    return status, out.splitlines(), err


async def everywhere(log: Log, count: int) -> None:
    """Return once every member has so many events: a replay reads from any."""

    async def all_have_them():
        status, out, _ = await replay(log, "--to", "ndjson")
        return status == 0 and len(out) == count

    await eventually(all_have_them)


async def test_lines_are_those_of_an_export_and_go_on_where_they_ended(log, tmp_path):
    ids = [new_id() for _ in range(4)]
    events = put(log, *(chained(one, 3) for one in ids))
    await everywhere(log, 12)
    status, out, err = await replay(log, "--to", "ndjson")
    assert (status, sorted(out)) == (0, sorted(map(export_line, events)))
    assert [json.loads(line)["version"] for line in out] == [1] * 4 + [2] * 4 + [3] * 4
    end = rfc3339(events[-1].applied_at + timedelta(milliseconds=1))
    assert "All 12 events" in err and f"--from {end}" in err

    file = tmp_path / "log.ndjson"
    middle = rfc3339(events[4].applied_at)
    status, out, err = await replay(log, "--to", "ndjson", "--out", file, "--until", middle)
    assert (status, out, len(file.read_bytes().splitlines())) == (0, [], 4)
    assert file.stat().st_mode & 0o777 == 0o600
    place = err.rpartition("--from ")[2].strip(" .\n")
    # The place and the next event are apart, but nothing is between them.
    rest = await replay(log, "--to", "ndjson", "--from", place)
    assert sorted([*file.read_bytes().splitlines(), *rest[1]]) == sorted(map(export_line, events))
    assert (await replay(log, "--to", "ndjson", "--out", file))[0] == 1

    only = ("--person", ids[1], "--type", "person.updated", "--actor", "ada")
    chosen = [one for one in events if one.person_id == ids[1] and one.version > 1]
    status, out, err = await replay(log, "--to", "ndjson", *only)
    assert (status, out) == (0, list(map(export_line, chosen)))


async def test_a_replay_begins_at_an_event(log):
    events = put(log, [resealed(one, event_id=new_id()) for one in chained(new_id(), 3)])
    await everywhere(log, 3)
    status, out, _ = await replay(log, "--to", "ndjson", "--from", events[1].event_id)
    assert (status, out) == (0, list(map(export_line, events[1:])))
    status, _, err = await replay(log, "--to", "ndjson", "--from", new_id())
    assert status == 1 and "The log has no event" in err
    assert (await replay(log, "--to", "ndjson", "--from", "soon"))[0] == 1
    assert (await replay(log, "--to", "amqp"))[0] == 1


@asynccontextmanager
async def queue(system, name: str, **arguments):
    """A queue of a new subscriber, and what it has."""
    async with await connect(system.rabbit.url, "tests") as connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(
            name, durable=True, arguments={"x-queue-type": "quorum", **arguments}
        )
        try:
            yield declared
        finally:
            await channel.queue_delete(name)


async def test_a_queue_gets_what_was_announced_and_nobody_else_does(log, system, monkeypatch):
    ids = [new_id() for _ in range(30)]
    events = put(log, *([resealed(one, event_id=new_id()) for one in chained(each, 3)] for each in ids))
    # What happens to accounts is told to no subscriber.
    put(log, [event("account:ada", 1, GENESIS, type="account.created", event_id=new_id())])
    await everywhere(log, 91)
    accounts = await replay(log, "--to", "amqp", "--queue", "events.nobody", "--type", "account.created")
    assert accounts[0] == 1 and "events of people only" in accounts[2]
    missing = await replay(log, "--to", "amqp", "--queue", "events.nobody")
    assert missing[0] == 1 and "RabbitMQ has no queue events.nobody" in missing[2]

    async with queue(system, "events.newcomer") as inbox:
        status, _, err = await replay(log, "--to", "amqp", "--queue", "events.newcomer")
        assert status == 0, err
        messages = [await inbox.get(timeout=60) for _ in events]
        for message in messages:
            await message.ack()
        assert await inbox.get(fail=False) is None
        assert sorted(one.body for one in messages) == sorted(map(announcement, events))
        versions: dict[str, int] = {}
        for one in messages:
            content = orjson.loads(one.body)
            assert content["version"] == versions.get(content["subject"], 0) + 1
            versions[content["subject"]] = content["version"]
            assert (one.message_id, one.type) == (content["id"], content["type"])
            assert (one.content_type, one.delivery_mode) == ("application/cloudevents+json", 2)

    # A queue that takes ten: it waits for a while, and says how far it has come.
    monkeypatch.setattr("operations.replay.queue.PATIENCE_SECONDS", 0.5)
    full = {"x-max-length": 10, "x-overflow": "reject-publish"}
    async with queue(system, "events.full", **full) as inbox:
        status, _, err = await replay(log, "--to", "amqp", "--queue", "events.full")
        assert status == 1
        assert (
            "RabbitMQ: publishing" in err and "Stopped after 0 events" in err and "from the beginning" in err
        )

        async def emptied():
            while message := await inbox.get(fail=False):
                await message.ack()
                seen.add(message.message_id)
            return going_on.done()

        seen: set[str] = set()
        monkeypatch.setattr("operations.replay.queue.PATIENCE_SECONDS", 30)
        going_on = asyncio.create_task(replay(log, "--to", "amqp", "--queue", "events.full"))
        await eventually(emptied)
        await emptied()
        assert (await going_on)[0] == 0, (await going_on)[2]
        assert seen == {one.event_id for one in events}


async def test_a_log_in_an_older_schema_is_read_rebuilt_and_replayed(log, mongo_clients, monkeypatch):
    older.read_as_later(monkeypatch)
    person_id = new_id()
    await keys_of(log.store).insert({person_id: SEALING})
    events = put(log, older.older_stream(person_id))
    with closing(
        PeopleWalker(
            Rebuilding(
                log.address,
                SCHEMA,
                claims=known_names(SCHEMA),
                check=False,
                opening=Opening(log.address.database, KEKS),
            )
        )
    ) as walker:
        done = walker.walk(Range(0, None, None))
    assert (done.found, done.repaired["missing"], done.events) == ([], 1, 3)
    document = await log.store._people.find_one({"_id": person_id})
    assert document == person_document(fold(person_id, events), SCHEMA)
    assert (document["first_name"], document["last_name"]) == ("Zoé", "Ñu")

    # Reads of what was.
    found = Reads(mongo_clients["pymongo"], log.address.database)
    keys = keys_of(log.store)
    reads = LogReads(found, Folds(found, 3.0, keys, SCHEMA), SCHEMA, keys)
    first = await reads.past("ada", person_id, version=1, as_of=None, strong=True)
    assert first.documents[0]["last_name"] == "Ríos"
    then = await reads.past("ada", person_id, version=None, as_of=events[1].applied_at, strong=True)
    assert then.documents[0]["first_name"] == "Zoé"
    history = await reads.history("ada", person_id, HistoryQuery(consistency="strong"))
    assert history.answer.documents[1]["changes"]["first_name"] == {"from": "Ana", "to": "Zoé"}

    # A worker that folds the log: its copy of the person is of another form.
    harm(log, lambda people: people.update_one({"_id": person_id}, {"$set": {"projection": 0}}), "people")
    await run(log.store, update(person_id, occupation="Baker"))
    new = await stream(log.store, person_id)
    assert (len(new), new[3].data) == (4, {"occupation": "Baker"})
    document = await log.store._people.find_one({"_id": person_id})
    assert document == person_document(fold(person_id, new), SCHEMA)

    # What proves and copies is the same to the byte.
    assert await log.verify() == set()
    await everywhere(log, 4)
    status, out, _ = await replay(log, "--to", "ndjson", "--person", person_id)
    assert (status, out) == (0, list(map(export_line, new)))
    assert {"name", "document_id"} <= set(json.loads(out[0])["sealed_fields"])
