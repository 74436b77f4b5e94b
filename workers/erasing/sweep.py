"""Finishes erasures that a crash or a restore has left half done: those whose person has a key still."""

import asyncio
import random
from typing import Final

import structlog

from events.errors import Unavailable
from events.log.stored import event_of
from events.person.decider import PersonState
from service_kit.mongo.connection import Client, Document, store_errors, writing
from service_kit.mongo.keys import PersonKeys
from workers.erasing.eraser import ERASED, Eraser
from workers.outcomes import PersonChange
from workers.store import Store

SWEEP_SECONDS: Final = 3600.0
_BATCH: Final = 500

log = structlog.get_logger()


class ErasureSweep:
    """Looks through all erasures; what is to be announced of them, the feed's reconciliation finds.

    An erasure is the last of its person, so its steps may be done by whoever comes.

    Args:
        client: A client of either driver.
        database: Database name.
        keys: The people's keys.
        store: Writes tombstones.
        eraser: Does the steps before and after.
    """

    def __init__(self, client: Client, database: str, keys: PersonKeys, store: Store, eraser: Eraser) -> None:
        self._events = writing(client, database)["events"]
        self._keys = keys
        self._store = store
        self._eraser = eraser

    async def run(self) -> None:
        """Sweep at once, and now and then, until cancelled."""
        while True:
            try:
                count = await self.sweep()
            except Unavailable as exc:
                log.warning("sweep of erasures broken off", reason=exc.detail)
            else:
                if count:
                    log.warning("erasures finished that were half done", people=count)
            await asyncio.sleep(SWEEP_SECONDS * (0.5 + random.random()))  # noqa: S311 - jitter, not a secret

    async def sweep(self) -> int:
        """Finish what is half done; return of how many people.

        Raises:
            StoreUnavailable: MongoDB is away, or the journal cannot be written.
        """
        count, last = 0, None
        while documents := await self._erasures_after(last):
            last = documents[-1]
            there = await self._keys.with_key([one["person_id"] for one in documents])
            events = [event_of(one) for one in documents if one["person_id"] in there]
            if events:
                await self._eraser.let_go(events)
                states = [PersonState(one.person_id, "erased", one.version, one.hash) for one in events]
                await self._store.project([PersonChange(None, state, is_new=False) for state in states])
                await self._eraser.destroy_keys(events)
                count += len(events)
        return count

    async def _erasures_after(self, last: Document | None) -> list[Document]:
        wanted: dict[str, object] = {"type": ERASED}
        if last is not None:
            same = {"applied_at": last["applied_at"], "_id": {"$gt": last["_id"]}}
            wanted["$or"] = [{"applied_at": {"$gt": last["applied_at"]}}, same]
        with store_errors():
            found = self._events.find(wanted, sort=[("applied_at", 1), ("_id", 1)], limit=_BATCH)
            return await found.to_list(_BATCH)
