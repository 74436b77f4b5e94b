"""Reads a workbook as rows: keeps it on disk, looks through it at once, then goes row by row."""

import asyncio
import posixpath
import unicodedata
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
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
from command_api.imports.workbook.archive import Archive
from command_api.imports.workbook.cells import CellFault, cell_text
from command_api.imports.workbook.parts import Contents, Relations, Styles
from command_api.imports.workbook.sheet import SharedTexts, SheetReader, SheetRow, column_name
from events.errors import BodyTooLarge, Busy, InvalidFields

MAX_BYTES: Final = 50 * 1024 * 1024
_IN_MEMORY: Final = 1024 * 1024
_MAX_EMPTY_BYTES: Final = 16 * 1024 * 1024
"""Of a sheet, before its first row with content."""
_ROOT: Final = "_rels/.rels"


Filled = TypeVar("Filled", Relations, Contents, Styles)


@dataclass(slots=True)
class _Texts:
    """What the cells of a row say, by column, and what is wrong with others."""

    cells: list[tuple[int, str]] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    too_long: bool = False


class WorkbookSource:
    """A workbook on its way; `close` it, however that ends.

    Args:
        body: The bytes.
        query: What is asked of it.
    """

    def __init__(self, body: Body, query: ImportQuery) -> None:
        self._body = body
        self._query = query
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._contents, self._styles = Contents(), Styles()
        self._texts = SharedTexts()
        self._sheet = SheetReader()
        self._content: Iterator[bytes] = iter(())
        self._columns: Columns
        self._names: tuple[str | None, ...] = ()
        self._first: list[SheetRow] = []

    def close(self) -> None:
        """Let the file go."""
        self._file.close()
        self._texts.close()

    async def begin(self) -> Header:
        """Take the whole file, and return what its header row says.

        Raises:
            BodyTooLarge: The file is larger than a workbook may be.
            Busy: There is no room on the disk.
            InvalidFields: It is no workbook, or there is no header row that will do.
            Cut: The client has gone.
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
        root = await _read(archive, _ROOT, Relations())
        path = root.of_kind("officeDocument") or ""
        if path not in archive or not path.endswith(".xml") or "xl" not in path.split("/"):
            raise InvalidFields(f"the file is {archive.kind()}, and no workbook (.xlsx)")
        folder, name = posixpath.split(path.lstrip("/"))
        relations = await _read(archive, f"{folder}/_rels/{name}.rels", Relations())
        self._contents = await _read(archive, path, Contents())
        places = {
            one: posixpath.normpath(posixpath.join(folder, target))
            for one, (_, target) in relations.targets.items()
        }
        for kind in ("styles", "sharedStrings"):
            target = relations.of_kind(kind)
            if target is not None:
                part = posixpath.normpath(posixpath.join(folder, target))
                if kind == "styles":
                    self._styles = await _read(archive, part, Styles())
                else:
                    self._texts.content = archive.read(part)
        self._content = archive.read(self._sheet_of(relations, places))

    def _sheet_of(self, relations: Relations, places: dict[str, str]) -> str:
        wanted = None if self._query.sheet is None else _compared(self._query.sheet)
        for name, relation in self._contents.sheets.items():
            kind = relations.targets.get(relation, ("", ""))[0]
            if kind == "worksheet" and wanted in (None, _compared(name)):
                return places[relation]
        names = ", ".join(f"“{name[:31]}”" for name in [*self._contents.sheets][:20])
        reason = (
            f"is no sheet of the workbook, which has {names}"
            if names
            else "there is no sheet in the workbook"
        )
        raise InvalidFields("there is no such sheet", [{"field": "sheet", "reason": reason}])

    async def _read_header(self) -> Header:
        size = 0
        for data in self._content:
            size += len(data)
            rows = self._sheet.feed(data)
            for at, row in enumerate(rows):
                texts = {column: text for column, text in (await self._texts_of(row)).cells if text.strip()}
                if texts:
                    titles = [texts.get(column, "") for column in range(1 + max(texts))]
                    header = read_columns(titles, self._query)
                    self._columns, self._names = Columns(header), header.names
                    self._first = rows[at + 1 :]
                    return header
            if size > _MAX_EMPTY_BYTES:
                break
            await asyncio.sleep(0)
        else:
            self._sheet.feed(b"", final=True)  # it may have been cut off
        raise InvalidFields(NO_HEADER)

    async def rows(self) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows, some at once.

        Raises:
            Unreadable: The rest cannot be read.
        """
        if rows := await self._resolved(self._first):
            yield rows
        for data in self._content:
            if rows := await self._resolved(self._sheet.feed(data)):
                yield rows
            await asyncio.sleep(0)
        self._sheet.feed(b"", final=True)

    async def _resolved(self, rows: Sequence[SheetRow]) -> list[Row]:
        return [row for row in [self._row(await self._texts_of(one)) for one in rows] if row is not None]

    def _row(self, texts: _Texts) -> Row | None:
        """Return what a row says; None if it says nothing."""
        raw = orjson.dumps([texts.cells, texts.faults])
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

    async def _texts_of(self, row: SheetRow) -> _Texts:
        """Return what a row's cells say."""
        texts, length = _Texts(too_long=row.too_long), 0
        digits, from_1904 = self._styles.digits, self._contents.from_1904
        for column, kind, style, value in row.cells:
            try:
                if kind == "s":
                    text = await self._shared(value)
                else:
                    shown = digits[style] if style < len(digits) else 0
                    text = cell_text(kind, value, shown, from_1904=from_1904)
            except CellFault as exc:
                texts.faults.append((column, exc.reason))
                continue
            length += len(text)
            if length > MAX_LINE_BYTES:
                texts.too_long = True
                break
            texts.cells.append((column, text))
        return texts

    async def _shared(self, value: str) -> str:
        """Return a shared text, unpacking more of them if need be."""
        number = int(value) if value.isdecimal() and len(value) < 9 else -1
        for _ in self._texts.unpack(number):
            await asyncio.sleep(0)
        if not 0 <= number < len(self._texts):
            raise Unreadable("the workbook is damaged: a cell has a text that is not there")
        return self._texts[number]


def _compared(name: str) -> str:
    """Return the name of a sheet as it is compared: terminals and file systems may decompose its letters."""
    return unicodedata.normalize("NFC", name.strip()).casefold()


async def _read(archive: Archive, name: str, filled: Filled) -> Filled:
    """Return what a small part says."""
    reader = filled.reader()
    for data in archive.read(name):
        reader.feed(data)
        await asyncio.sleep(0)
    return filled
