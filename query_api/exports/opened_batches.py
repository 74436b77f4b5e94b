"""Gives events with the keys of their people, for an export that lays values open."""

from collections.abc import Sequence

from query_api.exports.batches import Batches
from query_api.exports.event_lines import KEY
from query_api.reading.opening import Keys
from service_kit.mongo.connection import Document, MemberAddress
from service_kit.seals.opening import ERASED


class OpenedBatches:
    """Batches of events, each with its person's key; those without sealed values need none.

    Args:
        batches: The events as they are stored.
        keys: Has the keys.
    """

    def __init__(self, batches: Batches, keys: Keys) -> None:
        self._batches = batches
        self._keys = keys

    @property
    def address(self) -> MemberAddress | None:
        """See `Batches`."""
        return self._batches.address

    async def next(self) -> Sequence[Document] | None:
        """See `Batches`."""
        documents = await self._batches.next()
        if documents is None:
            return None
        people = {one["person_id"] for one in documents if one["sealed_fields"]}
        keys = await self._keys.load(people) if people else {}
        return [{**one, KEY: keys.get(one["person_id"], ERASED)} for one in documents]

    async def close(self) -> None:
        """See `Batches`."""
        await self._batches.close()
