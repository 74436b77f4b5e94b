"""Imports and their refused rows in MongoDB: reads, and guarded writes."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from pymongo.errors import BulkWriteError, DuplicateKeyError

from command_api.imports.drafting import Refused
from command_api.imports.record import ImportRecord, ImportRequest, Progress, require_same
from events.errors import ImportConflict
from events.imports.states import State
from service_kit.mongo.connection import Client, kept_out, store_errors, writing

_TRIES: Final = 5


class ImportTakenOver(Exception):
    """Another request reads this import now."""


class ImportStore:
    """The collections `imports` and `import_errors`.

    Every method raises `StoreUnavailable` when MongoDB is away.

    Args:
        client: A client of either driver.
        database: Database name.
    """

    def __init__(self, client: Client, database: str) -> None:
        collections = writing(client, database)
        self._imports = collections["imports"]
        self._errors = collections["import_errors"]

    async def begin(
        self, order: ImportRequest, owner: str, now: datetime, more: dict[str, Any]
    ) -> ImportRecord:
        """Begin an import or take it over, and return it as it was left.

        One that was read to its end stays as it is: nothing is to be done but to compare the file.

        Args:
            order: What is asked for.
            owner: Names the request.
            now: The time, UTC.
            more: What else is worth keeping of a new one.

        Raises:
            ImportConflict: It was begun as something else.
        """
        fresh = ImportRecord.fresh(order, owner, now, more)
        for _ in range(_TRIES):
            try:
                with store_errors():
                    await self._imports.insert_one(fresh.document())
                return fresh
            except DuplicateKeyError:
                pass
            with store_errors():
                document = await self._imports.find_one({"_id": order.import_id})
            if document is None:
                continue
            known = ImportRecord.of(document)
            require_same(known.order, order)
            if known.whole:
                return known
            if await self._update(
                known,
                {
                    "owner": owner,
                    "updated_at": now,
                    "state": "reading",
                    "settled": False,
                    "expires_at": None,
                },
                {"reason": ""},
            ):
                await self._forget(order.import_id, known.progress.read)
                return replace(known, owner=owner, state="reading")
        raise ImportConflict("other requests read this import: let one of them do it")

    async def keep(
        self,
        record: ImportRecord,
        progress: Progress,
        now: datetime,
        *,
        state: State = "reading",
        whole: bool = False,
        reason: str | None = None,
    ) -> None:
        """Note how far an import is.

        Args:
            record: The import, as this request took it over.
            progress: How far it is.
            now: The time, UTC.
            state: Where it is.
            whole: Whether the file was read to its end.
            reason: Why it ended early.

        Raises:
            ImportTakenOver: Another request has taken it over.
        """
        changes = {**asdict(progress), "updated_at": now, "state": state, "whole": whole}
        if reason is not None:
            changes["reason"] = reason
        if not await self._update(record, changes):
            raise ImportTakenOver

    async def _update(
        self, record: ImportRecord, changes: dict[str, Any], absent: dict[str, str] | None = None
    ) -> bool:
        mine = {"_id": record.order.import_id, "owner": record.owner}
        change: dict[str, Any] = {"$set": changes, **({"$unset": absent} if absent else {})}
        with store_errors():
            result = await self._imports.update_one(mine, change)
        return bool(result.matched_count)

    async def _forget(self, import_id: str, read: int) -> None:
        """Let go what is on record of rows that will be read again: they may have been corrected.

        The others stay until the import has settled anew.
        """
        with store_errors():
            await self._errors.delete_many({"import_id": import_id, "row": {"$gt": read}})
            await self._errors.update_many({"import_id": import_id}, {"$set": {"expires_at": None}})

    async def refuse(self, import_id: str, refused: Sequence[Refused]) -> None:
        """Keep why rows are not valid; what is kept already stays as it is."""
        documents = [
            {
                "_id": f"{import_id}:{one.row}",
                "import_id": import_id,
                "row": one.row,
                "errors": one.errors,
                "expires_at": None,
            }
            for one in refused
        ]
        try:
            with store_errors():
                await self._errors.insert_many(documents, ordered=False)
        except BulkWriteError as exc:
            kept_out(exc)
