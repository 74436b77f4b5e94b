"""Owns streaming a search's whole result: batch by batch, in constant memory, never cut short unnoticed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import structlog
from bson import decode_all
from bson.codec_options import CodecOptions

from events.errors import StoreUnavailable
from query_api.export_lines import CSV, NDJSON, csv_header, csv_rows, ndjson
from query_api.log_filters import EventsQuery, all_of
from service_kit.mongo import reading, store_errors

BATCH: Final = 500
"""Events that are read and written at once: some milliseconds in which nobody else is answered."""

_FORMS: Final[dict[str, tuple[bytes, Callable[[Sequence[dict[str, Any]]], bytes]]]] = {
    NDJSON: (b"", ndjson),
    CSV: (csv_header(), csv_rows),
}
_CODEC: Final[CodecOptions[dict[str, Any]]] = CodecOptions(tz_aware=False)

log = structlog.get_logger()


class Export:
    """An export under way; `close` it, however it ends.

    Args:
        cursor: Gives undecoded batches of events.
        media_type: `NDJSON` or `CSV`.
    """

    def __init__(self, cursor: Any, media_type: str) -> None:
        self._cursor = cursor
        self._header, self._write = _FORMS[media_type]
        self._next = asyncio.create_task(self._fetch())

    async def _fetch(self) -> bytes | None:
        with store_errors():
            raw: bytes | None = await anext(self._cursor, None)
        if raw is None and self._cursor.alive:
            raise StoreUnavailable("MongoDB gave no more, though there is more")
        return raw

    async def begin(self) -> tuple[str, int] | None:
        """Wait for the first batch, and return the address of the member that gave it.

        Raises:
            StoreUnavailable: MongoDB does not answer.
        """
        await asyncio.shield(self._next)
        address: tuple[str, int] | None = self._cursor.address
        return address

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the header, then a chunk for each batch; the next one is fetched meanwhile.

        Raises:
            StoreUnavailable: The rest cannot be read.
        """
        count = 0
        try:
            if self._header:
                yield self._header
            while (raw := await asyncio.shield(self._next)) is not None:
                self._next = asyncio.create_task(self._fetch())
                documents = decode_all(raw, _CODEC)
                yield self._write(documents)
                count += len(documents)
            log.info("exported", events=count)
        except StoreUnavailable as exc:
            # The answer has begun: only a connection that breaks off tells the client that it is not whole.
            log.warning("an export broke off", events=count, reason=exc.detail)
            raise

    async def close(self) -> None:
        """Let the cursor go; not before the batch under way has come, for a driver then leaves it open."""
        await asyncio.wait({self._next})
        if not self._next.cancelled():
            self._next.exception()  # told already, or nobody wants to know
        await self._cursor.close()


class Exports:
    """Reads the log for as long as it takes.

    Args:
        client: A client of either driver that sets no deadline: see `service_kit.mongo.connect`.
        database: Database name.
    """

    def __init__(self, client: Any, database: str) -> None:
        self._eventual = reading(client, database, strong=False)["events"]
        self._strong = reading(client, database, strong=True)["events"]

    def open(self, query: EventsQuery, media_type: str) -> Export:
        """Return an export that fetches its first batch.

        Args:
            query: What to export, in which order.
            media_type: `NDJSON` or `CSV`.
        """
        events = self._strong if query.strong else self._eventual
        # Undecoded batches: decoding many events at once takes half the time.
        cursor = events.find_raw_batches(all_of(query.conditions), sort=query.order, batch_size=BATCH)
        return Export(cursor, media_type)
