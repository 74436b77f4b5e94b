"""Streams a search's whole result, batch by batch, in constant memory, and never cut short unnoticed."""

import asyncio
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from events.imports.states import correlation_of
from events.person.orders import Sort, order_of
from events.person.outcomes import UNCHANGED
from events.person.schema.declarations import PersonSchema
from query_api.exports.batches import Batches, CursorBatches, MergedBatches
from query_api.exports.event_lines import CSV, EVENTS_HEADER, NDJSON, SEALED, csv_rows, ndjson
from query_api.exports.opened_batches import OpenedBatches
from query_api.exports.options import EventsExportQuery
from query_api.exports.people_lines import (
    WORKBOOK,
    PeopleWorkbook,
    columns_of,
    people_csv,
    people_header,
    people_ndjson,
)
from query_api.history.filters import all_of, place_of
from query_api.imports.lines import ERRORS_HEADER, invalid_csv, invalid_ndjson, undone_csv, undone_ndjson
from query_api.people.filters import ExportQuery
from query_api.people.listing import LIVING, SHOWN
from query_api.people.search import Condition
from query_api.people.sorting import lacking, there
from query_api.reading.lease import Databases, Lease
from query_api.reading.opening import Keys
from service_kit.http.reasons import Language
from service_kit.mongo.connection import Client, Document, MemberAddress
from service_kit.person_view import PersonView
from service_kit.pieces import next_piece

BATCH: Final = 500
"""Documents that are read at once."""
WRITTEN: Final = 100
"""Documents that are written at once: a millisecond or two in which nobody else is answered."""

Write = Callable[[Sequence[dict[str, Any]]], bytes]
_EVENTS: Final[Mapping[str, Callable[..., bytes]]] = {NDJSON: ndjson, CSV: csv_rows}
_INVALID: Final[Mapping[str, Callable[..., bytes]]] = {NDJSON: invalid_ndjson, CSV: invalid_csv}
_UNDONE: Final[Mapping[str, Callable[..., bytes]]] = {NDJSON: undone_ndjson, CSV: undone_csv}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ExportPart:
    """What is read, and how that is written.

    Attributes:
        batches: Gives documents.
        write: Makes lines of them.
    """

    batches: Batches
    write: Write


