"""Proves sealed values while the log is walked, with the keys of the people whose they are."""

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
from service_kit.seals.kek import Keks
from service_kit.seals.opening import ERASED, Key, prove_values
from service_kit.seals.person_key import PersonKey
from service_kit.seals.wrapping import KEYS
from verifier import Link

_BATCH: Final = 2_000
Document = Mapping[str, Any]


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
        while batch := list(islice(documents, _BATCH)):
            keys = self._keys(client, {one["person_id"] for one in batch if one.get("sealed_fields")})
            for document in batch:
                yield proved(document, keys)

    def _keys(self, client: MongoClient[dict[str, Any]], person_ids: set[str]) -> dict[str, Key]:
        rows = reading(client, keys_database(self.database), strong=True)[KEYS]
        with store_errors():
            found = {row["_id"]: row for row in rows.find({"_id": {"$in": sorted(person_ids)}})}
        if missing := sorted(person_ids - found.keys()):
            raise SetupError(
                f"There is no key for {len(missing):,} people with sealed values, {missing[0]} for one. They "
                "are not erased: look for the keys' backup. Without --open the chains can be verified."
            )
        try:
            return {person_id: self._key_in(row) for person_id, row in found.items()}
        except KeyTrouble as exc:
            raise SetupError(f"Values cannot be opened: {exc.detail}.") from None

    def _key_in(self, row: Document) -> Key:
        if row.get("erased_at") is not None and row.get("key") is None:
            return ERASED
        if row.get("key") is None:
            raise KeyTrouble(f"the key of {row['_id']} is neither there nor destroyed")
        return PersonKey.unwrapped(row["_id"], row["kek"], row["key"], self.keks)


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
