"""Ends access records when their time is over: the keys of their values, and what a checkpoint signed."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from events.access.batch import ACCESS_HEADS, ACCESSES, FOUND_BY, HELD
from events.errors import StoreUnavailable
from service_kit.mongo.access_store import month_of
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import Client, store_errors, writing
from service_kit.seals.wrapping import ACCESS_KEYS

PAUSE_SECONDS: Final = 3600.0
_AT_ONCE: Final = 1_000

log = structlog.get_logger()


class AccessExpiry:
    """Cuts off access records from behind, stream by stream, at heads that a checkpoint signed.

    Of the last batch that is cut off, all but what the chain needs is taken out; those before it go. So who
    verifies finds the stream to begin at a head that a checkpoint names.

    Args:
        client: A client of either driver.
        database: Database name.
        keep: How long records are kept.
        clock: Tells the time, UTC.
    """

    def __init__(self, client: Client, database: str, keep: timedelta, clock: Callable[[], datetime]) -> None:
        collections = writing(client, database)
        self._batches, self._heads = collections[ACCESSES], collections[ACCESS_HEADS]
        self._keys = writing(client, keys_database(database))[ACCESS_KEYS]
        self._keep = keep
        self._clock = clock

    async def run(self) -> None:
        """Cut off what is too old, now and then, until cancelled."""
        while True:
            try:
                await self.end_keys()
                while await self.cut() == _AT_ONCE:
                    pass
            except StoreUnavailable as exc:
                log.warning("access records not cut off", reason=exc.detail)
            await asyncio.sleep(PAUSE_SECONDS)

    async def end_keys(self) -> None:
        """Destroy the keys of the months that are over for as long as records are kept.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        now = self._clock()
        with store_errors():
            await self._keys.update_many(
                {"month": {"$lt": month_of(now - self._keep)}, "key": {"$exists": True}},
                {"$set": {"ended_at": now}, "$unset": {"key": "", "kek": ""}},
            )

    async def cut(self) -> int:
        """Cut off at heads that were signed before the time for which records are kept.

        Returns:
            Of how many heads, some at most.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        before = self._clock() - self._keep
        with store_errors():
            order = [("signed_at", 1), ("_id", 1)]
            heads = await self._heads.find(
                {"signed_at": {"$lt": before}}, sort=order, limit=_AT_ONCE
            ).to_list(None)
            for head in heads:
                batch = {"person_id": head["stream"], "version": head["version"], "hash": head["hash"]}
                gone = dict.fromkeys((*HELD, *FOUND_BY), "")
                # The note may be anybody's: what the batch says of its age is what is signed.
                done = await self._batches.update_one(
                    {**batch, "ended_at": {"$lt": before}}, {"$unset": gone}
                )
                if done.matched_count:
                    earlier = {"person_id": head["stream"], "version": {"$lt": head["version"]}}
                    await self._batches.delete_many({**earlier, "ended_at": {"$lt": before}})
                await self._heads.delete_one({"_id": head["_id"]})
        return len(heads)