class Export:
    """An export under way; `close` it, however it ends.

    Args:
        parts: What it is made of, one after the other; at least one.
        media_type: `NDJSON` or `CSV`.
        header: What comes first.
        workbook: Gives what comes last, where it is one.

    Attributes:
        media_type: As given.
        lines: How many documents were written.
    """

    def __init__(
        self,
        parts: Sequence[ExportPart],
        media_type: str,
        header: bytes,
        workbook: PeopleWorkbook | None = None,
    ) -> None:
        self.media_type = media_type
        self.lines = 0
        self._parts = parts
        self._header = header
        self._workbook = workbook
        self._next = asyncio.create_task(self._fetch(0))

    async def _fetch(self, part: int) -> Sequence[Document] | None:
        return await self._parts[part].batches.next()

    async def begin(self) -> MemberAddress | None:
        """Wait for the first batch, and return the address of the member that gave it.

        Raises:
            StoreUnavailable: MongoDB does not answer.
        """
        await asyncio.shield(self._next)
        return self._parts[0].batches.address

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the header, then some chunks for each batch; the next batch is fetched meanwhile.

        Raises:
            StoreUnavailable: The rest cannot be read.
        """
        if self._header:
            yield self._header
        for number, part in enumerate(self._parts):
            if number:
                self._next = asyncio.create_task(self._fetch(number))
            while (documents := await asyncio.shield(self._next)) is not None:
                self._next = asyncio.create_task(self._fetch(number))
                for begin in range(0, len(documents), WRITTEN):
                    await next_piece()
                    yield part.write(documents[begin : begin + WRITTEN])
                self.lines += len(documents)
        if self._workbook is not None:
            yield self._workbook.end()
        log.info("exported", lines=self.lines)

    async def close(self) -> None:
        """Let the cursors go; not before the batch under way has come, for a driver then leaves it open."""
        await asyncio.wait({self._next})
        if not self._next.cancelled():
            self._next.exception()  # told already, or nobody wants to know
        if self._workbook is not None:
            self._workbook.close()
        for part in self._parts:
            await part.batches.close()


class Exports:
    """Reads a collection for as long as it takes.

    Args:
        client: A client of either driver that sets no deadline: see `service_kit.mongo.connection.connect`.
        database: Database name.
        lease: Says whether secondaries may be read; None if they always may.
        schema: What a person is.
        keys: Has the keys of people.
        gone: Who was erased just now: whatever a secondary says, they are left out.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        lease: Lease | None,
        schema: PersonSchema,
        keys: Keys,
        gone: Container[str] = (),
    ) -> None:
        self._schema = schema
        self._gone = gone
        self._keys = keys
        self._databases = Databases(client, database, lease)

    def _cursor(
        self,
        collection: str,
        wanted: Mapping[str, Any],
        *,
        strong: bool,
        newest: bool = False,
        **more: Any,
    ) -> CursorBatches:
        database = self._databases.choose(strong=strong, newest=newest)
        return CursorBatches(database[collection].find_raw_batches(wanted, batch_size=BATCH, **more))

    def events(
        self,
        query: EventsExportQuery,
        media_type: str,
        withheld: frozenset[str] = frozenset(),
        *,
        bom: bool = False,
    ) -> Export:
        """Return an export of events that fetches its first batch.

        Args:
            query: What to export, in which order, and whether sealed values are laid open.
            media_type: `NDJSON` or `CSV`.
            withheld: Under which names they are not.
            bom: Whether CSV begins with a byte order mark.
        """
        more: dict[str, Any] = {"sort": query.order}
        if not query.opened:
            more["projection"] = {SEALED: 0}
        sources = [
            self._cursor(collection, all_of(query.conditions_in(collection)), strong=query.strong, **more)
            for collection in query.collections
        ]
        batches: Batches = MergedBatches(sources, place_of, descending=query.descending)
        if query.opened:
            batches = OpenedBatches(batches, self._keys)
        write = partial(_EVENTS[media_type], withheld=withheld)
        header = header_of(EVENTS_HEADER, media_type, bom=bom)
        return Export([ExportPart(batches, write)], media_type, header)

    def people(self, query: ExportQuery, media_type: str, view: PersonView, *, bom: bool = False) -> Export:
        """Return an export of people; it may be a `WORKBOOK`.

        Args:
            query: Whom to export, in which order.
            media_type: `NDJSON`, `CSV` or `WORKBOOK`.
            view: What the client sees of them.
            bom: As for `events`.
        """
        columns = view.shown(columns_of(self._schema)) if query.shown is None else query.shown
        table = PeopleWorkbook(columns) if media_type == WORKBOOK else None
        write: Callable[..., bytes] = partial(people_csv, columns=columns)
        if table is not None:
            write = table.rows
        elif media_type == NDJSON:
            write = partial(people_ndjson, shown=columns if view.hidden else query.shown)

        def write_left(documents: Sequence[dict[str, Any]]) -> bytes:
            return write([one for one in documents if one["_id"] not in self._gone])

        # Whom the filters name, a secondary that lags may not have.
        place = {"strong": query.strong, "newest": query.named > 0}
        parts = [
            ExportPart(
                self._cursor("people", all_of([*query.filters, *wanted]), **place, **order), write_left
            )
            for wanted, order in _in_order(query.sorts)
        ]
        header = table.begin() if table else header_of(people_header(columns), media_type, bom=bom)
        return Export(parts, media_type, header, table)

    def import_errors(
        self, import_id: str, media_type: str, language: Language, *, strong: bool, bom: bool = False
    ) -> Export:
        """Return an export of what was refused of an import: the rows that are not valid, then the others.

        It says of all other rows that they were not refused, which a secondary that lags would say of these,
        too: so it is read from the primary, but while there is none.

        Args:
            import_id: The import.
            media_type: `NDJSON` or `CSV`.
            language: Of the reasons.
            strong: Whether only the primary will do.
            bom: As for `events`.
        """
        of_it = {"correlation_id": correlation_of(import_id)}
        place = {"strong": strong, "newest": True}
        invalid = self._cursor("import_errors", {"import_id": import_id}, **place, sort=[("row", 1)])
        undone = self._cursor(
            "rejections", {**of_it, "code": {"$ne": UNCHANGED}}, **place, sort=[("causation_id", 1)]
        )
        parts = [
            ExportPart(invalid, partial(_INVALID[media_type], language=language)),
            ExportPart(undone, partial(_UNDONE[media_type], language=language, schema=self._schema)),
        ]
        return Export(parts, media_type, header_of(ERRORS_HEADER, media_type, bom=bom))


def header_of(row: bytes, media_type: str, *, bom: bool) -> bytes:
    """Return what an export begins with: of CSV, the titles.

    Args:
        row: The titles.
        media_type: Of the export.
        bom: Whether CSV begins with a byte order mark.
    """
    if media_type != CSV:
        return b""
    return BOM_UTF8 + row if bom else row


def _in_order(sorts: Sequence[Sort]) -> Iterator[tuple[list[Condition], dict[str, Any]]]:
    """Yield the conditions of all people, and how to read them: parts that follow each other in an order."""
    shown: dict[str, Any] = {"projection": SHOWN}
    if len(sorts) == 1 and sorts[0].may_lack:
        yield [there(sorts[0])], shown | {"sort": order_of(sorts)}
        yield [lacking(sorts[0])], shown | {"sort": [("_id", sorts[0].direction)]}
    else:
        # Tombstones have nothing to show.
        yield [LIVING], shown | ({"sort": order_of(sorts)} if sorts else {})
