"""Appends events of accounts to the log, in a collection of their own; each account's stream is a chain."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from pymongo.errors import DuplicateKeyError, OperationFailure

from events.accounts.event import AccountFact, record_fact
from events.errors import StoreUnavailable
from events.log.event import GENESIS
from events.log.stored import ACCOUNT_EVENTS, event_document
from events.times import to_milliseconds
from service_kit.mongo.connection import Client, Document, store_errors, writing
from service_kit.mongo.indexes import check_unique_indexes

_TRIES: Final = 30
_PAUSE_SECONDS: Final = 0.01
_UNAUTHORISED: Final = 13
_HEAD: Final = {"_id": 0, "version": 1, "hash": 1, "applied_at": 1}


class AccountLog:
    """The log, as far as accounts append to it.

    Args:
        client: A client of either driver.
        database: Database name.
        clock: Tells the time, UTC.
        new_id: Makes event ids.
    """

    def __init__(
        self, client: Client, database: str, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._database = writing(client, database)
        self._events = self._database[ACCOUNT_EVENTS]
        self._is_checked = False
        self._clock = clock
        self._new_id = new_id

    async def append(self, fact: AccountFact) -> None:
        """Append a fact after the last event of its stream; one that is there already stays as it is.

        Raises:
            StoreUnavailable: MongoDB is away, or others append to the stream without end; or the initialiser
                still carries over what earlier versions appended elsewhere, and allows no more meanwhile.
        """
        try:
            if not self._is_checked:
                await check_unique_indexes(self._database, {ACCOUNT_EVENTS})
                self._is_checked = True
            await self._append(fact)
        except OperationFailure as exc:
            if exc.code == _UNAUTHORISED:
                raise StoreUnavailable("MongoDB: events of accounts may not be written yet") from exc
            raise

    async def _append(self, fact: AccountFact) -> None:
        for attempt in range(_TRIES):
            # A majority may not have what was just appended here: that one is seen a moment later.
            await asyncio.sleep(attempt * _PAUSE_SECONDS)
            with store_errors():
                last = await self._events.find_one({"person_id": fact.stream}, _HEAD, sort=[("version", -1)])
                event = record_fact(
                    fact,
                    event_id=self._new_id(),
                    version=last["version"] + 1 if last else 1,
                    applied_at=self._after(last),
                    prev=last["hash"] if last else GENESIS,
                )
                try:
                    await self._events.insert_one(event_document(event))
                except DuplicateKeyError:
                    known = {"person_id": fact.stream, "command_id": fact.fact_id}
                    if await self._events.find_one(known, {"_id": 1}) is None:
                        continue
            return
        raise StoreUnavailable("MongoDB: a stream of an account keeps growing")

    def _after(self, last: Document | None) -> datetime:
        """Return the time of an event: now, but never before the one before it."""
        now = to_milliseconds(self._clock())
        return max(now, last["applied_at"]) if last else now
