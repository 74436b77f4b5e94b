"""Bounds what a connection waits for: a head that does not end, an answer that its client does not take."""

import asyncio
from typing import Any, Final

import structlog
from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from events.errors import HeadersTooLarge, InvalidRequest, RollcallError
from service_kit.http.guard import ALWAYS, MAX_TARGET_BYTES, target_too_long
from service_kit.http.problems import problem_of

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of what has come of a head that is not whole yet; `service_kit.http.guard` holds a whole one to less."""
HEAD_SECONDS: Final = 10.0
"""From connecting, or from a later request's first byte; in between, the keep-alive time holds."""
STALL_SECONDS: Final = 30.0
"""How long a client may take nothing of an answer of which 64 KB wait for it, or at whose end we close."""

STALLED: Final = Counter("rollcall_http_stalled_total", "Connections whose clients took no more of an answer")

log = structlog.get_logger()


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, for clients who may never end a head, or never take an answer."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.url = b""
        self._open = True
        self._received = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the client a while to say what it wants."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget_deadline()
        self._forget_stall()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give the client a while to take what is there for it."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """Go on: the client takes it."""
        if not self.transport.is_closing():
            self._forget_stall()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Leave the end of an answer to the client, for a while where the connection ends with it."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_taking()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, whether or not the end of an answer is taken."""
        super().timeout_keep_alive_handler()
        self._await_taking()

    def on_message_begin(self) -> None:
        """Begin with a head."""
        self._received = 0
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the head: what comes now is the body, which has limits of its own."""
        self._open = False
        self._forget_deadline()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what has come, unless the head becomes too long."""
        super().data_received(data)
        if not self._open:
            return
        self._received += len(data)
        if self._received > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"the head of the request is longer than {MAX_HEAD_BYTES} bytes"))

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or more than the parser takes."""
        self._refuse(InvalidRequest(msg.rstrip(".").lower()))

    def _refuse(self, error: RollcallError) -> None:
        # The parser knows of no address beyond 65,535 bytes.
        response = problem_of(target_too_long() if len(self.url) > MAX_TARGET_BYTES else error)
        fields = (*response.raw_headers, *ALWAYS, (b"connection", b"close"))
        head = [STATUS_LINE[response.status_code], *(b"%b: %b\r\n" % field for field in fields), b"\r\n"]
        self.transport.write(b"".join([*head, bytes(response.body)]))
        self.transport.close()

    def _await_head(self) -> None:
        self._open = True
        self._forget_deadline()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _await_taking(self) -> None:
        if self._stall is None:
            self._stall = self.loop.call_later(STALL_SECONDS, self._cut_off)

    def _forget_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _cut_off(self) -> None:
        STALLED.inc()
        log.info("a client was cut off", reason="takes nothing")
        # Closing would wait until what is written is taken.
        self.transport.abort()
