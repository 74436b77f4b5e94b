"""The people's keys in MongoDB: wrapped, in a database of their own, and for a while unwrapped in memory."""

import time
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo.errors import BulkWriteError

from events.errors import KeyTrouble
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import Client, Document, kept_out, store_errors, writing
from service_kit.seals.kek import Keks
from service_kit.seals.opening import ERASED, Key, open_document
from service_kit.seals.person_key import PersonKey
from service_kit.seals.wrapping import KEYS

KEPT: Final = 20_000
"""Keys that a process has in memory at most: some 10 MB."""
KEPT_SECONDS: Final = 60.0
"""So long a key stays in memory at most: an erased person's is gone by then, whoever did not hear of it."""


def key_in(row: Mapping[str, Any], keks: Keks) -> Key:
    """Return the key in a row of the collection `keys`; `ERASED` where it was destroyed.

    Args:
        row: The row.
        keks: What the keys are wrapped by.

    Raises:
        KeyTrouble: It does not open, or is neither there nor destroyed.
    """
    if row.get("key") is not None:
        try:
            return PersonKey.unwrapped(row["_id"], row["kek"], row["key"], keks)
        except KeyTrouble as exc:
            raise KeyTrouble(f"{exc.detail}; it is the key of {row['_id']}") from None
    if row.get("erased_at") is None:
        raise KeyTrouble(f"the key of {row['_id']} is neither there nor destroyed")
    return ERASED


class PersonKeys:
    """The collection `keys`, and the keys that are in memory.

    Every method raises `StoreUnavailable` when MongoDB is away; the same call may then be repeated.

    Args:
        client: A client of either driver.
        database: Name of the database of people.
        keks: What the keys are wrapped by.
        seconds: How long a key stays in memory.
    """

    def __init__(self, client: Client, database: str, keks: Keks, seconds: float = KEPT_SECONDS) -> None:
        self._rows = writing(client, keys_database(database))[KEYS]
        self._keks = keks
        self._seconds = seconds
        self._known: OrderedDict[str, tuple[PersonKey, float]] = OrderedDict()

    async def load(self, person_ids: Collection[str]) -> dict[str, Key]:
        """Return the keys of people who have events; `ERASED` for those who are erased.

        Raises:
            KeyTrouble: One of them has no row, or it does not open.
        """
        found = await self.find(person_ids)
        if missing := [one for one in person_ids if one not in found]:
            raise KeyTrouble(f"there is no key for {len(missing)} people with events, {missing[0]} for one")
        return found

    async def find(self, person_ids: Collection[str]) -> dict[str, Key]:
        """Return the keys of those people who have one, like `load`.

        Raises:
            KeyTrouble: One does not open.
        """
        now = time.monotonic()
        found: dict[str, Key] = {}
        unknown = []
        for person_id in person_ids:
            known = self._known.get(person_id)
            if known is None or known[1] <= now:
                unknown.append(person_id)
            else:
                found[person_id] = known[0]
        if unknown:
            with store_errors():
                rows = await self._rows.find({"_id": {"$in": unknown}}).to_list(None)
            for row in rows:
                found[row["_id"]] = key = key_in(row, self._keks)
                if key is ERASED:
                    self.forget(row["_id"])
                else:
                    self._keep(row["_id"], key)
        return found

    def _keep(self, person_id: str, key: PersonKey) -> None:
        self._known[person_id] = key, time.monotonic() + self._seconds
        self._known.move_to_end(person_id)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    async def insert(self, new: Mapping[str, PersonKey]) -> dict[str, Key]:
        """Put the keys of new people on record, durable before their first event.

        Args:
            new: By person id.

        Returns:
            For those who have a row already, what is in it: that one is to be used.
        """
        rows: list[Document] = []
        for person_id, key in new.items():
            kek, wrapped = key.wrapped(person_id, self._keks)
            rows.append({"_id": person_id, "kek": kek, "key": wrapped})
        lost: set[int] = set()
        try:
            with store_errors():
                await self._rows.insert_many(rows, ordered=False)
        except BulkWriteError as exc:
            lost = kept_out(exc)
        known = {row["_id"] for position, row in enumerate(rows) if position in lost}
        for person_id, key in new.items():
            if person_id not in known:
                self._keep(person_id, key)
        return await self.load(known) if known else {}

    async def open(self, documents: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Return documents of the log with their sealed values in them, as `open_document` does.

        Args:
            documents: Of any people's events.

        Raises:
            KeyTrouble: As of `load`.
            Damaged: As of `open_document`.
        """
        keys = await self.load({one["person_id"] for one in documents if one.get("sealed_fields")})
        return [open_document(one, keys.get(one["person_id"])) for one in documents]

    async def destroy(self, person_id: str, now: datetime) -> None:
        """Destroy a person's key; the row stays as a fence, also of one who had none. Once more does nothing.

        Args:
            person_id: The person.
            now: UTC.
        """
        # Also of a row that is a fence already: a restore may have brought the key back into it.
        destroyed: list[Document] = [
            {"$set": {"erased_at": {"$ifNull": ["$erased_at", now]}}},
            {"$unset": ["key", "kek"]},
        ]
        with store_errors():
            await self._rows.update_one({"_id": person_id}, destroyed, upsert=True)
        self.forget(person_id)

    async def with_key(self, person_ids: Collection[str]) -> set[str]:
        """Return who of some people has a key on record, whether it opens or not."""
        with store_errors():
            wanted = {"_id": {"$in": list(person_ids)}, "key": {"$ne": None}}
            return {row["_id"] for row in await self._rows.find(wanted, {"_id": 1}).to_list(None)}

    def forget(self, person_id: str) -> None:
        """Drop a key from memory."""
        self._known.pop(person_id, None)
