"""Opens or proves sealed values while the log is walked, with the keys of the people whose they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from pymongo import MongoClient

from events.errors import Damaged, KeyTrouble
from operations.errors import SetupError
from operations.log_links import link_of_document
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import reading, store_errors
from service_kit.mongo.keys import key_in
from service_kit.seals.kek import Keks
from service_kit.seals.opening import ERASED, Key, open_document, prove_values
from service_kit.seals.wrapping import KEYS
from verifier import Link

_BATCH: Final = 2_000
Document = Mapping[str, Any]
Keyed = tuple[Document, Mapping[str, Key]]
"""An event as it is stored, and the keys of the people of its page, by id: without who has none."""


@dataclass(frozen=True)
class Opening:
    """What opens sealed values.

    Attributes:
        database: Name of the database of people.
        keks: What their keys are wrapped by.
    """

    database: str
    keks: Keks

    def links(self, client: MongoClient[dict[str, Any]], documents: Iterator[Document]) -> Iterator[Link]:
        """Yield events as chains are judged by, each with what came of its sealed values.

        Those of erased people count as withheld: nobody can open them.

        Args:
            client: Reads the keys, from the primary.
            documents: The events as they are stored, with `sealed`.

        Raises:
            SetupError: A key that should be there is not, or does not open; that says nothing of the values.
            StoreUnavailable: MongoDB is away.
        """
        for batch, keys in self._pages(client, documents):
            if missing := sorted(_sealed_for(batch) - keys.keys()):
                raise SetupError(
                    f"There is no key for {len(missing):,} people with sealed values, {missing[0]} for one. "
                    "They are not erased: look for the keys' backup. Without --open the chains can be "
                    "verified."
                )
            for document in batch:
                yield proved(document, keys)

    def beside(self, client: MongoClient[dict[str, Any]], documents: Iterator[Document]) -> Iterator[Keyed]:
        """Yield events, each with the keys of its page.

        Args:
            client: Reads the keys, from the primary.
            documents: The events as they are stored.

        Raises:
            SetupError: A key does not open. One that is not there is for the reader to find.
            StoreUnavailable: MongoDB is away.
        """
        for batch, keys in self._pages(client, documents):
            for document in batch:
                yield document, keys

    def _pages(
        self, client: MongoClient[dict[str, Any]], documents: Iterator[Document]
    ) -> Iterator[tuple[list[Document], Mapping[str, Key]]]:
        rows = reading(client, keys_database(self.database), strong=True)[KEYS]
        while batch := list(islice(documents, _BATCH)):
            with store_errors():
                found = list(rows.find({"_id": {"$in": sorted(_sealed_for(batch))}}))
            try:
                keys = {row["_id"]: key_in(row, self.keks) for row in found}
            except KeyTrouble as exc:
                raise SetupError(f"Values cannot be opened: {exc.detail}.") from None
            yield batch, keys


def _sealed_for(batch: Sequence[Document]) -> set[str]:
    return {document["person_id"] for document in batch if document.get("sealed_fields")}


def opened(document: Document, keys: Mapping[str, Key]) -> dict[str, Any]:
    """Return an event with its sealed values in it, as `service_kit.seals.opening.open_document` does.

    Args:
        document: As it is stored.
        keys: Those of its page.

    Raises:
        KeyTrouble: There is no key for the person, who was not erased either.
        Damaged: The values are not those that were sealed.
    """
    person_id = document["person_id"]
    if document.get("sealed_fields") and person_id not in keys:
        raise KeyTrouble(f"there is no key for {person_id}, who has sealed values")
    return open_document(document, keys.get(person_id))


def proved(document: Document, keys: Mapping[str, Key]) -> Link:
    """Return an event as chains are judged by, its sealed values proved.

    Args:
        document: As it is stored, with `sealed`.
        keys: Of the people who have sealed values.
    """
    link = link_of_document(document)
    names: Sequence[str] = document.get("sealed_fields") or ()
    if link.fault or link.sealed != link.hash or not names:
        return link
    key = keys[document["person_id"]]
    if key is ERASED:
        return link._replace(withheld=len(names))
    try:
        prove_values(document, key)
    except Damaged as exc:
        # The finding names the place itself.
        return link._replace(fault=exc.detail.partition(" is damaged: ")[2])
    return link._replace(proved=len(names))
