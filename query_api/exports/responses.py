"""Answers with an export: headers first, then all of it, and nothing left open however that ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import structlog
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from prometheus_client import Counter
from starlette.types import Send

from events.errors import Damaged, StoreUnavailable
from query_api.exports.streams import Export, Exports
from query_api.people.queries import Answer
from query_api.people.routes import PeopleDependencies
from service_kit.access.recording import ExportNote, note_export
from service_kit.http.turns import step_aside
from service_kit.slots import AtOnce, Slots

RETRY_SECONDS: Final = 15
"""When to try again where too many exports are under way."""

BROKEN_OFF: Final = Counter("rollcall_exports_broken_off_total", "Exports that ended before they were whole")

log = structlog.get_logger()


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


class ExportSender:
    """Sends so many exports at once, some of them to the same subject, each for so long.

    Args:
        dependencies: Makes the headers.
        exports: What can be exported.
        at_once: How many, in all and to one subject.
        seconds: After how long one that is not at its end breaks off.
    """

    def __init__(
        self, dependencies: PeopleDependencies, exports: Exports, at_once: AtOnce, seconds: float
    ) -> None:
        self.exports = exports
        self._dependencies = dependencies
        self._seconds = seconds
        self.slots = Slots.shared(at_once, "exports", RETRY_SECONDS)

    async def response(
        self,
        request: Request,
        subject: str,
        begin: Callable[[], Export],
        name: str,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Return the response with an export; an error before its first byte is a problem response.

        Args:
            request: Asks for it.
            subject: To whom.
            begin: Gives what is sent.
            name: Of the file.
            headers: More of them.

        Raises:
            Busy: Too many are under way.
            StoreUnavailable: MongoDB does not answer.
        """
        step_aside()
        note = note_export(request.scope, (headers or {}).get("X-Stream-Position"))
        async with AsyncExitStack() as held:
            held.enter_context(self.slots.taken(subject))
            export = begin()
            held.push_async_callback(_let_go, export)
            source = Answer([], await export.begin())
            ours = self._dependencies.headers(source, _headers(name, headers))
            return _Stream(
                export,
                held.pop_all(),
                self._seconds,
                note,
                headers=ours,
                media_type=export.media_type,
            )


class _Stream(StreamingResponse):
    """Sends an export no faster than it is taken, and closes it however that ends."""

    def __init__(
        self, export: Export, held: AsyncExitStack, seconds: float, note: ExportNote, **options: Any
    ) -> None:
        super().__init__(self._chunks(), **options)
        self._export = export
        self._note = note
        self._held = held
        self._seconds = seconds

    async def stream_response(self, send: Send) -> None:
        """Send all of it (ASGI); when the client has gone, this is cancelled.

        An answer that has begun, and goes no further, has no end: the connection breaks off, which tells the
        client that it is not whole.
        """
        async with self._held:
            try:
                async with asyncio.timeout(self._seconds):
                    await super().stream_response(send)
            except (StoreUnavailable, Damaged, TimeoutError) as exc:
                reason = f"takes over {self._seconds:g} s" if isinstance(exc, TimeoutError) else exc.detail
                BROKEN_OFF.inc()
                log.warning("an export broke off", lines=self._export.lines, reason=reason)
            finally:
                with suppress(StoreUnavailable):  # its beginning is on record
                    await self._note.end(self._export.lines, whole=False)

    async def _chunks(self) -> AsyncIterator[bytes]:
        """Yield all of it, and put on record how much that was, before the answer's end goes out."""
        async for chunk in self._export.chunks():
            yield chunk
        await self._note.end(self._export.lines, whole=True)


_closing: set[asyncio.Task[None]] = set()


async def _let_go(export: Export) -> None:
    """Close an export, also if this is cancelled."""
    task = asyncio.create_task(export.close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
    await asyncio.shield(task)
