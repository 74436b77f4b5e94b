"""Seals what benchmarks put into the log themselves, and gives its people their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import MongoClient

from bench.payloads import SCHEMA
from events.log.commitments import jcs
from events.log.event import ATTRIBUTES
from service_kit.mongo.collections import keys_database
from service_kit.seals.kek import Keks
from service_kit.seals.person_key import PersonKey
from service_kit.seals.wrapping import KEYS


def put_keys(
    client: MongoClient[dict[str, Any]], database: str, keys: Mapping[str, PersonKey], keks: Keks
) -> None:
    """Put people's keys on record.

    Args:
        client: Of the servers.
        database: Name of the database of people.
        keys: By person id.
        keks: What they are wrapped by.
    """
    rows = []
    for person_id, key in keys.items():
        kek, wrapped = key.wrapped(person_id, keks)
        rows.append({"_id": person_id, "kek": kek, "key": wrapped})
    client[keys_database(database)][KEYS].insert_many(rows, ordered=False)


def sealed(document: Mapping[str, Any], key: PersonKey) -> dict[str, Any]:
    """Return an event whose hashes are made up as the log would keep it: it opens, and proves nothing.

    Args:
        document: With its values in the clear.
        key: The person's.
    """
    secret = {name: document[at] for name, at in ATTRIBUTES.items() if at in document}
    secret |= {name: value for name, value in sorted(document["data"].items()) if name not in SCHEMA.clear}
    clear = {name: value for name, value in document.items() if name not in ATTRIBUTES.values()}
    return {
        **clear,
        "data": {name: value for name, value in document["data"].items() if name in SCHEMA.clear},
        "sealed_fields": list(secret),
        "values": document["hash"],
        "sealed": key.seal(document["hash"], jcs(secret)),
    }
