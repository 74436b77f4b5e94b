"""The lease to read from secondaries, which a process has while no lag is on record (docs/adr/0040)."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

import structlog
from pymongo.errors import PyMongoError

from service_kit.mongo.connection import Client, Database, newest, reading
from service_kit.mongo.lags import LAGS, LEASE_SECONDS

_RENEW_SECONDS: Final = 0.15
# A worker waits for the whole lease; what is decided at its very end is to be asked within it.
_HELD_SECONDS: Final = LEASE_SECONDS - 0.05

log = structlog.get_logger()


class Lease:
    """Asks the primaries again and again whether a lag is on record.

    Args:
        client: A client of either driver.
        database: Database name.
        clock: A monotonic one, in seconds.
    """

    def __init__(self, client: Client, database: str, clock: Callable[[], float]) -> None:
        self._lags = reading(client, database, strong=True)[LAGS]
        self._clock = clock
        self._until = -math.inf
        self._trouble = ""

    @property
    def held(self) -> bool:
        """Whether secondaries may be read now."""
        return self._clock() < self._until

    async def run(self) -> None:
        """Renew the lease until cancelled."""
        while True:
            await self._renew()
            await asyncio.sleep(_RENEW_SECONDS)

    async def _renew(self) -> None:
        began = self._clock()
        trouble = ""
        try:
            lag = await self._lags.find_one({"expires_at": {"$exists": True}}, {"_id": 1})
            self._until = began + _HELD_SECONDS if lag is None else -math.inf
        except PyMongoError as exc:
            trouble = type(exc).__name__
        if trouble != self._trouble:
            log.warning("reading from primaries", reason=trouble) if trouble else log.info("asking again")
        self._trouble = trouble


class Databases:
    """The same database on the members that may be read.

    Args:
        client: A client of either driver.
        database: Its name.
        lease: Says whether secondaries may be read; None if they always may.
    """

    def __init__(self, client: Client, database: str, lease: Lease | None = None) -> None:
        self._strong = reading(client, database, strong=True)
        self._eventual = reading(client, database, strong=False)
        self._newest = newest(client, database)
        self._lease = lease

    def choose(self, *, strong: bool, newest: bool = False) -> Database:
        """Return the database for a read that begins now.

        Without a lease, what a secondary might tell is asked of the primary, but while there is none.

        Args:
            strong: Whether only the primary will do.
            newest: Whether a secondary will do only while there is no primary, as without a lease.
        """
        if strong:
            return self._strong
        if newest or not (self._lease is None or self._lease.held):
            return self._newest
        return self._eventual
