"""Refresh families and counts of failures in MongoDB, which removes both when they expire."""

import hashlib
from dataclasses import asdict

from pymongo.errors import DuplicateKeyError

from command_api.accounts.attempts import FORGOTTEN_AFTER, Attempts
from command_api.accounts.families import Exchanged, Family
from events.accounts.event import address_key
from service_kit.mongo.connection import Client, store_errors, writing


def name_counter(name: str, address: str | None = "") -> str:
    """Return the id of a name's count: hashed, for who types a password there has not told it to all.

    Args:
        name: The name.
        address: Count the attempts from there alone; empty: from everywhere.
    """
    counter = f"name:{hashlib.sha256(name.encode()).hexdigest()}"
    return counter if address == "" else f"{counter}:{address_key(address)}"


def device_counter(device: str) -> str:
    """Return the id of a device's count, by the digest of what it is known by."""
    return f"device:{device}"


def address_counter(purpose: str, address: str | None) -> str:
    """Return the id of an address's count of what it is counted for."""
    return f"{purpose}:{address_key(address)}"


class LoginStore:
    """The collections `refresh_families` and `login_failures`.

    Every method raises `StoreUnavailable` when MongoDB is away.

    Args:
        client: A client of either driver.
        database: Database name.
    """

    def __init__(self, client: Client, database: str) -> None:
        collections = writing(client, database)
        self._families = collections["refresh_families"]
        self._failures = collections["login_failures"]

    async def find(self, family_id: str) -> Family | None:
        """Return a family."""
        with store_errors():
            found = await self._families.find_one({"_id": family_id})
        if found is None:
            return None
        del found["expires_at"]
        earlier = tuple(Exchanged(**one) for one in found.pop("earlier", ()))
        return Family(family_id=found.pop("_id"), earlier=earlier, **found)

    async def insert(self, family: Family) -> None:
        """Keep a new family."""
        document = {**asdict(family), "expires_at": family.expires_at}
        document["_id"] = document.pop("family_id")
        del document["earlier"]  # there is none, and older versions do not know of any
        with store_errors():
            await self._families.insert_one(document)

    async def exchange(self, before: Family, after: Family) -> bool:
        """Keep that a token was exchanged; return False if it was, or the family ended, meanwhile."""
        changed = {
            "current": after.current,
            "previous": after.previous,
            "exchanged_at": after.exchanged_at,
            "expires_at": after.expires_at,
        }
        earlier = [asdict(one) for one in after.earlier]
        change = (
            {"$set": {**changed, "earlier": earlier}}
            if earlier
            else {"$set": changed, "$unset": {"earlier": ""}}
        )
        guard = {"_id": before.family_id, "current": before.current, "revoked": False}
        with store_errors():
            result = await self._families.update_one(guard, change)
        return bool(result.matched_count)

    async def revoke(self, family: Family) -> bool:
        """End a family; return False if it had ended."""
        with store_errors():
            result = await self._families.update_one(
                {"_id": family.family_id, "revoked": False}, {"$set": {"revoked": True}}
            )
        return bool(result.matched_count)

    async def attempts(self, *counters: str) -> dict[str, Attempts]:
        """Return what is remembered under counters, by their ids."""
        with store_errors():
            found = await self._failures.find({"_id": {"$in": counters}}).to_list(None)
        return {one["_id"]: Attempts(one["failures"], one["last_at"]) for one in found}

    async def count(self, counter: str, known: Attempts | None, now: Attempts) -> bool:
        """Remember another attempt; return False if somebody else was counted meanwhile."""
        values = {**asdict(now), "expires_at": now.last_at + FORGOTTEN_AFTER}
        with store_errors():
            if known is None:
                try:
                    await self._failures.insert_one({"_id": counter, **values})
                except DuplicateKeyError:
                    return False
                return True
            guard = {"_id": counter, "failures": known.failures, "last_at": known.last_at}
            result = await self._failures.update_one(guard, {"$set": values})
        return bool(result.matched_count)

    async def forgive(self, counter: str) -> None:
        """Take back one attempt."""
        with store_errors():
            await self._failures.update_one(
                {"_id": counter, "failures": {"$gt": 0}}, {"$inc": {"failures": -1}}
            )

    async def forget(self, counter: str) -> None:
        """Remember nothing under a counter's id."""
        with store_errors():
            await self._failures.delete_one({"_id": counter})

    async def forget_all(self, counter: str) -> None:
        """Remember nothing under a name's counter, nor under those of its addresses."""
        with store_errors():
            # A semicolon comes right after the colon that an address is behind.
            await self._failures.delete_many({"_id": {"$gte": counter, "$lt": f"{counter};"}})
