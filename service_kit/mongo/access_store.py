"""Batches of access records in MongoDB, and the wrapped keys that their values are sealed under."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from pymongo.errors import DuplicateKeyError, PyMongoError

from events.access.batch import ACCESSES
from events.errors import StoreUnavailable
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import Client, writing
from service_kit.seals.access_key import AccessKey
from service_kit.seals.kek import Keks
from service_kit.seals.wrapping import ACCESS_KEYS


class BatchStore(Protocol):
    """Keeps batches: MongoDB, or what stands for it in a test."""

    async def key_for(self, stream: str, month: str) -> tuple[str, AccessKey]:
        """Return the id of a stream's key of a month, and that key, which is durable.

        Raises:
            StoreUnavailable: It cannot be kept now.
        """

    async def keep(self, batch: Mapping[str, Any]) -> None:
        """Return once a batch is durable; one that was kept before is.

        Raises:
            StoreUnavailable: It cannot be kept now.
        """


class AccessStore:
    """The collections `accesses` and `access_keys`, into which a process only adds.

    Args:
        client: A client of either driver.
        database: Name of the database of people.
        keks: What the keys are wrapped by.
    """

    def __init__(self, client: Client, database: str, keks: Keks) -> None:
        self._batches = writing(client, database)[ACCESSES]
        self._rows = writing(client, keys_database(database))[ACCESS_KEYS]
        self._keks = keks
        self._known: tuple[str, AccessKey] | None = None
        self._is_kept = False

    async def key_for(self, stream: str, month: str) -> tuple[str, AccessKey]:
        """See `BatchStore`. Each process has its own: so none has to read what others have."""
        key_id = f"{month}:{stream}"
        if self._known is None or self._known[0] != key_id:
            self._known = key_id, AccessKey.new()
            self._is_kept = False
        if not self._is_kept:
            kek, wrapped = self._known[1].wrapped(key_id, self._keks)
            try:
                await self._rows.insert_one({"_id": key_id, "month": month, "kek": kek, "key": wrapped})
            except DuplicateKeyError:
                pass  # as of `keep`: only this process makes it, and it has made no other one
            except PyMongoError as exc:
                raise _away(exc) from exc
            self._is_kept = True
        return self._known

    async def keep(self, batch: Mapping[str, Any]) -> None:
        """See `BatchStore`."""
        try:
            await self._batches.insert_one(dict(batch))
        except DuplicateKeyError:
            pass  # the stream is this process's alone: it is this batch, of a try whose end was not heard
        except PyMongoError as exc:
            raise _away(exc) from exc


def _away(exc: PyMongoError) -> StoreUnavailable:
    """Return our error: whatever MongoDB has against it, the records wait, and are not forgotten."""
    return StoreUnavailable(f"access records cannot be kept: {type(exc).__name__}")


def month_of(time: datetime) -> str:
    """Return the month of a time: `2026-11`."""
    return f"{time:%Y-%m}"
