"""The wrapped rows of the keys' database as operators see them: how many under which key, and re-wrapped."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from pymongo import UpdateOne

from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import Client, Document, aggregate, store_errors, writing
from service_kit.seals.wrapping import LABELS

BATCH: Final = 1_000


@dataclass(frozen=True)
class WrappedRow:
    """A key as it is kept.

    Attributes:
        collection: Where.
        row_id: The row's `_id`.
        kek: The id of the key-encryption key.
        key: What that made of it.
    """

    collection: str
    row_id: str
    kek: str
    key: bytes = field(repr=False)


class KeyRows:
    """The rows of all collections of keys, on the primary.

    Every method raises `StoreUnavailable` when MongoDB is away; the same call may then be repeated.

    Args:
        client: A client of either driver, whose cursors last.
        database: Name of the database of people.
    """

    def __init__(self, client: Client, database: str) -> None:
        self._keys = writing(client, keys_database(database))

    async def counts(self) -> dict[str, dict[str | None, int]]:
        """Return by collection how many rows are wrapped under which key; None for those destroyed."""
        return {collection: await self._counts_of(collection) for collection in LABELS}

    async def _counts_of(self, collection: str) -> dict[str | None, int]:
        with store_errors():
            cursor = await aggregate(
                self._keys[collection], [{"$group": {"_id": "$kek", "rows": {"$sum": 1}}}]
            )
            return {group["_id"]: group["rows"] async for group in cursor}

    async def under_others(self, collection: str, kek: str) -> AsyncIterator[list[WrappedRow]]:
        """Yield a collection's rows that are wrapped under another key than one, some at a time.

        Args:
            collection: One of `LABELS`.
            kek: The id of that one.
        """
        with store_errors():
            query = {"kek": {"$exists": True, "$ne": kek}}
            cursor = self._keys[collection].find(query, {"kek": 1, "key": 1}, batch_size=BATCH)
            rows: list[WrappedRow] = []
            async for document in cursor:
                rows.append(_row(collection, document))
                if len(rows) == BATCH:
                    yield rows
                    rows = []
            if rows:
                yield rows

    async def replace(self, old: Sequence[WrappedRow], new: Collection[WrappedRow]) -> int:
        """Put other wrapped keys into the places of some, where those are as they were read.

        A row that was destroyed or re-wrapped meanwhile is left alone.

        Args:
            old: As they were read, all of one collection.
            new: In the same order.

        Returns:
            How many were replaced.
        """
        changes = [
            UpdateOne(
                {"_id": before.row_id, "kek": before.kek, "key": before.key},
                {"$set": {"kek": after.kek, "key": after.key}},
            )
            for before, after in zip(old, new, strict=True)
        ]
        if not changes:
            return 0
        with store_errors():
            done = await self._keys[old[0].collection].bulk_write(changes, ordered=False)
        return done.modified_count


def _row(collection: str, document: Document) -> WrappedRow:
    return WrappedRow(collection, document["_id"], document["kek"], document["key"])
