"""Destroys the transport keys of days long ago, once nothing is sealed with them any more."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import structlog

from events.errors import Unavailable
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import Client, store_errors, writing
from service_kit.seals.wrapping import TRANSPORT

KEPT: Final = timedelta(days=31)
"""A day longer than what waits, or is dead, is kept unless a setting says otherwise."""
LOOK_SECONDS: Final = 3600.0

log = structlog.get_logger()


class TransportExpiry:
    """Ends keys by taking them out of their rows, which stay, so that none is made again.

    Args:
        client: A client of either driver.
        database: Database name.
        in_queues: Returns the ids of the keys of what is in queues; None while that cannot be told.
        clock: Tells the time, UTC.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        in_queues: Callable[[], Awaitable[Collection[str] | None]],
        clock: Callable[[], datetime],
    ) -> None:
        self._rows = writing(client, keys_database(database))[TRANSPORT]
        self._parked = writing(client, database)["parked"]
        self._in_queues = in_queues
        self._clock = clock
        self._unused: set[str] = set()

    async def run(self) -> None:
        """End what is due, now and then, until cancelled."""
        while True:
            try:
                await self.end()
            except Unavailable as exc:
                log.warning("transport keys not ended", reason=exc.detail)
            await asyncio.sleep(LOOK_SECONDS * (0.5 + random.random()))  # noqa: S311 - jitter, not a secret

    async def end(self) -> list[str]:
        """End the keys that were unused when this was called the last time, and are so now.

        What a worker has taken out of a queue, and not acknowledged, is in none: it is decided, or back,
        long before the second look.

        Returns:
            The days of those keys.

        Raises:
            Unavailable: MongoDB or RabbitMQ is away.
        """
        now = self._clock()
        oldest = (now - KEPT).date().isoformat()
        there = {"_id": {"$lt": oldest}, "key": {"$exists": True}}
        with store_errors():
            due = {row["_id"] for row in await self._rows.find(there, {"_id": 1}).to_list(None)}
        if not due:
            return []
        in_queues = await self._in_queues()
        unused = due - set(due if in_queues is None else in_queues)
        with store_errors():
            for day in sorted(unused):
                if await self._parked.find_one({"transport_key": day}, {"_id": 1}) is not None:
                    unused.discard(day)
        ended, self._unused = sorted(unused & self._unused), unused
        if ended:
            with store_errors():
                gone = {"$set": {"ended_at": now}, "$unset": {"kek": "", "key": ""}}
                await self._rows.update_many({"_id": {"$in": ended}}, gone)
            log.info("transport keys ended", days=ended)
        return ended
