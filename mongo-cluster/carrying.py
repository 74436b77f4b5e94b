"""Carries events of accounts over from the collection of people's, where earlier versions appended them."""

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from deployment import Client
from pymongo.errors import BulkWriteError

from events.accounts.event import STREAM_KINDS
from events.log.stored import ACCOUNT_EVENTS, EVENTS
from service_kit.mongo.connection import kept_out, writing

SETTLE_SECONDS: Final = 31.0
"""So long a `mongos` may go by rights that were taken from a user:
https://www.mongodb.com/docs/manual/reference/parameters/#mongodb-parameter-param.userCacheInvalidationIntervalSecs"""
_BATCH: Final = 1_000
_ORDER: Final = [("person_id", 1), ("version", 1)]
_STREAM: Final = itemgetter("person_id")


class Fork(Exception):
    """A stream goes on in both collections, in different ways: somebody must look at it."""


def are_left(client: Client, database: str) -> bool:
    """Return whether events of accounts are among those of people."""
    return next(_left(client, database), None) is not None


def carry_over(client: Client, database: str) -> list[str]:
    """Move the events of accounts, stream by stream, as they are; return a line if there were any.

    An event goes from its old place once the new one has it, on a majority. Cut off anywhere, the next run
    goes on. Nobody may append events of accounts meanwhile.

    Raises:
        Fork: An event is in the new place that is another one than in the old; of its stream, nothing goes.
    """
    moved = streams = 0
    for stream, documents in groupby(_left(client, database), _STREAM):
        moved += _carry_stream(client, database, stream, list(documents))
        streams += 1
    if not moved:
        return []
    return [f"carried {moved} events of accounts, in {streams} streams, over to {ACCOUNT_EVENTS}"]


def settle(client: Client, sleep: Any = time.sleep) -> None:
    """Wait until no router goes by the rights of before."""
    if client.admin.command("hello").get("msg") == "isdbgrid":
        sleep(SETTLE_SECONDS)


def _left(client: Client, database: str) -> Iterator[dict[str, Any]]:
    events = writing(client, database)[EVENTS]
    for kind in STREAM_KINDS:
        # All ids with the colon: the semicolon is the next character.
        yield from events.find(
            {"person_id": {"$gte": f"{kind}:", "$lt": f"{kind};"}}, sort=_ORDER, batch_size=_BATCH
        )


def _carry_stream(client: Client, database: str, stream: str, documents: Sequence[dict[str, Any]]) -> int:
    collections = writing(client, database)
    old, new = collections[EVENTS], collections[ACCOUNT_EVENTS]
    for begin in range(0, len(documents), _BATCH):
        try:
            new.insert_many(documents[begin : begin + _BATCH], ordered=False)
        except BulkWriteError as exc:
            kept_out(exc)  # raises what is no duplicate
    there = {document["_id"]: document for document in new.find({"person_id": stream})}
    for document in documents:
        if there.get(document["_id"]) != document:
            raise Fork(
                f"version {document['version']} of {stream} is another event in {ACCOUNT_EVENTS} than in "
                f"{EVENTS}: a command API of the old version has run meanwhile"
            )
    ids = [document["_id"] for document in documents]
    for begin in range(0, len(ids), _BATCH):
        old.delete_many({"person_id": stream, "_id": {"$in": ids[begin : begin + _BATCH]}})
    return len(documents)
