"""Answers with an export: headers first, then all of it, and nothing left open however that ends."""

import asyncio
from typing import Any

from fastapi.responses import Response, StreamingResponse
from starlette.types import Send

from query_api.exports.streams import Export
from query_api.people.queries import Answer
from query_api.people.routes import PeopleDependencies


def head_of(media_type: str, name: str, headers: dict[str, str] | None = None) -> Response:
    """Return the head of an answer with an export: nothing is opened for it, and nobody knows its length.

    Args:
        media_type: Of the export.
        name: Of the file.
        headers: More of them.
    """
    return StreamingResponse(iter(()), headers=_headers(name, headers), media_type=media_type)


def _headers(name: str, headers: dict[str, str] | None) -> dict[str, str]:
    more = dict(headers or {})
    vary = ", ".join(("Accept", *filter(None, (more.pop("Vary", ""),))))
    file = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": vary}
    return {"Cache-Control": "private, no-cache", **file, **more}


async def streamed(
    dependencies: PeopleDependencies, export: Export, name: str, headers: dict[str, str] | None = None
) -> Response:
    """Return the response with an export; an error before its first byte is a problem response.

    Args:
        dependencies: Makes the headers.
        export: What is sent.
        name: Of the file.
        headers: More of them.
    """
    try:
        ours = dependencies.headers(Answer([], await export.begin()), _headers(name, headers))
    except BaseException:
        await _let_go(export)
        raise
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
