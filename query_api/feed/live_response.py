"""The response that goes on for as long as a live client takes it."""

import asyncio
from contextlib import ExitStack, aclosing, suppress
from typing import Any, Final

import structlog
from fastapi.responses import StreamingResponse
from prometheus_client import Counter, Gauge
from starlette.types import Receive, Scope, Send

from query_api.feed.live_client import LiveClient

MEDIA_TYPE: Final = "text/event-stream"
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
SEND_SECONDS: Final = 20.0
"""A client that takes nothing for so long is gone, or as good as that."""

CLIENTS: Final = Gauge("rollcall_live_clients", "Clients that follow the stream of events")
SLOW: Final = Counter("rollcall_live_clients_cut_total", "Clients that were cut off since they took nothing")

log = structlog.get_logger()


class LiveResponse(StreamingResponse):
    """Sends the events of a live client, for as long as it takes them.

    Args:
        client: Closed at the end.
        held: Closed at the end, too.
    """

    def __init__(self, client: LiveClient, held: ExitStack) -> None:
        self._chunks = client.chunks()
        super().__init__(self._chunks, 200, HEADERS, MEDIA_TYPE)
        self._client = client
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer (ASGI)."""
        watching = asyncio.create_task(self._watch(receive))
        CLIENTS.inc()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await self._send(send, {"body": chunk, "more_body": True})
            await self._send(send, {"body": b"", "more_body": False})
        except TimeoutError:
            SLOW.inc()
            log.info("live client cut off", reason="takes nothing")
        finally:
            CLIENTS.dec()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            with self._held:
                await self._client.close()

    async def _send(self, send: Send, message: dict[str, Any]) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.body", **message})

    async def _watch(self, receive: Receive) -> None:
        try:
            with suppress(OSError):
                while (await receive())["type"] != "http.disconnect":
                    pass
        finally:
            self._client.leave()
