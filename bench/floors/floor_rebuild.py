"""The floor of `rebuild`: scans the log in order, merges each person's data, writes the documents in bulk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from bench.floors.people import document_of

BATCH = 1_000


def main() -> None:
    """Write every person's document."""
    client: MongoClient[dict[str, Any]] = MongoClient(os.environ["ROLLCALL_MONGO_URI"])
    database = client.get_database(os.environ["ROLLCALL_MONGO_DB"], write_concern=WriteConcern("majority"))
    log = database["events"].find({}, sort=[("person_id", 1), ("version", 1)], batch_size=2 * BATCH)
    documents = (document(stream) for _, stream in groupby(log, itemgetter("person_id")))
    while batch := list(islice(documents, BATCH)):
        database["people"].insert_many(batch, ordered=False)


def document(stream: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the person that events make."""
    fields: dict[str, Any] = {}
    created_at = None
    for event in stream:
        fields |= event["data"]
        created_at = created_at or event["applied_at"]
    times = (created_at or event["applied_at"], event["applied_at"])
    return document_of(event["person_id"], event["version"], fields, event["hash"], times)


if __name__ == "__main__":
    main()
