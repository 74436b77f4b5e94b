"""Bounds a request's head while it still comes in, in bytes and in time: the parser has no bounds."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from events.errors import HeadersTooLarge, InvalidRequest, RollcallError
from service_kit.http.guard import ALWAYS, MAX_TARGET_BYTES, target_too_long
from service_kit.http.problems import problem_of

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of what has come of a head that is not whole yet; `service_kit.http.guard` holds a whole one to less."""
HEAD_SECONDS: Final = 10.0
"""From connecting, or from a later request's first byte; in between, uvicorn's own 5 s hold."""


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, for clients who may send a head that never ends."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.url = b""
        self._open = True
        self._received = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the client a while to say what it wants."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget_deadline()
        super().connection_lost(exc)

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
