"""Opens events where their documents are read, so that all code beyond sees their values."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from service_kit.mongo.connection import Document
from service_kit.pieces import PIECE, next_piece
from service_kit.seals.opening import Key, open_document


class Keys(Protocol):
    """Has the keys of people who have events."""

    async def load(self, person_ids: Collection[str]) -> Mapping[str, Key]:
        """Return the keys of some people.

        Raises:
            StoreUnavailable: They are not to be had, or one is not there.
        """


async def opened(documents: Sequence[Mapping[str, Any]], keys: Keys) -> list[Document]:
    """Return events' documents with their sealed values in them, as `open_document` does.

    Args:
        documents: Of the log; those without sealed values, as of accounts, need no key.
        keys: Has the keys.

    Raises:
        StoreUnavailable: A key is not to be had.
        Damaged: The values of one are not those that were sealed.
    """
    people = {one["person_id"] for one in documents if one.get("sealed_fields")}
    found = await keys.load(people) if people else {}
    done = []
    for number, document in enumerate(documents, 1):
        if not number % PIECE:
            await next_piece()
        done.append(open_document(document, found.get(document["person_id"])))
    return done
