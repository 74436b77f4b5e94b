"""Takes a body's bytes from the client, no faster than they are used, and unpacks them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

from starlette.types import Receive

from command_api.imports.budget import ImportBudget
from command_api.imports.lines import STEP, Unpacker, Unreadable

IDLE_SECONDS: Final = 60.0
"""A client that sends nothing for so long is given up; the import can go on with another request."""
QUIET_SECONDS: Final = 1.0
"""A client that has sent a line, and then nothing for so long, wants to hear that the import has begun."""
HEAD_BYTES: Final = 64 * 1024
"""What is looked at before the answer."""


class Cut(Exception):
    """The client has gone, or said nothing for too long, before the body's end.

    Args:
        reason: One sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Body:
    """A body on its way.

    Args:
        receive: Gives its parts (ASGI).
        packed: Whether it comes as gzip.
        budget: What reading it may cost.
    """

    def __init__(self, receive: Receive, *, packed: bool, budget: ImportBudget) -> None:
        self.budget = budget
        self._receive = receive
        self._unpacker = Unpacker() if packed else None
        self._steps: Iterator[bytes] = iter(())
        self._more = True
        self._left = b""
        self._head: bytes | None = None
        self._done = False
        self._damage: Unreadable | None = None

    @property
    def ended(self) -> bool:
        """Return whether all of it was taken, and nothing is wrong with it."""
        return self._done and not self._left

    async def head(self) -> bytes:
        """Return the beginning, each time: `HEAD_BYTES`, or all, or what came before the client waited.

        Raises:
            InvalidFields: The body is not packed as it says.
            Cut: The client has gone.
            OverBudget: It is larger than an import may be.
        """
        if self._head is None:
            head = await self._beginning()
            self._head, self._left = head[:HEAD_BYTES], head[HEAD_BYTES:]
        return self._head

    async def _beginning(self) -> bytes:
        head = b""
        while len(head) < HEAD_BYTES:
            seconds = QUIET_SECONDS if b"\n" in head or b"\r" in head else IDLE_SECONDS
            try:
                part = await self._next(seconds)
            except TimeoutError:
                if seconds == IDLE_SECONDS:
                    raise silent() from None
                break
            except Unreadable as exc:
                self._damage = exc  # what came before it stands
                break
            if part is None:
                break
            head += part
        return head

    async def rest(self) -> AsyncIterator[bytes]:
        """Yield what comes after the head, at most some milliseconds of work at once.

        Raises:
            Cut: The client has gone.
            OverBudget: It is larger than an import may be.
            Unreadable: The rest cannot be unpacked.
        """
        if self._left:
            yield self._left
        if self._damage is not None:
            raise self._damage
        while True:
            try:
                part = await self._next(IDLE_SECONDS)
            except TimeoutError:
                raise silent() from None
            if part is None:
                return
            yield part
            await asyncio.sleep(0)

    async def _next(self, seconds: float) -> bytes | None:
        """Return the next part; None after the last."""
        while True:
            with self.budget:
                part = next(self._steps, None)
            if part:
                self.budget.take_bytes(len(part))
                return part
            if not self._more:
                self._done = True
                return None
            async with asyncio.timeout(seconds):
                message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Cut("the client has gone")
            data, self._more = message.get("body", b""), message.get("more_body", False)
            self._steps = self._unpacked(data)

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        if self._unpacker is None:
            for at in range(0, len(data), STEP):
                yield data[at : at + STEP]
            return
        yield from self._unpacker.feed(data)
        if not self._more:
            self._unpacker.end()


def silent() -> Cut:
    """Return what ends an import whose client says no more."""
    return Cut(f"the client sent nothing for {IDLE_SECONDS:.0f} s")
