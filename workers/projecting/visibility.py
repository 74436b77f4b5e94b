"""Holds a waited answer back until reads show what it tells (docs/adr/0040)."""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import structlog
from pymongo.errors import PyMongoError

from service_kit.ids import new_id
from service_kit.mongo.connection import Client, in_seat, writing
from service_kit.mongo.lags import LAGS, LEASE_SECONDS, SEATS
from workers import metrics

PATIENCE_SECONDS: Final = 0.35
"""How long an answer waits for members, before a lag is put on record; with the lease, less than 1 s."""
RECORD_SECONDS: Final = 3.0
"""How long putting a lag on record may take; who waits is told nothing after that, and gets a 202."""
LOOK_SECONDS: Final = 0.5
PROOFS: Final = 3
"""So many in a row, and the members have caught up."""
RENEW_SECONDS: Final = 20.0
RELY_SECONDS: Final = 60.0
EXPIRY_SECONDS: Final = 120.0
"""By the server's clock. No read chooses a member that is behind by so much (docs/adr/0017)."""
_MAJORITY: Final = {"level": "majority"}

log = structlog.get_logger()


class Visibility:
    """Proves that every member shows what was projected, or has query APIs read from primaries.

    Args:
        client: A client of either driver.
        database: Database name.
        clock: A monotonic one, in seconds.
    """

    def __init__(self, client: Client, database: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._db = writing(client, database)
        self._clock = clock
        self._id = new_id()
        self._lock = asyncio.Lock()
        self._recording: asyncio.Task[bool] | None = None
        self._recorded = self._in_force = False
        self._records = 0
        self._renewed = self._relied_until = self._answered = -math.inf

    async def reached(self, person_ids: Collection[str]) -> bool:
        """Return once reads show what was projected of people; False if that cannot be had in time.

        Args:
            person_ids: Whose projection was acknowledged before this call.
        """
        self._answered = self._clock()
        return self._relied or await self._proved(person_ids) or await self._record_lag()

    async def watch(self) -> None:
        """Take the lag off the record once every member has caught up; runs until cancelled."""
        proofs = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._recorded:
                proofs = 0
                continue
            if self._clock() - self._renewed > RENEW_SECONDS:
                await self._record_lag(again=True)
            proofs = proofs + 1 if await self._caught_up() else 0
            if proofs >= PROOFS:
                await self._clear()

    @property
    def _relied(self) -> bool:
        return self._clock() < self._relied_until

    async def _caught_up(self) -> bool:
        return self._clock() - self._answered > EXPIRY_SECONDS or await self._proved(())

    async def _proved(self, person_ids: Collection[str]) -> bool:
        """Return whether every member shows what a majority had when this was called.

        Args:
            person_ids: Whose shards are asked; all shards if there are none.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                seats = {"find": LAGS, "filter": {"_id": SEATS}, "limit": 1, "readConcern": _MAJORITY}
                known = await self._db.command(seats)
                found = known["cursor"]["firstBatch"]
                if not found:
                    return False
                asked = [
                    self._db.command(command, read_preference=in_seat(number))
                    for number in range(found[0]["count"])
                    for command in self._questions(person_ids, known)
                ]
                await asyncio.gather(*asked)
        except (PyMongoError, TimeoutError):
            return False
        return True

    def _questions(self, person_ids: Collection[str], known: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the reads that a member answers when it has come as far as the primary.

        They find next to nothing: that they wait for the time is all. Through a router, each shard whose
        people they ask for waits; what a person has is in two collections, perhaps on two shards.
        """
        ids = {"$in": list(person_ids)}
        if self._client.topology_description.topology_type_name != "Sharded":
            wanted: dict[str, Any] = {LAGS: {"_id": SEATS}}
            # What the primary has from a majority, which includes all that was acknowledged.
            since = known["operationTime"]
        else:
            wanted = {
                "people": {"_id": ids} if person_ids else {"projection": -1},
                "events": {"person_id": ids} if person_ids else {"type": ""},
            }
            since = known["$clusterTime"]["clusterTime"]
        return [
            {
                "find": collection,
                "filter": condition,
                "projection": {"_id": 1},
                "limit": 1,
                "readConcern": {**_MAJORITY, "afterClusterTime": since},
            }
            for collection, condition in wanted.items()
        ]

    async def _record_lag(self, *, again: bool = False) -> bool:
        """Put the lag on record, and return True when no query API reads from secondaries any more.

        Who asks while that is under way gets the same answer: they do not queue for a MongoDB that is slow.
        """
        if self._relied and not again:
            return True
        self._records += 1  # so `_clear` sees that somebody relies on it, who joined just now
        if self._recording is None:
            self._recording = asyncio.create_task(self._put_on_record())
        return await asyncio.shield(self._recording)

    async def _put_on_record(self) -> bool:
        began = self._clock()
        expiry = {"$add": ["$$NOW", int(EXPIRY_SECONDS * 1000)]}
        try:
            async with asyncio.timeout(RECORD_SECONDS), self._lock:
                self._recorded = True
                written = await self._db[LAGS].update_one(
                    {"_id": self._id}, [{"$set": {"expires_at": expiry}}], upsert=True
                )
            if written.upserted_id is not None or not self._in_force:
                log.warning("members lag: reads go to primaries")
                metrics.LAG_ON_RECORD.set(1)
                self._relied_until = -math.inf
                await asyncio.sleep(LEASE_SECONDS)  # whoever had asked before must ask again by now
                self._in_force = True
        except (PyMongoError, TimeoutError) as exc:
            log.warning("cannot put a lag on record", reason=type(exc).__name__)
            return False
        finally:
            self._recording = None
        self._renewed = began
        self._relied_until = began + RELY_SECONDS
        return True

    async def _clear(self) -> None:
        """Take the lag off the record, unless a member lags again meanwhile."""
        if self._recording is not None:
            return  # the proof would be older than what somebody is told then
        relied_until, records = self._relied_until, self._records
        # From here on, answers prove themselves. What was told before, this proof covers.
        self._relied_until = -math.inf
        caught_up = await self._caught_up()
        async with self._lock:
            if self._records != records:
                return
            if not caught_up:
                self._relied_until = relied_until
                return
            self._in_force = False
            try:
                async with asyncio.timeout(RECORD_SECONDS):
                    await self._db[LAGS].delete_one({"_id": self._id})
            except (PyMongoError, TimeoutError) as exc:
                log.warning("cannot take a lag off the record", reason=type(exc).__name__)
                return
            self._recorded = False
            metrics.LAG_ON_RECORD.set(0)
            log.info("members have caught up: reads go to secondaries")
