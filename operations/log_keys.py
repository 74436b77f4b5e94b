"""Puts people's keys beside their events, page by page as a walk reads the log, so that it can open them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from events.errors import KeyTrouble
from operations.addresses import DatabaseAddress, settings_of
from operations.errors import SetupError
from operations.log_reader import refusals
from service_kit.mongo import connection as mongo
from service_kit.mongo.keys import PersonKeys
from service_kit.seals.kek import Keks
from service_kit.seals.opening import Key, open_document

PAGE: Final = 2_000
"""Events whose people's keys are asked for at once."""
Document = Mapping[str, Any]
Keyed = tuple[Document, Mapping[str, Key]]
"""An event as the log has it, and the keys of all people of its page, by id."""


class LogKeys:
    """One process's connection to the keys of the people in a log.

    Args:
        address: Where the log is.
        keks: What the keys are wrapped by.
    """

    def __init__(self, address: DatabaseAddress, keks: Keks) -> None:
        self._runner = asyncio.Runner()
        self._client = mongo.connect(settings_of(address), "rollcall cli")
        self._keys = PersonKeys(self._client, address.database, keks)

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(mongo.close(self._client))
        self._runner.close()

    def beside(self, documents: Iterable[Document]) -> Iterator[Keyed]:
        """Yield events, each with the keys of its page: `None` of who is erased, nothing of who has none.

        Args:
            documents: As the log has them, in any order.

        Raises:
            StoreUnavailable: MongoDB is away.
            SetupError: It refuses, or a key does not open.
        """
        rest = iter(documents)
        while page := list(islice(rest, PAGE)):
            keys = self._find({one["person_id"] for one in page if one.get("sealed_fields")})
            for document in page:
                yield document, keys

    def _find(self, person_ids: set[str]) -> Mapping[str, Key]:
        if not person_ids:
            return {}
        try:
            with refusals():
                return self._runner.run(self._keys.find(person_ids))
        except KeyTrouble as exc:
            # Not what passes while one waits: so it is said at once.
            raise SetupError(f"{exc.detail[0].upper()}{exc.detail[1:]}.") from None


def opened(document: Document, keys: Mapping[str, Key]) -> dict[str, Any]:
    """Return an event with its sealed values in it, as `service_kit.seals.opening.open_document` does.

    Args:
        document: As the log has it.
        keys: Those of its page.

    Raises:
        KeyTrouble: There is no key of the person's, who was not erased either.
        Damaged: The values are not those that were sealed.
    """
    person_id = document["person_id"]
    if document.get("sealed_fields") and person_id not in keys:
        raise KeyTrouble(f"there is no key for {person_id}, who has events")
    return open_document(document, keys.get(person_id))
