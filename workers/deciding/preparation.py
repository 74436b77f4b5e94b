"""Withdraws a person schema that is prepared, once two people are about to share what it makes unique."""

from collections.abc import Callable, Collection
from datetime import datetime

import structlog
from pymongo.errors import DuplicateKeyError

from events.accounts.event import ROLLCALL
from events.errors import NewerSchema
from events.log.applied_schema import (
    SCHEMA_STREAM,
    WITHDRAWN,
    Stamp,
    applied_schema,
    record_withdrawal,
)
from events.log.stored import SCHEMA_EVENTS, event_document
from events.person.schema.declarations import PersonSchema
from service_kit.mongo.connection import Client, reading, store_errors, writing

log = structlog.get_logger()


class Preparation:
    """What is prepared when a worker starts.

    Args:
        client: A client of either driver.
        database: Database name.
        schema: What the worker goes by.
        clock: Tells the time, UTC, whole milliseconds.
        new_id: Makes ids.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        schema: PersonSchema,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._events = reading(client, database, strong=True)[SCHEMA_EVENTS]
        self._written = writing(client, database)[SCHEMA_EVENTS]
        self._prepared_at = schema.on_record
        self._clock, self._new_id = clock, new_id
        self._is_withdrawn = False

    async def withdraw(self, kinds: Collection[str]) -> None:
        """Return once what is prepared cannot come into force any more.

        The record has one place for what follows. So either nobody can put it in force after this, or it is
        in force already, and whoever decides has to go by it first.

        Args:
            kinds: Of claims, of which two people are about to have the same values.

        Raises:
            NewerSchema: It is in force.
            StoreUnavailable: MongoDB is away.
        """
        if self._is_withdrawn:
            return
        following = {"person_id": SCHEMA_STREAM, "version": {"$gte": self._prepared_at}}
        with store_errors():
            found = await self._events.find(following, sort=[("version", 1)]).to_list(2)
            if len(found) == 1:
                stamp = Stamp(
                    event_id=self._new_id(),
                    command_id=self._new_id(),
                    actor=ROLLCALL,
                    user_agent="rollcall worker",
                    now=self._clock(),
                )
                event = record_withdrawal(applied_schema(found[0]), kinds, stamp)
                try:
                    await self._written.insert_one(event_document(event))
                except DuplicateKeyError:
                    found = await self._events.find(following, sort=[("version", 1)]).to_list(2)
                else:
                    log.warning("schema withdrawn", number=event.data["number"], kinds=sorted(kinds))
        if len(found) == 2 and found[1]["type"] != WITHDRAWN:
            raise NewerSchema("a person schema has come into force that makes a value unique")
        self._is_withdrawn = True
