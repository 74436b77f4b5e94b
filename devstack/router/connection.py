"""The connections of the router: each driver's, and beside it one to the member that routes for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Mapping
from typing import Any, Final, cast

import bson

from devstack.router.commands import administer, refusal
from devstack.router.members import Members
from devstack.router.wire import (
    INT,
    OP_MSG,
    Frames,
    NotOurs,
    answer_to,
    command_name,
    command_of,
    operation_of,
    renamed,
)

_CONNECT_SECONDS: Final = 2.0
_HOST_UNREACHABLE: Final = 6

log = logging.getLogger("router")

ROUTED: Final[Mapping[bytes, bytes]] = {
    name.encode(): f"cluster{name[0].upper()}{name[1:]}".encode()
    for name in ("find", "getMore", "insert", "update", "delete", "aggregate")
}


class Connection(asyncio.Protocol):
    """One connection of a driver, and the one to a shard's primary that routes for it.

    A driver sends its next request on a connection when the one before is answered.
    """

    def __init__(self, members: Members) -> None:
        self._members = members
        self._frames = Frames()
        self._routing: Routing | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other connection too."""
        if self._routing is not None:
            self._routing.transport.close()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Route or answer what is complete."""
        try:
            for message in self._frames.feed(data):
                self._take(message)
        except (NotOurs, ValueError, struct.error, bson.errors.InvalidBSON) as exc:
            log.warning("closing a connection: %s", exc)
            self.transport.close()

    def _take(self, message: bytes) -> None:
        name = command_name(message) if operation_of(message) == OP_MSG else b""
        if name not in ROUTED:
            self._task = asyncio.create_task(self._administer(message))
        elif b"txnNumber\0" in message and "txnNumber" in command_of(message):
            self.answer(message, refusal("transactions and retryable writes are not for this router"))
        else:
            self._route(renamed(message, name, ROUTED[name]))

    def _route(self, message: bytes) -> None:
        routing = self._routing
        if routing is not None and self._members.is_primary(routing.address):
            routing.send(message)
            return
        if routing is not None:
            routing.transport.close()
            self._routing = None
        self._task = asyncio.create_task(self._open_and_route(message))

    async def _open_and_route(self, message: bytes) -> None:
        """Connect to the first primary that can be had, and send the message there."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_SECONDS):
                while True:
                    for host, port in self._members.primaries():
                        with contextlib.suppress(OSError):
                            _, routing = await loop.create_connection(
                                lambda at=(host, port): Routing(self, at),  # type: ignore[misc]
                                host,
                                port,
                            )
                            self._routing = routing
                            routing.send(message)
                            return
                    await asyncio.sleep(0.05)
        self.answer(message, refusal("no shard has a primary that answers", _HOST_UNREACHABLE))

    def routing_lost(self, routing: Routing) -> None:
        """Tell the driver what a request under way has come to; it may try again."""
        if routing is not self._routing:
            return
        self._routing = None
        if routing.untouched is not None:
            self.answer(
                routing.untouched, refusal("the member that was routing is gone", code=_HOST_UNREACHABLE)
            )
        elif routing.busy:
            self.transport.close()

    async def _administer(self, message: bytes) -> None:
        self.answer(message, await administer(self._members, command_of(message)))

    def answer(self, message: bytes, document: Mapping[str, Any]) -> None:
        """Answer a message."""
        if not self.transport.is_closing():
            self.transport.write(answer_to(message, document))


class Routing(asyncio.Protocol):
    """A connection to a shard's primary: what comes back goes to the driver as it is.

    Args:
        client: The driver's connection.
        address: Where this one goes.

    Attributes:
        untouched: The request under way, if nothing of its answer has come yet.
    """

    def __init__(self, client: Connection, address: tuple[str, int]) -> None:
        self.address = address
        self.untouched: bytes | None = None
        self._client = client
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave what follows to the driver's connection."""
        self._client.routing_lost(self)

    @property
    def busy(self) -> bool:
        """Whether an answer has come in part."""
        return bool(self._missing or self._head)

    def send(self, message: bytes) -> None:
        """Send a request on."""
        self.untouched = message
        self.transport.write(message)

    def data_received(self, data: bytes) -> None:
        """Pass an answer on, keeping count of what is missing of it."""
        self.untouched = None
        self._client.transport.write(data)
        if self._missing:
            self._missing -= len(data)
            return
        self._head += data
        if len(self._head) >= INT.size:
            self._missing = INT.unpack_from(self._head)[0] - len(self._head)
            self._head = b""
