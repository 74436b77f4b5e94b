"""Reads a workbook as rows: keeps it on disk, looks through it at once, then goes row by row."""

import asyncio
import posixpath
import unicodedata
from collections.abc import AsyncIterator, Iterator, Sequence
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import Final, TypeVar

import orjson

from command_api.imports.body import Body
from command_api.imports.headings import NO_HEADER, Columns, Header, read_columns
from command_api.imports.lines import MAX_LINE_BYTES, Unreadable
from command_api.imports.options import ImportQuery
from command_api.imports.rows import TOO_LONG, Row
from command_api.imports.sniffing import ZIP, misnamed
from command_api.imports.workbook.archive import PART_BYTES, Archive
from command_api.imports.workbook.parts import Contents, Relations, Styles
from command_api.imports.workbook.sheet import SheetReader, SheetRow
from command_api.imports.workbook.values import RowTexts, WorkbookValues
from events.cells import column_name
from events.errors import BodyTooLarge, Busy, InvalidFields

MAX_BYTES: Final = 50 * 1024 * 1024
_IN_MEMORY: Final = 1024 * 1024
_MAX_EMPTY_BYTES: Final = 16 * 1024 * 1024
"""Of a sheet, before its first row with content."""
_MAX_SMALL_BYTES: Final = 16 * 1024 * 1024
"""Of styles and the like; those of a workbook that has as many as there can be have four."""
_ROOT: Final = "_rels/.rels"


Filled = TypeVar("Filled", Relations, Contents, Styles)


