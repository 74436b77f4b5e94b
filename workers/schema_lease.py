"""Says on record which schema this worker goes by, and lets it append only while that can be relied upon.

Whoever makes a value unique waits until every worker claims for it. A worker that was asleep and wakes must
not append what it decided before: it renews its row first, and looks whether the record has gone on.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from events.errors import StoreUnavailable
from events.log.applied_schema import SCHEMA_STREAM
from events.log.stored import SCHEMA_EVENTS
from events.person.schema.declarations import PersonSchema
from service_kit.ids import new_id
from service_kit.mongo.connection import Client, reading, store_errors, writing
from service_kit.mongo.worker_rows import EXPIRY_SECONDS, LEASE_SECONDS, RENEW_SECONDS, WORKERS

log = structlog.get_logger()


class SchemaLease:
    """A worker's row, and what it permits.

    Args:
        client: A client of either driver.
        database: Database name.
        schema: What the worker goes by.
        clock: A monotonic one, in seconds.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        schema: PersonSchema,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = writing(client, database)[WORKERS]
        self._events = reading(client, database, strong=True)[SCHEMA_EVENTS]
        self._schema, self._step = schema, schema.on_record
        self._clock = clock
        self._until = -1.0
        self._behind = asyncio.Event()
        self._id = f"{socket.gethostname()}:{os.getpid()}:{new_id()[-8:]}"

    async def run(self) -> None:
        """Renew the row until cancelled, also once the worker is behind, which then finishes its batches."""
        while True:
            try:
                with store_errors():
                    await self._renew()
            except StoreUnavailable as exc:
                log.debug("row not renewed", reason=exc.detail)
            except PyMongoError as exc:
                log.warning("row not renewed", reason=type(exc).__name__)
            await asyncio.sleep(RENEW_SECONDS)

    async def until_behind(self) -> None:
        """Return once something is on record that this worker does not go by."""
        await self._behind.wait()

    async def check(self) -> None:
        """Return if events may be appended.

        Raises:
            StoreUnavailable: Not now: nobody relies on what the row says, so a newer schema may be in force.
        """
        if self._clock() >= self._until:
            raise StoreUnavailable("MongoDB: it is not on record yet which person schema this worker goes by")

    async def end(self) -> None:
        """Take the row away: nothing is under way any more."""
        self._until = -1.0
        try:
            with store_errors():
                await self._rows.delete_one({"_id": self._id})
        except (StoreUnavailable, PyMongoError):
            log.debug("row not removed")  # it expires

    async def _renew(self) -> None:
        began = self._clock()
        change = {
            "step": self._step,
            "beat": {"$add": [{"$ifNull": ["$beat", 0]}, 1]},
            "expires_at": {"$add": ["$$NOW", int(EXPIRY_SECONDS * 1000)]},
        }
        await self._rows.update_one({"_id": self._id}, [{"$set": change}], upsert=True)
        # In time, nobody can have taken us for dead meanwhile. Else the record may have gone on without us:
        # whoever adds to it looks at the rows after that, and we at the record after the row.
        in_time = self._clock() < self._until
        last = await self._events.find_one(
            {"person_id": SCHEMA_STREAM}, {"version": 1, "data.number": 1}, sort=[("version", -1)]
        )
        if last is not None and self._is_behind(last):
            if not self._behind.is_set():
                log.warning("something new is on record about the person schema", step=last["version"])
            self._behind.set()
            if not in_time:
                return
        elif last is not None:
            self._step = last["version"]
        self._until = began + LEASE_SECONDS

    def _is_behind(self, last: Mapping[str, Any]) -> bool:
        """Return whether the newest event on record is one that the worker does not go by."""
        if self._schema.on_record:
            return bool(last["version"] > self._schema.on_record)
        # It could not ask when it started. What is prepared has the number after the one in force.
        return bool(last["data"]["number"] > self._schema.version)
