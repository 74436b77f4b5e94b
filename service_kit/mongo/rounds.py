"""Shares out what one of several processes does now and then: whoever comes first when it is due."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from pymongo.errors import DuplicateKeyError

from service_kit.mongo.connection import Client, store_errors, writing

ROUNDS: Final = "rounds"


class Rounds:
    """When each of these works was begun last.

    Args:
        client: A client of either driver.
        database: Database name.
        clock: Tells the time, UTC.
    """

    def __init__(self, client: Client, database: str, clock: Callable[[], datetime]) -> None:
        self._rounds = writing(client, database)[ROUNDS]
        self._clock = clock

    async def begin(self, work: str, rest: timedelta) -> bool:
        """Return whether the caller is to do a work now, since nobody has begun it for so long.

        Args:
            work: Its name.
            rest: How long ago it must have been begun last.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        now = self._clock()
        rested = {"_id": work, "begun_at": {"$lte": now - rest}}
        try:
            with store_errors():
                await self._rounds.update_one(rested, {"$set": {"begun_at": now}}, upsert=True)
        except DuplicateKeyError:
            return False
        return True
