"""Owns answering with an export: headers first, then all of it, and nothing left open however that ends."""

import asyncio
from typing import Any

from fastapi.responses import Response, StreamingResponse
from starlette.types import Send

from query_api.exports import Export
from query_api.people import ReadDesk
from query_api.reads import Answer


async def streamed(
    desk: ReadDesk, export: Export, name: str, headers: dict[str, str] | None = None
) -> Response:
    """Return the response with an export; an error before its first byte is a problem response.

    Args:
        desk: Makes the headers.
        export: What is sent.
        name: Of the file.
        headers: More of them.
    """
    try:
        ours = desk.headers(Answer([], await export.begin()), {"Vary": "Accept", **(headers or {})})
    except BaseException:
        await _let_go(export)
        raise
    ours["Content-Disposition"] = f'attachment; filename="{name}"'
    return _Stream(export, headers=ours, media_type=export.media_type)


class _Stream(StreamingResponse):
    """Sends an export no faster than it is taken, and closes it however that ends."""

    def __init__(self, export: Export, **options: Any) -> None:
        super().__init__(export.chunks(), **options)
        self._export = export

    async def stream_response(self, send: Send) -> None:
        """Send all of it (ASGI); when the client has gone, this is cancelled."""
        try:
            await super().stream_response(send)
        finally:
            await _let_go(self._export)


_closing: set[asyncio.Task[None]] = set()


async def _let_go(export: Export) -> None:
    """Close an export, also if this is cancelled."""
    task = asyncio.create_task(export.close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
    await asyncio.shield(task)