class WorkbookSource:
    """A workbook on its way; `close` it, however that ends.

    Args:
        body: The bytes.
        query: What is asked of it.
    """

    def __init__(self, body: Body, query: ImportQuery) -> None:
        self._body = body
        self._budget = body.budget
        self._query = query
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._values = WorkbookValues()
        self._sheet = SheetReader()
        self._content: Iterator[bytes] = iter(())
        self._columns: Columns
        self._names: tuple[str | None, ...] = ()
        self._first: list[SheetRow] = []

    def close(self) -> None:
        """Let the file go."""
        self._file.close()
        self._values.shared.close()

    async def begin(self) -> Header:
        """Take the whole file, and return what its header row says.

        Raises:
            BodyTooLarge: The file is larger than a workbook may be.
            Busy: There is no room on the disk.
            InvalidFields: It is no workbook, or there is no header row that will do.
            Cut: The client has gone.
            OverBudget: It costs more than an import may.
        """
        try:
            await self._take()
            archive = await asyncio.to_thread(Archive, self._file)
            await self._open(archive)
            return await self._read_header()
        except Unreadable as exc:
            raise InvalidFields(exc.reason) from exc

    async def _take(self) -> None:
        head = await self._body.head()
        if not head.startswith(ZIP):
            words = (
                misnamed(head, table=False, named=True) or "is no workbook: if it is CSV, send it as text/csv"
            )
            raise InvalidFields(f"the file {words}")
        self._write(head)
        async for part in self._body.rest():
            self._write(part)

    def _write(self, part: bytes) -> None:
        if self._file.tell() + len(part) > MAX_BYTES:
            raise BodyTooLarge(f"a workbook may have {MAX_BYTES >> 20} MB: send parts of it, or CSV")
        try:
            self._file.write(part)
        except OSError as exc:
            raise Busy(f"this process has no room for a workbook: {exc.strerror}", 60) from exc

    async def _open(self, archive: Archive) -> None:
        """Find the sheet, and what its cells refer to."""
        root = await self._read(archive, _ROOT, Relations())
        path = root.of_kind("officeDocument") or ""
        if path not in archive or not path.endswith(".xml") or "xl" not in path.split("/"):
            raise InvalidFields(f"the file is {archive.kind()}, and no workbook (.xlsx)")
        folder, name = posixpath.split(path.lstrip("/"))
        relations = await self._read(archive, f"{folder}/_rels/{name}.rels", Relations())
        self._values.contents = await self._read(archive, path, Contents())
        places = {
            one: posixpath.normpath(posixpath.join(folder, target))
            for one, (_, target) in relations.targets.items()
        }
        for kind in ("styles", "sharedStrings"):
            target = relations.of_kind(kind)
            if target is not None:
                part = posixpath.normpath(posixpath.join(folder, target))
                if kind == "styles":
                    self._values.styles = await self._read(archive, part, Styles())
                else:
                    self._values.shared.content = archive.read(part)
        self._content = archive.read(self._sheet_of(relations, places))

    async def _read(self, archive: Archive, name: str, filled: Filled) -> Filled:
        """Return what a small part says.

        Raises:
            Unreadable: It is no small one, or damaged.
        """
        reader, size = filled.reader(), 0
        content = archive.read(name)
        while True:
            with self._budget:
                data = next(content, b"")
                reader.feed(data)
            size += len(data)
            if size > _MAX_SMALL_BYTES:
                raise Unreadable(f"the workbook has styles or the like of over {_MAX_SMALL_BYTES >> 20} MB")
            if not data:
                return filled
            await asyncio.sleep(0)

    def _sheet_of(self, relations: Relations, places: dict[str, str]) -> str:
        wanted = None if self._query.sheet is None else _compared(self._query.sheet)
        for name, relation in self._values.contents.sheets.items():
            kind = relations.targets.get(relation, ("", ""))[0]
            if kind == "worksheet" and wanted in (None, _compared(name)):
                return places[relation]
        names = ", ".join(f"“{name[:31]}”" for name in [*self._values.contents.sheets][:20])
        reason = (
            f"is no sheet of the workbook, which has {names}"
            if names
            else "there is no sheet in the workbook"
        )
        raise InvalidFields("there is no such sheet", [{"field": "sheet", "reason": reason}])

    async def _read_header(self) -> Header:
        size = 0
        async for rows in self._sheet_rows():
            for at, row in enumerate(rows):
                await self._unpack_texts(row)
                with self._budget:
                    texts = {
                        column: text for column, text in self._values.texts_of(row).cells if text.strip()
                    }
                if texts:
                    titles = [texts.get(column, "") for column in range(1 + max(texts))]
                    with self._budget:
                        header = read_columns(titles, self._query)
                    self._columns, self._names = Columns(header), header.names
                    self._first = rows[at + 1 :]
                    return header
            size += PART_BYTES
            if size > _MAX_EMPTY_BYTES:
                break
        raise InvalidFields(NO_HEADER)

    async def _sheet_rows(self) -> AsyncIterator[list[SheetRow]]:
        """Yield the rows of the sheet, as far as they were not read before, those of a part at once."""
        while True:
            with self._budget:
                data = next(self._content, None)
                rows = self._sheet.feed(data or b"", final=data is None)
            if data is None:
                return
            self._budget.take_bytes(len(data))
            yield rows
            await asyncio.sleep(0)

    async def rows(self) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows, some at once.

        Raises:
            OverBudget: It costs more than an import may.
            Unreadable: The rest cannot be read.
        """
        async for some in self._resolved(self._first):
            yield some
        async for rows in self._sheet_rows():
            async for some in self._resolved(rows):
                yield some

    async def _resolved(self, rows: Sequence[SheetRow]) -> AsyncIterator[list[Row]]:
        """Yield what rows say, some at once: a few bytes of a sheet may refer to texts of any length."""
        some: list[Row] = []
        size = 0
        for one in rows:
            await self._unpack_texts(one)
            with self._budget:
                row, length = self._row(self._values.texts_of(one))
            self._budget.take_bytes(length)
            size += length
            if row is not None:
                some.append(row)
            if size > MAX_LINE_BYTES:
                yield some
                some, size = [], 0
                await asyncio.sleep(0)
        if some:
            yield some

    def _row(self, texts: RowTexts) -> tuple[Row | None, int]:
        """Return what a row says, None if it says nothing, and of how many bytes that was made."""
        raw = orjson.dumps([texts.cells, texts.faults])
        return self._row_of(texts, raw), len(raw)

    def _row_of(self, texts: RowTexts, raw: bytes) -> Row | None:
        if texts.too_long:
            return Row(None, sha256(raw).digest(), TOO_LONG)
        if not (texts.faults or any(text.strip() for _, text in texts.cells)):
            return None
        cells = [""] * len(self._names)
        for column, text in texts.cells:
            if column < len(cells):
                cells[column] = text
            elif text.strip():
                return Row(None, raw, f"has a value in column {column_name(column)}, which has no name")
        for column, reason in texts.faults:
            if column < len(cells) and self._names[column] is not None:
                return Row(None, raw, f"column {column_name(column)} {reason}")
        if reason := self._columns.fault(cells):
            return Row(None, raw, reason)
        return Row(self._columns.fields(cells), raw)

    async def _unpack_texts(self, row: SheetRow) -> None:
        """Unpack the shared texts that a row refers to, as far as that is not done."""
        while self._values.lacks_texts(row):
            with self._budget:
                size = self._values.shared.unpack()
            if not size:
                return
            self._budget.take_bytes(size)
            await asyncio.sleep(0)


def _compared(name: str) -> str:
    """Return the name of a sheet as it is compared: terminals and file systems may decompose its letters."""
    return unicodedata.normalize("NFC", name.strip()).casefold()
