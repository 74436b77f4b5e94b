"""Owns the way of a body into rows: taken from the client no faster than they are used, unpacked, cut."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from starlette.types import Receive

from command_api.imports.lines import MAX_LINE_BYTES, Line, Lines, TooLong, Unpacker, Unreadable
from command_api.imports.options import CSV, IGNORED, Form, Header, ImportQuery, read_header
from command_api.imports.rows import CsvRows, JsonRows, Reader, Row
from events.errors import BodyTooLarge, InvalidFields

IDLE_SECONDS: Final = 60.0
"""A client that sends nothing for so long is given up; the import can go on with another request."""


class Cut(Exception):
    """The client has gone, or said nothing for too long, before the body's end.

    Args:
        reason: One sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Source:
    """A body on its way.

    Args:
        receive: Gives its parts (ASGI).
        form: What it is.
        query: What is asked of it.
    """

    def __init__(self, receive: Receive, form: Form, query: ImportQuery) -> None:
        self._receive = receive
        self._form = form
        self._query = query
        self._lines = Lines()
        self._steps = self._cut_lines()
        self._reader: Reader = JsonRows(query.chosen, IGNORED)
        self._first: list[Line] = []
        self._ended = False

    async def begin(self) -> Header | None:
        """Read as far as must be known before the import begins; return what a header row says.

        Raises:
            BodyTooLarge: The header row has no end.
            InvalidFields: It is no header row, or not one that will do; or the body is not packed as it says.
            Cut: The client has gone.
        """
        try:
            if self._form.media_type == CSV:
                return await self._read_header()
            self._first = await anext(self._steps, [])
        except Unreadable as exc:
            raise InvalidFields(exc.reason) from exc
        return None

    async def _read_header(self) -> Header:
        async for lines in self._steps:
            there = next(
                (at for at, line in enumerate(lines) if isinstance(line, TooLong) or line.strip()), None
            )
            if there is None:
                continue
            first, self._first = lines[there], lines[there + 1 :]
            if isinstance(first, TooLong):
                raise BodyTooLarge(f"the header row is over {MAX_LINE_BYTES >> 10} KB")
            header = read_header(first, self._query.mode, self._query.chosen)
            self._reader = CsvRows(header.delimiter, header.names)
            return header
        raise InvalidFields("there is no header row: the body is empty")

    async def rows(self) -> AsyncIterator[Sequence[Row]]:
        """Yield the rows as they come, some at once.

        Raises:
            Cut: The client has gone.
            Unreadable: The rest cannot be read.
        """
        if rows := self._reader.feed(self._first, final=False):
            yield rows
        async for lines in self._steps:
            if rows := self._reader.feed(lines, final=False):
                yield rows
        if rows := self._reader.feed([], final=True):
            yield rows

    async def _cut_lines(self) -> AsyncIterator[list[Line]]:
        unpacker = Unpacker() if self._form.packed else None
        more = True
        while more:
            data, more = await self._take()
            for part in unpacker.feed(data) if unpacker else (data,):
                yield self._lines.feed(part)
                await asyncio.sleep(0)
        if unpacker:
            unpacker.end()
        yield self._lines.end()

    async def _take(self) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise Cut(f"the client sent nothing for {IDLE_SECONDS:.0f} s") from None
        if message["type"] == "http.disconnect":
            raise Cut("the client has gone")
        return message.get("body", b""), message.get("more_body", False)
