"""Tells readers what a person was: short streams are folded at once, long ones a few at a time."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from events.person.decider import PersonState
from events.person.schema.declarations import PersonSchema
from query_api.people.queries import Reads
from query_api.reading.opening import Keys, opened
from query_api.reading.searches import Searches
from service_kit.mongo.connection import Document, MemberAddress
from service_kit.mongo.streams import state_at
from service_kit.slots import AtOnce

SHORT: Final = 50
"""Events of a stream that is folded at once, in some two milliseconds."""
BATCH: Final = 50
"""Events that are decoded at once: less than a millisecond in which nobody else is answered."""
LONG_AT_ONCE: Final = AtOnce(2, 1)
"""How many longer streams are folded at once: each keeps all other reads waiting for some milliseconds."""


class Folded(NamedTuple):
    """What a person was.

    Attributes:
        state: The person; absent if there was none.
        member: The member that said so.
        is_erased: Whether sealed values were not to be opened any more.
    """

    state: PersonState
    member: MemberAddress | None
    is_erased: bool


class Folds:
    """Folds streams from their newest milestones on, and from the first event where there are none.

    Args:
        reads: Finds documents.
        seconds: How long a fold of a long stream may take.
        keys: Has what the events open with.
        schema: The person schema in whose form people are; None where there has been one alone.
    """

    def __init__(self, reads: Reads, seconds: float, keys: Keys, schema: PersonSchema | None = None) -> None:
        self._keys = keys
        self._schema = schema
        self._reads = reads
        self.long = Searches(LONG_AT_ONCE, seconds, "long histories")

    async def state_at(
        self,
        subject: str,
        person_id: str,
        *,
        version: int | None = None,
        as_of: datetime | None = None,
        strong: bool,
    ) -> Folded:
        """Return a person as it was.

        A version is asked of a secondary first, and of the primary before giving up. What had happened
        until a time, only the primary knows.

        Args:
            subject: Who asks.
            person_id: The id.
            version: The version that is wanted; an earlier one is returned if it is not there yet.
            as_of: Or the time, UTC.
            strong: Ask the primary at once.

        Raises:
            Busy: Too many long streams are folded already.
            SearchTooLong: The stream is too long, and has no milestones.
            StoreUnavailable: MongoDB does not answer in time, or the person's key is not there.
            Damaged: An event does not open with it.
        """
        newest = strong or version is None
        folded = await self._fold(subject, person_id, version, as_of, strong=newest)
        if not newest and folded.state.version < (version or 0):
            folded = await self._fold(subject, person_id, version, as_of, strong=True)
        return folded

    async def _fold(
        self, subject: str, person_id: str, version: int | None, as_of: datetime | None, *, strong: bool
    ) -> Folded:
        async with AsyncExitStack() as held:
            member: MemberAddress | None = None
            waited = is_erased = False
            read = partial(self._reads.find, strong=strong, batch=BATCH)

            async def find(
                collection: str, wanted: Mapping[str, Any], *, sort: Sequence[tuple[str, int]], limit: int
            ) -> list[Document]:
                nonlocal member, waited, is_erased
                # Whoever is refused has cost no more than a short stream.
                first = limit if waited else min(limit, SHORT + 1)
                answer = await read(collection, wanted, {}, sort=sort, limit=first)
                if len(answer.documents) > SHORT and not waited:
                    waited = True
                    await held.enter_async_context(self.long.turn(subject))
                    answer = await read(collection, wanted, {}, sort=sort, limit=limit)
                member = answer.member
                documents = await opened(answer.documents, self._keys)
                is_erased = is_erased or any("erased" in one for one in documents)
                return documents

            state = await state_at(find, person_id, version=version, as_of=as_of, schema=self._schema)
            return Folded(state, member, is_erased)
