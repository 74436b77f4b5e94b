"""Finishes erasures that a crash or a restore has left half done: those whose person has a key still."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from events.errors import KeyTrouble, Unavailable
from events.log.event import RecordedEvent
from events.log.stored import event_of
from events.person.decider import PersonState
from service_kit.mongo.connection import Client, Document, store_errors, writing
from service_kit.mongo.keys import PersonKeys
from service_kit.mongo.rounds import Rounds
from workers.erasing.eraser import ERASED, Eraser
from workers.outcomes import PersonChange
from workers.store import Store
from workers.streams import Streams

SWEEP_SECONDS: Final = 3600.0
SOON: Final = timedelta(minutes=1)
"""Workers that start together do not sweep one after the other; a sweep that failed is done again."""
OVERLAP: Final = timedelta(days=1)
"""So much of what was swept before is swept again: clocks differ, and a slow write comes late."""
_WORK: Final = "erasures.sweep"
_BATCH: Final = 500

log = structlog.get_logger()


class ErasureSweep:
    """Looks through the erasures; what is to be announced of them, the feed's reconciliation finds.

    An erasure is the last event of its person, so whoever comes may do its steps.

    Args:
        client: A client of either driver.
        database: Database name.
        keys: The people's keys.
        store: Writes tombstones.
        streams: Removes milestones.
        eraser: Does the steps before and after.
        rounds: Shares the sweep out among workers.
        clock: Tells the time, UTC.

    Attributes:
        since: From when on erasures are looked at; None: all.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        keys: PersonKeys,
        store: Store,
        streams: Streams,
        eraser: Eraser,
        rounds: Rounds,
        clock: Callable[[], datetime],
    ) -> None:
        self._events = writing(client, database)["events"]
        self._keys = keys
        self._store = store
        self._streams = streams
        self._eraser = eraser
        self._rounds = rounds
        self._clock = clock
        self.since: datetime | None = None

    async def run(self) -> None:
        """Sweep all at once, and what is recent now and then, until cancelled."""
        rest = SOON
        while True:
            pause = SWEEP_SECONDS * (0.5 + random.random())  # noqa: S311 - jitter, not a secret
            try:
                if await self._rounds.begin(_WORK, rest) and (count := await self.sweep()):
                    log.warning("erasures finished that were half done", people=count)
                rest = timedelta(seconds=SWEEP_SECONDS / 2)
            except Unavailable as exc:
                log.warning("sweep of erasures broken off", reason=exc.detail)
                rest, pause = SOON, SOON.total_seconds()
            await asyncio.sleep(pause)

    async def sweep(self) -> int:
        """Finish what is half done: of all erasures the first time, later of the recent ones.

        Returns:
            Of how many people.

        Raises:
            StoreUnavailable: MongoDB is away, or the journal cannot be written.
        """
        begun, count, last = self._clock(), 0, None
        while documents := await self._erasures_after(last):
            last = documents[-1]
            count += await self._finish(documents)
        self.since = begun - OVERLAP
        return count

    async def finish(self, person_ids: Collection[str]) -> int:
        """Finish the erasures of some people, if they are in the log; return how many were half done.

        Raises:
            StoreUnavailable: As of `sweep`.
        """
        with store_errors():
            erased = self._events.find({"person_id": {"$in": list(person_ids)}, "type": ERASED})
            return await self._finish(await erased.to_list(None))

    async def _finish(self, documents: Collection[Mapping[str, Any]]) -> int:
        there = await self._keys.with_key([one["person_id"] for one in documents])
        count = 0
        for event in (event_of(one) for one in documents if one["person_id"] in there):
            try:
                await self._finish_one(event)
                count += 1
            except KeyTrouble as exc:
                # The images are listed by opening events. Nobody else's erasure waits for that.
                log.error("an erasure is half done", person_id=event.person_id, reason=exc.detail)
        return count

    async def _finish_one(self, event: RecordedEvent) -> None:
        await self._eraser.let_go([event])
        state = PersonState(event.person_id, "erased", event.version, event.hash)
        await self._store.project([PersonChange(None, state, is_new=False)])
        await self._streams.remove_milestones([event.person_id])
        await self._eraser.destroy_keys([event])

    async def _erasures_after(self, last: Document | None) -> list[Document]:
        wanted: dict[str, Any] = {"type": ERASED}
        if last is not None:
            same = {"applied_at": last["applied_at"], "_id": {"$gt": last["_id"]}}
            wanted["$or"] = [{"applied_at": {"$gt": last["applied_at"]}}, same]
        if self.since is not None:
            wanted["applied_at"] = {"$gte": self.since}
        with store_errors():
            found = self._events.find(wanted, sort=[("applied_at", 1), ("_id", 1)], limit=_BATCH)
            return await found.to_list(_BATCH)
