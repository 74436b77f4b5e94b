"""Lets imports expire, and the errors of their rows, some time after nothing about them changes any more."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from events.errors import StoreUnavailable
from service_kit.mongo.connection import Client, store_errors, writing

PAUSE_SECONDS: Final = 600.0
QUIET: Final = timedelta(hours=1)
"""An import that nobody reads, and of which no outcome is awaited, is at rest after so long."""
_AT_ONCE: Final = 1_000

log = structlog.get_logger()


class ImportExpiry:
    """Sets when imports expire; MongoDB removes them then, with the errors of their rows.

    One that goes on takes that back, and settles anew. Those of before there was an end get theirs, too.

    Args:
        client: A client of either driver.
        database: Database name.
        keep: How long an import is kept once it is at rest.
        clock: Tells the time, UTC.
    """

    def __init__(self, client: Client, database: str, keep: timedelta, clock: Callable[[], datetime]) -> None:
        collections = writing(client, database)
        self._imports, self._errors = collections["imports"], collections["import_errors"]
        self._keep = keep
        self._clock = clock

    async def run(self) -> None:
        """Look for imports at rest, now and then, until cancelled."""
        while True:
            try:
                while await self.settle() == _AT_ONCE:
                    pass
            except StoreUnavailable as exc:
                log.warning("imports not settled", reason=exc.detail)
            await asyncio.sleep(PAUSE_SECONDS)

    async def settle(self) -> int:
        """Set when imports at rest expire, of so many at most; return of how many.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        at_rest = {
            "expires_at": None,
            "updated_at": {"$lt": self._clock() - QUIET},
            "$or": [{"settled": True}, {"state": {"$ne": "applying"}}],
        }
        with store_errors():
            documents = await self._imports.find(at_rest, limit=_AT_ONCE).to_list(None)
            for document in documents:
                await self._settle(document)
        return len(documents)

    async def _settle(self, document: Mapping[str, Any]) -> None:
        """Let an import expire, unless it goes on just now; its errors first, so that none is left over."""
        of_it = {"import_id": document["_id"]}
        expires_at = (
            max(document["updated_at"], document.get("counted_at") or document["updated_at"]) + self._keep
        )
        await self._errors.update_many(of_it, {"$set": {"expires_at": expires_at}})
        same = {"_id": document["_id"], **{name: document[name] for name in ("owner", "updated_at")}}
        result = await self._imports.update_one(same, {"$set": {"expires_at": expires_at}})
        if not result.matched_count:
            await self._errors.update_many(of_it, {"$set": {"expires_at": None}})
