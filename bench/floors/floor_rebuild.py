"""The floor of `rebuild`: scans the log in order, opens and merges each person's data, writes in bulk.

It has all keys in memory before it begins, and proves nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from bench.floors.people import document_of

BATCH = 1_000


def main() -> None:
    """Write every person's document."""
    client: MongoClient[dict[str, Any]] = MongoClient(os.environ["ROLLCALL_MONGO_URI"])
    database = client.get_database(os.environ["ROLLCALL_MONGO_DB"], write_concern=WriteConcern("majority"))
    log = database["events"].find({}, sort=[("person_id", 1), ("version", 1)], batch_size=2 * BATCH)
    ciphers = dict(_ciphers(client, os.environ["ROLLCALL_MONGO_DB"]))
    streams = groupby(log, itemgetter("person_id"))
    documents = (document(stream, ciphers[person_id]) for person_id, stream in streams)
    while batch := list(islice(documents, BATCH)):
        database["people"].insert_many(batch, ordered=False)


def _ciphers(client: MongoClient[dict[str, Any]], database: str) -> Iterator[tuple[str, AESGCM]]:
    lines = Path(os.environ["ROLLCALL_KEK_FILE"]).read_text(encoding="ascii").splitlines()
    keks = {id_: AESGCM(bytes.fromhex(key)) for id_, key in map(str.split, lines)}
    for row in client[f"{database}_keys"]["keys"].find():
        bound = f"rollcall.key.2\0{row['_id']}\0{row['kek']}".encode()
        secret = keks[row["kek"]].decrypt(row["key"][:12], row["key"][12:], bound)
        yield row["_id"], AESGCM(secret[:32])


def document(stream: Iterable[dict[str, Any]], cipher: AESGCM) -> dict[str, Any]:
    """Return the person that events make."""
    fields: dict[str, Any] = {}
    created_at = None
    for event in stream:
        bound = f"rollcall.sealed.2\0{event['hash']}".encode()
        values = orjson.loads(cipher.decrypt(event["sealed"][:12], event["sealed"][12:], bound))
        fields |= {name: value for name, value in values.items() if not name.startswith("@")}
        created_at = created_at or event["applied_at"]
    times = (created_at or event["applied_at"], event["applied_at"])
    return document_of(event["person_id"], event["version"], fields, event["hash"], times)


if __name__ == "__main__":
    main()
