"""Reads a text as rows: what its beginning shows to be wrong is told at once, the rest where it is."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from command_api.imports.body import HEAD_BYTES, Body
from command_api.imports.elements import ElementReader, has_elements
from command_api.imports.encodings import UTF_8, BadByte, TextBytes, marked
from command_api.imports.formats import ImportFormat
from command_api.imports.headings import Header, read_header
from command_api.imports.lines import CR, LF, MAX_LINE_BYTES, STEP, LineReader, Unreadable, line_end
from command_api.imports.options import IGNORED, ImportQuery
from command_api.imports.rows import CsvRows, JsonRows, Reader, Row
from command_api.imports.sniffing import misnamed
from events.errors import BodyTooLarge, InvalidFields
from events.imports.files import CSV

FEW = 3
"""So many rows, none of which can be read, show that the file is not what it is said to be."""


class Source:
    """A body on its way.

    Args:
        body: The bytes.
        form: What it is.
        query: What is asked of it.
    """

    def __init__(self, body: Body, form: ImportFormat, query: ImportQuery) -> None:
        self._body = body
        self._budget = body.budget
        self._form = form
        self._query = query
        self._encoding = UTF_8
        self._text = TextBytes(UTF_8, 0)
        self._lines: LineReader | ElementReader = LineReader()
        self._reader: Reader
        self._first: list[Row] = []
        self._count = 0

    def close(self) -> None:
        """Do nothing: a text is not kept."""

    async def begin(self) -> Header | None:
        """Read the beginning, and return what a header row says.

        Raises:
            BodyTooLarge: The header row has no end.
            InvalidFields: The beginning shows that the file cannot be read, or is not what it is said to be.
            Cut: The client has gone.
            OverBudget: It costs more than an import may.
        """
        head = await self._body.head()
        mark, encoding = marked(head) or (b"", self._form.encoding or UTF_8)
        self._encoding = encoding
        table = self._form.media_type == CSV
        if not mark and (words := misnamed(head, table=table, named=encoding != UTF_8)):
            raise InvalidFields(f"the file {words}")
        self._text = TextBytes(encoding, len(mark))
        bad: BadByte | None = None
        try:
            text = self._text.feed(head.removeprefix(mark), final=self._body.ended)
        except BadByte as exc:
            bad, text = exc, exc.good
        header, text = self._begin_rows(text, bad)
        await self._read_first(text, ended=self._body.ended and bad is None)
        if bad is not None:
            raise InvalidFields(f"the file cannot be read: {self._told(bad, len(self._first) + 1)}")
        whole = self._body.ended or len(head) >= HEAD_BYTES
        if whole and len(self._first) >= FEW and all(row.fields is None for row in self._first):
            raise InvalidFields(f"no row at its beginning can be read: row 1 {self._first[0].reason}")
        return header

    def _begin_rows(self, text: bytes, bad: BadByte | None) -> tuple[Header | None, bytes]:
        """Return what a header row says, if it is a table, and what comes after it."""
        header = None
        if self._form.media_type == CSV:
            header, text = self._read_header(text, bad)
            self._reader = CsvRows(header, self._text.encoding)
        else:
            self._lines = ElementReader() if has_elements(text) else LineReader(line_end(text))
            self._reader = JsonRows(self._query.chosen, IGNORED, self._text.encoding, self._query.titles)
        return header, text

    async def _read_first(self, text: bytes, *, ended: bool) -> None:
        try:
            for at in range(0, len(text), STEP):
                with self._budget:
                    self._first += self._reader.feed(self._lines.feed(text[at : at + STEP]), final=False)
                await asyncio.sleep(0)
            if ended:
                self._first += self._reader.feed(self._lines.end(), final=True)
        except Unreadable as exc:
            raise InvalidFields(f"the file cannot be read: it {exc.reason}") from None

    def _read_header(self, data: bytes, bad: BadByte | None) -> tuple[Header, bytes]:
        """Return what the header row says, and what comes after it."""
        text = data.decode(self._text.encoding, "ignore")  # the beginning of a character may stand at the end
        read = read_header(text, self._query, final=self._body.ended and bad is None)
        if read is not None:
            header, end = read
            self._lines = LineReader(CR if text[:end].endswith("\r") and end < len(text) else LF)
            return header, data[len(text[:end].encode(self._text.encoding)) :]
        if bad is not None:
            raise InvalidFields(f"the file cannot be read: {self._told(bad, 0)}")
        if len(data) >= HEAD_BYTES:
            raise BodyTooLarge(f"the header row is over {MAX_LINE_BYTES >> 10} KB")
        reason = "the first row has no end" if data.strip() else "the file is empty"
        raise InvalidFields(f"there is no header row: {reason}")

    async def rows(self) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows as they come, some at once.

        Raises:
            Cut: The client has gone.
            OverBudget: It costs more than an import may.
            Unreadable: The rest cannot be read.
        """
        if self._first:
            yield self._counted(self._first)
        try:
            async for part in self._body.rest():
                with self._budget:
                    text = self._text.feed(part, final=False)
                    rows = self._reader.feed(self._lines.feed(text), final=False)
                if rows:
                    yield self._counted(rows)
            self._text.feed(b"", final=True)
        except BadByte as exc:
            if rows := self._reader.feed(self._lines.feed(exc.good), final=False):
                yield self._counted(rows)
            raise Unreadable(self._told(exc, self._count + 1)) from None
        if rows := self._reader.feed(self._lines.end(), final=True):
            yield self._counted(rows)

    def _counted(self, rows: list[Row]) -> list[Row]:
        self._count += len(rows)
        return rows

    def _told(self, bad: BadByte, row: int) -> str:
        """Return where a bad byte is, and what to do about it."""
        where = f"row {row}" if row else "the header row"
        if bad.byte is None:
            return f"{where} has a zero byte, at offset {bad.offset}, which is no text"
        if self._encoding == UTF_8:
            return (
                f"{where} is no UTF-8: byte 0x{bad.byte:02X} at offset {bad.offset}. If a spreadsheet wrote "
                "the file, it is probably windows-1252: say so with charset=windows-1252 in Content-Type, "
                "or with --encoding windows-1252"
            )
        return (
            f"{where} is no {self._encoding}: byte 0x{bad.byte:02X} at offset {bad.offset}. Say which"
            " encoding it is with charset in Content-Type, or with --encoding"
        )
