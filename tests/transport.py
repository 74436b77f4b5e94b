"""Messages sealed as the services seal them, under a transport key that tests know, or under a system's."""

import re
from datetime import UTC, datetime
from typing import Any

import orjson
from pymongo import MongoClient

from events.person.envelope import Envelope
from service_kit.mongo.collections import keys_database
from service_kit.mongo.transport_keys import TransportKeys
from service_kit.seals.kek import KekFile, Keks, load_keks
from service_kit.seals.messages import KEY_ID, sealed_command, sealed_message
from service_kit.seals.transport import TransportKey
from service_kit.seals.wrapping import TRANSPORT
from tests.claims import names_in
from tests.default_schema import SCHEMA
from tests.system import TEST_KEKS, System

DAY = datetime(2026, 1, 31, 8, tzinfo=UTC)
KEY = TransportKey(DAY.date().isoformat(), b"t" * 32)


def known_keys() -> TransportKeys:
    """Return transport keys without a database: the one that tests know."""
    keys = TransportKeys(None, "rollcall", Keks(TEST_KEKS), lambda: DAY)
    keys.take([KEY])
    return keys


def sealed(command: Envelope, key: TransportKey = KEY) -> bytes:
    """Return a command or control as it travels."""
    return sealed_command(key, command)


def sealed_as_it_is(message: dict[str, Any], key: TransportKey = KEY) -> bytes:
    """Return a message as it travels, whatever is in it."""
    return sealed_message(
        key,
        id_=message["id"],
        type_=message["type"],
        source=message["source"],
        content=orjson.dumps(message),
        person_id=message["subject"],
    )


def share_keys(system: System, database: str) -> None:
    """Give a database without workers what they make: a secret of claims, and the transport keys of those that
    run, who read the same queues."""
    names_in(system, database, SCHEMA)
    with MongoClient[dict[str, Any]](system.mongo.uri) as client:
        rows = client[keys_database("rollcall")][TRANSPORT].find({"key": {"$exists": True}}).to_list()
        client[keys_database(database)][TRANSPORT].insert_many(rows)


def key_in(system: System, id_: str | re.Pattern[str] = KEY_ID) -> TransportKey:
    """Return a transport key of a system, whose workers made it: the one with an id, or any."""
    keks = load_keks(KekFile(system.kek_file))
    with MongoClient[dict[str, Any]](system.mongo.uri) as client:
        row = client[keys_database("rollcall")][TRANSPORT].find_one({"_id": id_, "key": {"$exists": True}})
    assert row is not None
    return TransportKey.unwrapped(row["_id"], row["kek"], row["key"], keks)
