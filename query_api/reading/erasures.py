"""Remembers who was erased just now: while there is no primary, a secondary that lags may still show them."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

import structlog

from events.errors import StoreUnavailable
from service_kit.mongo.connection import Client, reading, store_errors
from service_kit.retries import backoff

KEPT_SECONDS: Final = 120.0
"""For longer than the 90 s (and a heartbeat of 10) by which a member that is read may lag."""

_AGAIN_SECONDS: Final = 20.0

log = structlog.get_logger()


class RecentErasures:
    """The ids of people who were erased in the last two minutes.

    Args:
        client: A client of either driver.
        database: Database name.
        clock: Tells the time, UTC.
        seconds: A monotonic clock.
    """

    def __init__(
        self, client: Client, database: str, clock: Callable[[], datetime], seconds: Callable[[], float]
    ) -> None:
        self._erasures = reading(client, database, strong=True)["erasures"]
        self._clock = clock
        self._seconds = seconds
        # In the order in which they are forgotten.
        self._until: dict[str, float] = {}
        self._read = False

    def __contains__(self, person_id: object) -> bool:
        """Return whether a person was erased just now."""
        until = self._until.get(str(person_id))
        return until is not None and until > self._seconds()

    def note(self, person_ids: Iterable[str]) -> None:
        """Remember people for two minutes, and forget those whose time is over."""
        now = self._seconds()
        for person_id in person_ids:
            self._until.pop(person_id, None)
            self._until[person_id] = now + KEPT_SECONDS
        while self._until and self._until[first := next(iter(self._until))] <= now:
            del self._until[first]

    async def read(self) -> None:
        """Read who was erased in the last two minutes.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        since = self._clock() - timedelta(seconds=KEPT_SECONDS)
        with store_errors():
            found = await self._erasures.find({"erased_at": {"$gte": since}}, {"_id": 1}).to_list(None)
        self.note([one["_id"] for one in found])
        self._read = True

    async def run(self) -> None:
        """Read again and again, until cancelled: also what came before this process followed the events."""
        attempt = 0
        while True:
            try:
                await self.read()
                attempt = 0
            except StoreUnavailable as exc:
                attempt += 1
                log.warning("erasures not read", reason=exc.detail, attempt=attempt)
            await asyncio.sleep(backoff(attempt) if attempt else _AGAIN_SECONDS)

    async def check(self) -> None:
        """Return if it is known who was erased before this process began.

        Raises:
            StoreUnavailable: It is not yet.
        """
        if not self._read:
            raise StoreUnavailable("MongoDB: the erasures of the last minutes are not read")
