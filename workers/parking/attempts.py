"""The collection `attempts`: suspects that are being tried, so that one that ends workers is recognised.

A document is there from before a trial until its end, whatever that is; one that stays tells that the worker
ended meanwhile. What is left over of a command that got its outcome otherwise ends by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog
from pymongo import DeleteOne, UpdateOne

from events.errors import StoreUnavailable
from service_kit.mongo.connection import DocumentCollection, store_errors

KEPT: Final = timedelta(days=7)
PUT_RIGHT_SECONDS: Final = 2.0

Key = tuple[str, str]
"""Ids of a person and of a command."""

log = structlog.get_logger()


class Attempts:
    """The collection, as the worker uses it.

    Args:
        attempts: The collection.
    """

    def __init__(self, attempts: DocumentCollection) -> None:
        self._attempts = attempts

    async def known(self, keys: Collection[Key]) -> dict[Key, int]:
        """Return the lone attempts on record of each command that has any record.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        people, commands = {key[0] for key in keys}, {key[1] for key in keys}
        wanted = {"person_id": {"$in": list(people)}, "command_id": {"$in": list(commands)}}
        with store_errors():
            found = await self._attempts.find(wanted, {"_id": 0}).to_list(None)
        return {(one["person_id"], one["command_id"]): one["attempts"] for one in found}

    @asynccontextmanager
    async def on_record(
        self, before: Mapping[Key, int | None], *, lone: bool, now: datetime
    ) -> AsyncIterator[None]:
        """Have a trial on record for as long as the block runs; one that is broken off does not count.

        Args:
            before: What is on record of each command.
            lone: Whether it counts as a lone attempt.
            now: The time, UTC.

        Raises:
            StoreUnavailable: MongoDB is away: nothing was begun.
        """
        try:
            await self._write({key: (had or 0) + int(lone) for key, had in before.items()}, now)
            yield
        except MemoryError:
            raise  # it ends the worker, and may do so each time
        except BaseException:
            # A worker that is told to end, or lost the broker, was not ended by what it tried.
            await self._put_right(before, now)
            raise
        await self.forget(before, now)

    async def forget(self, keys: Collection[Key], now: datetime) -> None:
        """Have nothing on record of commands that have their outcome; if that fails, it ends by itself."""
        await self._put_right(dict.fromkeys(keys), now)

    async def _put_right(self, counts: Mapping[Key, int | None], now: datetime) -> None:
        try:
            async with asyncio.timeout(PUT_RIGHT_SECONDS):
                await self._write(counts, now)
        except (StoreUnavailable, TimeoutError) as exc:
            log.warning("attempts stay on record", commands=len(counts), reason=type(exc).__name__)

    async def _write(self, counts: Mapping[Key, int | None], now: datetime) -> None:
        """Write what is to be on record; None: nothing."""
        changes: list[UpdateOne | DeleteOne] = []
        for (person_id, command_id), attempts in counts.items():
            key = {"person_id": person_id, "command_id": command_id}
            if attempts is None:
                changes.append(DeleteOne(key))
            else:
                document = {"attempts": attempts, "expires_at": now + KEPT}
                changes.append(UpdateOne(key, {"$set": document}, upsert=True))
        with store_errors():
            await self._attempts.bulk_write(changes, ordered=False)
