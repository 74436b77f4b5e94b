"""Looks whether a newer person schema was put in force than the one that this process goes by."""

import asyncio
from typing import Final

import structlog
from pymongo.errors import PyMongoError

from events.errors import StoreUnavailable, Unavailable
from events.log.applied_schema import APPLIED, SCHEMA_STREAM
from events.log.stored import SCHEMA_EVENTS
from events.person.schema.declarations import PersonSchema
from service_kit.mongo.connection import Client, reading, store_errors

LOOK_SECONDS: Final = 2.0

log = structlog.get_logger()


class SchemaWatch:
    """Sees whether a newer person schema is on record than the one that a service goes by.

    Args:
        client: A client of either driver.
        database: Database name.
        schema: What the service goes by.
    """

    def __init__(self, client: Client, database: str, schema: PersonSchema) -> None:
        self._events = reading(client, database, strong=True)[SCHEMA_EVENTS]
        self._own = schema.version
        self._newest = schema.version

    async def run(self) -> None:
        """Look now and then, until cancelled; while MongoDB is away, what is known stays."""
        while True:
            await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        try:
            with store_errors():
                last = await self._events.find_one(
                    {"person_id": SCHEMA_STREAM, "type": APPLIED}, {"data.number": 1}, sort=[("version", -1)]
                )
        except StoreUnavailable as exc:
            log.debug("schema not looked for", reason=exc.detail)
            return
        except PyMongoError as exc:
            log.debug("schema not looked for", reason=type(exc).__name__)
            return
        number = last["data"]["number"] if last else self._own
        if number > max(self._own, self._newest):
            log.warning("schema is older than the one in force", own=self._own, in_force=number)
        self._newest = max(number, self._newest)

    async def check(self) -> None:
        """Return if the service goes by the schema in force, as far as is known.

        Raises:
            Unavailable: It does not.
        """
        newest, own = self._newest, self._own
        if newest > own:
            raise Unavailable(
                f"number {newest} of the person schema is newer than {own}, by which this process goes"
            )
