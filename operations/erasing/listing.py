"""Reads the erasures off the log, with what is left of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bson.codec_options import CodecOptions
from pymongo import MongoClient

from events.log.stored import EVENTS
from events.times import rfc3339
from operations.addresses import DatabaseAddress
from operations.erasing.finality import Remains, left_from_before
from operations.erasing.oplogs import oldest_entries
from operations.log_reader import connect
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import store_errors, writing
from service_kit.seals.wrapping import ACCESS_KEYS, KEYS, LABELS, TRANSPORT

_ERASED: Final = "person.erased"
_BATCH: Final = 500
_THERE: Final = {"key": {"$exists": True}}
_BY_KEK: Final = [{"$group": {"_id": "$kek"}}]
_CODEC: Final[CodecOptions[dict[str, Any]]] = CodecOptions(tz_aware=True, tzinfo=UTC)


@dataclass(frozen=True)
class ListedErasure:
    """An erasure as it is told.

    Attributes:
        person_id: Who was erased.
        erased_at: When, UTC.
        reason: Its code.
        actor: Who asked for it.
        done: Whether the key is destroyed; else a worker is still to do that.
        left: What keeps it from being final.
    """

    person_id: str
    erased_at: datetime
    reason: str
    actor: str
    done: bool
    left: tuple[str, ...]

    @property
    def state(self) -> str:
        """Whether it is final, in words."""
        if not self.done:
            return "half done: the key is there still"
        return f"not final: {'; '.join(self.left)}" if self.left else "final"

    def as_json(self) -> dict[str, Any]:
        """Return it as a line of JSON has it."""
        return {
            "person_id": self.person_id,
            "erased_at": rfc3339(self.erased_at),
            "reason": self.reason,
            "actor": self.actor,
            "done": self.done,
            "final": self.done and not self.left,
            "left": list(self.left),
        }


def erasures(address: DatabaseAddress, keks: tuple[str, ...]) -> Iterator[ListedErasure]:
    """Yield all erasures, the oldest first.

    Args:
        address: Where the log is.
        keks: The ids of the key-encryption keys that are known here.

    Raises:
        StoreUnavailable: MongoDB is away.
        SetupError: It refuses.
    """
    oplogs = oldest_entries(address)
    with connect(address) as client, store_errors():
        keys = writing(client, keys_database(address.database))
        remains = Remains(
            keks={*keks, *(one["_id"] for name in LABELS for one in keys[name].aggregate(_BY_KEK))} - {None},
            transport_days=[one["_id"][:10] for one in keys[TRANSPORT].find(_THERE, {"_id": 1})],
            access_months=[one["month"] for one in keys[ACCESS_KEYS].find(_THERE, {"month": 1})],
            oplogs=oplogs,
        )
        for batch in _batches(client, address.database):
            ids = [one["person_id"] for one in batch]
            open_ = {one["_id"] for one in keys[KEYS].find({"_id": {"$in": ids}, **_THERE}, {"_id": 1})}
            for one in batch:
                yield ListedErasure(
                    one["person_id"],
                    one["applied_at"],
                    one["data"]["reason"],
                    one["actor"],
                    one["person_id"] not in open_,
                    tuple(left_from_before(one["applied_at"], remains)),
                )


def _batches(client: MongoClient[dict[str, Any]], database: str) -> Iterator[list[dict[str, Any]]]:
    events = writing(client, database)[EVENTS].with_options(codec_options=_CODEC)
    shown = {"person_id": 1, "applied_at": 1, "data": 1, "actor": 1}
    order = [("applied_at", 1), ("_id", 1)]
    wanted: dict[str, Any] = {"type": _ERASED}
    while batch := list(events.find(wanted, shown, sort=order, limit=_BATCH)):
        yield batch
        last = batch[-1]
        same = {"applied_at": last["applied_at"], "_id": {"$gt": last["_id"]}}
        wanted = {"type": _ERASED, "$or": [{"applied_at": {"$gt": last["applied_at"]}}, same]}
