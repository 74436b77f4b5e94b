"""Holds the log, the read model and the queues against what clients were promised."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from events.log.event import GENESIS, hash_of
from events.log.stored import event_of
from events.person.decider import fold
from service_kit.broker.topology import COMMANDS
from service_kit.mongo.collections import keys_database
from service_kit.mongo.keys import key_in
from service_kit.read_model import person_document
from service_kit.seals.kek import Keks
from service_kit.seals.opening import ERASED, open_document, prove_values
from service_kit.seals.wrapping import KEYS
from tests.claims import names_in
from tests.default_schema import UNIQUE_EMAIL
from tests.system import PATIENCE, TEST_KEKS, System, eventually


def _all(client: MongoClient[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)
    collection = client["rollcall"].get_collection(
        name, codec_options=options, read_concern=ReadConcern("majority")
    )
    return list(collection.find())


def opened(client: MongoClient[dict[str, Any]], events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events' documents with their values, proved; nobody is erased here."""
    wanted = {"_id": {"$in": list({one["person_id"] for one in events})}}
    rows = client[keys_database("rollcall")][KEYS].find(wanted)
    keys = {row["_id"]: key_in(row, Keks(TEST_KEKS)) for row in rows}
    found = []
    for document in events:
        key = keys[document["person_id"]]
        assert key is not ERASED
        if document["sealed_fields"]:
            prove_values(document, key)
        found.append(open_document(document, key))
    return found


def undecided(system: System, accepted: set[str]) -> int:
    """Return how many accepted commands are neither in the log nor refused."""
    with MongoClient[dict[str, Any]](system.mongo.uri) as client:
        db = client["rollcall"]
        known = {
            document["command_id"]
            for name in ("events", "rejections")
            for document in db[name].find({}, {"command_id": 1})
        }
    return len(accepted - known)


async def settled(system: System, accepted: set[str], within: float = PATIENCE) -> None:
    """Return when every accepted command is decided and no queue holds any; fail if not in time."""

    async def at_rest() -> bool:
        try:
            missing = await asyncio.to_thread(undecided, system, accepted)
        except PyMongoError:
            return False  # no primary yet
        return not missing and not await depths(system)

    await eventually(at_rest, within=within, pause=0.3)


def check(system: System, accepted: set[str]) -> dict[str, int]:
    """Assert all that the system promises of a log at rest; return what was counted.

    Args:
        system: Where.
        accepted: Ids of the commands that were answered with 202.
    """
    with MongoClient[dict[str, Any]](system.mongo.uri) as client:
        events = [event_of(one) for one in opened(client, _all(client, "events"))]
        people = {document["_id"]: document for document in _all(client, "people")}
        rejected = [document["command_id"] for document in _all(client, "rejections")]
        claims = {document["_id"]: document["person_id"] for document in _all(client, "claims")}
    applied = [event.command_id for event in events]
    assert len(applied) == len(set(applied)), "a command is in the log twice"
    assert len(rejected) == len(set(rejected)), "a command was refused twice"
    assert not set(applied) & set(rejected), "a command was applied and refused"
    missing = accepted - set(applied) - set(rejected)
    assert not missing, f"{len(missing)} accepted commands were lost"
    streams = defaultdict(list)
    for event in events:
        streams[event.person_id].append(event)
    held: dict[str, str] = {}
    names = names_in(system, "rollcall", UNIQUE_EMAIL)
    for person_id, stream in streams.items():
        stream.sort(key=lambda event: event.version)
        assert [event.version for event in stream] == list(range(1, len(stream) + 1)), person_id
        previous = GENESIS
        for event in stream:
            assert (event.prev, event.hash) == (previous, hash_of(event)), person_id
            previous = event.hash
        state = fold(person_id, stream)
        assert people.pop(person_id) == person_document(state, UNIQUE_EMAIL)
        held |= dict.fromkeys(names.held(state.fields), person_id)
    assert not people, "the read model has people that the log does not know"
    assert claims == held
    return {"events": len(events), "rejections": len(rejected), "people": len(streams)}


async def depths(system: System) -> dict[str, int]:
    """Return the number of messages, waiting or delivered and not acknowledged, of each queue with any."""
    said = await asyncio.to_thread(
        system.rabbit.ctl, "list_queues", "--quiet", "--no-table-headers", "name", "messages"
    )
    found = dict(line.split() for line in said.splitlines())
    return {name: int(count) for name, count in found.items() if name.startswith(COMMANDS) and int(count)}
