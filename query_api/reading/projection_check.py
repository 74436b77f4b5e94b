"""Keeps the query API unready while documents of the read model are of an older form than its code needs."""

from typing import Final

from events.errors import Outdated
from service_kit.mongo.connection import Client, newest, store_errors
from service_kit.read_model import projection_name, projection_number

NEEDED: Final = projection_number(2)
"""The oldest projection of documents of `people` that is read here: at most the workers' `PROJECTION`."""


class ProjectionCheck:
    """A check for readiness. Once it was found open it stays so: workers write no older form any more.

    Args:
        client: A client of either driver.
        database: Database name.
        needed: The oldest projection that will do.
    """

    def __init__(self, client: Client, database: str, needed: int = NEEDED) -> None:
        # A secondary that lags would still show forms that are gone.
        self._people = newest(client, database)["people"]
        self._needed = needed
        self._open = False

    async def check(self) -> None:
        """Return if every document has at least the projection that is needed; one look into an index.

        Raises:
            Outdated: One has not.
            StoreUnavailable: MongoDB does not answer.
        """
        if self._open:
            return
        with store_errors():
            # What is not at least so much: lesser numbers, and no number at all.
            older = self._people.find({"projection": {"$not": {"$gte": self._needed}}}, {"_id": 1}, limit=-1)
            if await older.to_list(1):
                name = projection_name(self._needed)
                raise Outdated(f"documents are older than projection {name}: run `rollcall rebuild`")
        self._open = True
