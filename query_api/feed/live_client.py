"""Sends one live client older events from a replay, then the feed, without a gap or a repeat."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from events.errors import Unavailable
from events.feed.errors import PositionGone
from events.feed.position import Position
from query_api.feed.buffer import Behind, FeedBuffer
from query_api.feed.items import Item
from query_api.feed.replays import FIRST, OTHER, Replay, Replays
from query_api.feed.withholding import HiddenFields
from service_kit.broker.stream import FeedEntry
from service_kit.pieces import PIECE, next_piece

HEARTBEAT_SECONDS: Final = 15.0
CHECK_SECONDS: Final = 15.0
RETRY_MS: Final = 1000
"""When a client that was cut off should come again: the field `retry` of an event stream."""

FindPeople = Callable[[Collection[str]], Awaitable[Mapping[str, Mapping[str, Any]]]]
"""Returns the documents of people in the read model, tombstones too, by id, as the primary has them; raises
`Unavailable`."""


class LiveClient:
    """Where a client is, what it wants, and what it is sent.

    Args:
        feed: The newest events.
        position: It gets what comes after it; `FIRST` for all that there is.
        types: Only events of these types; all, if empty.
        person_id: Only events about this person; about all, if None.
        subject: Who it is.
        expires_at: When its token ends, seconds since 1970.
        heartbeat: Seconds of silence after which it is told its position.
        is_good: Says whether the token is still taken; asked every `CHECK_SECONDS`.
        find_people: Tells of older events what is still so, to a client that gets nothing else; None: it gets
            each event as it was announced.
        hidden: The fields that it may not see; None if it may see all.
    """

    def __init__(
        self,
        feed: FeedBuffer,
        position: Position,
        *,
        types: frozenset[str] = frozenset(),
        person_id: str | None = None,
        subject: str = "",
        expires_at: float = float("inf"),
        heartbeat: float = HEARTBEAT_SECONDS,
        is_good: Callable[[], Awaitable[bool]] | None = None,
        find_people: FindPeople | None = None,
        hidden: HiddenFields | None = None,
    ) -> None:
        self._feed = feed
        self._epoch = feed.epoch
        self._at = position
        self._next = max(position.offset + 1, 0)
        self._types = types
        self._person_id = person_id
        self._subject = subject
        self._expires_at = expires_at
        self._heartbeat = heartbeat
        self._is_good = is_good
        self._checked_at = time.monotonic()
        self._refused = False
        self._find_people = find_people
        self._hidden = hidden
        self._happened = asyncio.Event()
        self._left = False
        self._older: tuple[list[FeedEntry], Replay] | None = None
        self._stack = AsyncExitStack()
        feed.register(self._happened)

    async def open(self, replays: Replays) -> None:
        """Get what the feed does not have any more.

        Raises:
            PositionGone: The stream does not have it either, or another event is at the position.
            Unavailable: It cannot be had now.
        """
        named = bool(self._at.event_id)
        if not self._feed.covers(self._at.offset if named else self._next):
            self._older = await self._stack.enter_async_context(replays.after(self._at, self._subject))
        elif named and not self._feed.has(self._at):
            raise PositionGone(OTHER, self._at)

    async def close(self) -> None:
        """Give back what it holds."""
        self._feed.remove(self._happened)
        await self._stack.aclose()

    def leave(self) -> None:
        """Note that the client has gone."""
        self._left = True
        self._happened.set()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield what to send, until the client leaves or must go; the last chunk says why."""
        yield self._greeting()
        reason = "lost"
        try:
            if self._older is not None:
                async for chunk in self._replay(*self._older):
                    yield chunk
                await self._stack.aclose()
            async for chunk in self._live():
                yield chunk
            reason = await self._must_go()
        except Behind:
            reason = "slow"
        except Unavailable:
            pass  # of a replay: the client comes again, here or elsewhere
        if not self._left:
            yield b'retry: %d\nevent: cut\ndata: {"reason":"%b"}\n\n' % (RETRY_MS, reason.encode())

    def _greeting(self) -> bytes:
        """Return the first lines: a client that is cut before its first event resumes here too."""
        # Of one that wants the first event, the request itself says so again.
        return b"retry: %d\n%b\n" % (RETRY_MS, self._id())

    async def _replay(self, entries: list[FeedEntry], reader: Replay) -> AsyncIterator[bytes]:
        told = time.monotonic()
        while not self._left and not await self._must_go():
            chunk = await self._lines([Item(entry, fresh=False) for entry in entries])
            if entries:
                self._at, self._next = entries[-1].position, entries[-1].offset + 1
            if not chunk and time.monotonic() - told > self._heartbeat:
                chunk = self._place()
            if chunk:
                told = time.monotonic()
                yield chunk
            if self._feed.covers(self._next):
                return
            entries = await reader.take()

    async def _live(self) -> AsyncIterator[bytes]:
        told = time.monotonic()
        while not self._left and not await self._must_go():
            self._happened.clear()
            items = self._feed.since(self._next)
            chunk = await self._lines(items)
            if items:
                self._at, self._next = items[-1].position, items[-1].offset + 1
            if not chunk and time.monotonic() - told >= self._heartbeat:
                chunk = self._place()
            if chunk:
                told = time.monotonic()
                yield chunk
            if not items:
                await self._wait(told + self._heartbeat - time.monotonic())

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._happened.wait()
        except TimeoutError:
            pass

    async def _must_go(self) -> str:
        """Return why the client must go; nothing if it may stay."""
        now = time.monotonic()
        if self._is_good is not None and now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            self._refused = not await self._is_good()
        if self._feed.closed:
            return "ending"
        if self._feed.epoch != self._epoch:
            return "lost"  # the stream was cut: whether the client's position still holds is asked anew
        return "token-expired" if self._refused or time.time() >= self._expires_at else ""

    async def _lines(self, items: Sequence[Item]) -> bytes:
        if len(items) > PIECE:
            await next_piece()
        filtered = bool(self._types) or self._person_id is not None
        own = filtered or self._hidden is not None
        wanted = [one for one in items if self._wants(one)] if filtered else items
        if not wanted:
            return b""
        if self._find_people is None:
            return b"".join([one.frame(self._hidden) for one in wanted]) if own else self._feed.joined(wanted)
        old = {one.entry.person_id for one in wanted if one.is_old}
        if not old and not own:
            return self._feed.joined(wanted, audited=False)
        people = await self._find_people(old) if old else {}
        return b"".join([one.current_frame(people, self._hidden) for one in wanted])

    def _wants(self, one: Item) -> bool:
        entry = one.entry
        return (not self._types or entry.type in self._types) and self._person_id in (None, entry.person_id)

    def _place(self) -> bytes:
        """Return a heartbeat: no event, but the client's place, also where its filters kept all out."""
        return b": heartbeat\n%b\n" % self._id()

    def _id(self) -> bytes:
        return b"" if self._at == FIRST else f"id: {self._at}\n".encode()
