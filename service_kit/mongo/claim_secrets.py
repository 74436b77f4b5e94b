"""The secrets of claims in MongoDB: wrapped in the database of keys, and for a moment opened in memory."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError

from events.errors import KeyTrouble
from events.person.claims import ClaimNames, ClaimSecret
from events.person.schema.declarations import PersonSchema
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import Client, Document, reading, store_errors, writing
from service_kit.seals.kek import Keks
from service_kit.seals.wrapping import SECRETS, bound_to

READ_SECONDS: Final = 10.0
"""So old may be what is known of the secrets: a roll-over waits for longer than that before each step."""
PREFIX: Final = "claims."
"""Before the number of a secret, in the id of its row."""
THERE: Final = {"_id": {"$regex": "^claims[.]"}, "key": {"$exists": True}}
"""Which rows of the collection have a secret of claims that is not destroyed."""


class ClaimSecrets:
    """The secrets, as a service uses them.

    Args:
        client: A client of either driver.
        database: Name of the database of people.
        keks: What the secrets are wrapped by.
        schema: Says what is unique.
        makes: Whether the first secret is made here if there is none: workers do.
    """

    def __init__(
        self, client: Client, database: str, keks: Keks, schema: PersonSchema, *, makes: bool = False
    ) -> None:
        self._rows = writing(client, keys_database(database))[SECRETS]
        self._read = reading(client, keys_database(database), strong=True)[SECRETS]
        self._keks, self._schema, self._makes = keks, schema, makes
        self._names: ClaimNames | None = None
        self._until = 0.0

    async def load(self) -> ClaimNames:
        """Return what names claims, read anew if it is older than `READ_SECONDS`.

        Raises:
            StoreUnavailable: MongoDB is away.
            KeyTrouble: There is no secret, or one does not open.
        """
        now = time.monotonic()
        if self._names is not None and now < self._until:
            return self._names
        rows = await self._all()
        if not rows and self._makes:
            await self._make_first()
            rows = await self._all()
        self._names, self._until = names_of(rows, self._keks, self._schema), now + READ_SECONDS
        return self._names

    def names(self) -> ClaimNames:
        """Return what `load` returned last.

        Raises:
            KeyTrouble: It was not asked yet.
        """
        if self._names is None:
            raise KeyTrouble("the secrets of claims are not read yet")
        return self._names

    async def _all(self) -> list[Document]:
        with store_errors():
            return await self._read.find(THERE).to_list(None)

    async def _make_first(self) -> None:
        with suppress(DuplicateKeyError), store_errors():  # another worker may be faster: its secret counts
            await self._rows.insert_one(_first_row(self._keks))


def read_claim_names(uri: str, database: str, keks: Keks, schema: PersonSchema) -> ClaimNames:
    """Return what names claims, for a verb; the first secret is made if there is none.

    Args:
        uri: MongoDB's connection string.
        database: Name of the database of people.
        keks: What the secrets are wrapped by.
        schema: Says what is unique.

    Raises:
        StoreUnavailable: MongoDB is away.
        KeyTrouble: A secret does not open.
    """
    with MongoClient[Document](uri, appname="rollcall claims") as client, store_errors():
        rows = reading(client, keys_database(database), strong=True)[SECRETS]
        if not (found := list(rows.find(THERE))):
            with suppress(DuplicateKeyError):  # a worker may be faster: its secret counts then
                writing(client, keys_database(database))[SECRETS].insert_one(_first_row(keks))
            found = list(rows.find(THERE))
    return names_of(found, keks, schema)


def names_of(rows: Sequence[Document], keks: Keks, schema: PersonSchema) -> ClaimNames:
    """Return what names claims by the secrets in some rows.

    Raises:
        KeyTrouble: None of them is whole, or one does not open.
    """
    secrets = [
        ClaimSecret(
            int(row["_id"].removeprefix(PREFIX)),
            row["state"],
            keks.unwrap(row["kek"], row["key"], bound_to(SECRETS, row["_id"])),
        )
        for row in rows
    ]
    if not any(one.state == "whole" for one in secrets):
        raise KeyTrouble("there is no secret that names claims: a worker makes it when it starts")
    return ClaimNames(schema, secrets)


def _first_row(keks: Keks) -> Document:
    row_id = f"{PREFIX}1"
    kek, wrapped = keks.wrap(os.urandom(32), bound_to(SECRETS, row_id))
    return {"_id": row_id, "state": "whole", "kek": kek, "key": wrapped}
