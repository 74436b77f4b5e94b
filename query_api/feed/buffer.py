"""Keeps the newest part of the feed in memory, once for all clients; knows no broker and no HTTP.

A client is a place in it and a flag: it costs next to nothing while nothing happens, and one that is
slow holds nothing back. What falls out at the old end is gone for whoever had not read it.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from events.feed.position import Position
from query_api.feed.current_values import CurrentValues
from query_api.feed.items import Item
from service_kit.broker.stream import FeedEntry

MAX_EVENTS: Final = 20_000
MAX_BYTES: Final = 16_000_000
"""Of the announcements; the form without former values, which is kept beside each, is always smaller."""
MAX_CHUNK: Final = 100
"""Events that a client is given at once."""


class Behind(Exception):
    """What comes next for a client is not in memory any more."""


class FeedBuffer:
    """The newest events, contiguous up to the stream's end as far as this process has read it.

    Args:
        max_events: How many are kept at most.
        max_bytes: How large they may be together.

    Attributes:
        floor: The first offset that it has everything from; None while it has read nothing.
        next: The offset after the newest one; None likewise.
        newest: The newest event's position; None while there was none.
        epoch: How often everything was forgotten: what a client knew of an earlier one means nothing here.
        closed: Whether clients must go, and come again.
    """

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max = max_events, max_bytes
        self._items: list[Item] = []
        self._bytes = 0
        self._waiting: set[asyncio.Event] = set()
        self._joined: dict[bool, tuple[int, int, bytes]] = {}
        self._values = CurrentValues()
        self.floor: int | None = None
        self.next: int | None = None
        self.newest: Position | None = None
        self.epoch = 0
        self.closed = False

    def start(self, offset: int) -> None:
        """Begin at an offset: what comes before it is not here."""
        if self.next is None:
            self.floor = self.next = offset

    def reset(self) -> None:
        """Forget everything: what was read before has no connection to what comes now."""
        self._items, self._bytes = [], 0
        self._joined.clear()
        self._values.clear()
        self.floor = self.next = self.newest = None
        self.epoch += 1
        self._wake()

    def close(self) -> None:
        """Send every client away; new ones are not taken."""
        self.closed = True
        self._wake()

    def add(self, entries: Sequence[FeedEntry], fresh_since: str = "") -> None:
        """Append entries, drop what is too much, and wake the clients.

        Args:
            entries: What comes next in the stream.
            fresh_since: What was applied earlier may be a repeat of an event after which others came, long
                ago. RFC 3339.
        """
        if not entries:
            return
        self.start(entries[0].offset)
        items = [Item(entry, fresh=entry.time >= fresh_since) for entry in entries]
        for one in items:
            if one.entry.type:
                self._values.add(one)
        self._items += items
        self._bytes += sum(len(one.entry.body) for one in items)
        # Earlier events may have lost values.
        self._joined.pop(False, None)
        self.next = items[-1].offset + 1
        self.newest = items[-1].position
        self._drop_oldest()
        self._wake()

    def _drop_oldest(self) -> None:
        max_events, max_bytes = self._max
        drop = max(0, len(self._items) - max_events)
        self._bytes -= sum(len(one.entry.body) for one in self._items[:drop])
        while drop < len(self._items) and self._bytes > max_bytes:
            self._bytes -= len(self._items[drop].entry.body)
            drop += 1
        if drop:
            self.floor = self._items[drop - 1].offset + 1
            for one in self._items[:drop]:
                if one.entry.type:
                    self._values.drop(one)
            del self._items[:drop]

    def covers(self, offset: int) -> bool:
        """Return whether everything from an offset on is here."""
        return self.floor is not None and offset >= self.floor

    def since(self, offset: int) -> list[Item]:
        """Return the next events from an offset on, `MAX_CHUNK` at most.

        Raises:
            Behind: Some of them are not here any more.
        """
        if not self.covers(offset):
            raise Behind
        begin = self._index(offset)
        return self._items[begin : begin + MAX_CHUNK]

    def has(self, position: Position) -> bool:
        """Return whether a position's event is here, at its offset."""
        begin = self._index(position.offset)
        return begin < len(self._items) and self._items[begin].position == position

    def _index(self, offset: int) -> int:
        begin = offset - self._items[0].offset if self._items else 0
        if not 0 <= begin < len(self._items) or self._items[begin].offset != offset:
            # Numbers were left out, or it is the end.
            begin = bisect_left(self._items, offset, key=lambda one: one.offset)
        return begin

    def joined(self, items: Sequence[Item], *, audited: bool = True) -> bytes:
        """Return the lines of all items; made once for all clients of a kind that are at the same place.

        Args:
            items: Some that follow each other; none of them is old if the lines are not `audited`.
            audited: Whether they are for clients with `audit:read`.
        """
        span = items[0].offset, items[-1].offset
        known = self._joined.get(audited)
        if known is None or known[:2] != span:
            frames = [one.frame() if audited else one.current_frame({}) for one in items]
            known = self._joined[audited] = (*span, b"".join(frames))
        return known[2]

    def register(self, waiting: asyncio.Event) -> None:
        """Set the flag whenever something happened, until it is removed."""
        self._waiting.add(waiting)

    def remove(self, waiting: asyncio.Event) -> None:
        """Leave the flag alone from now on."""
        self._waiting.discard(waiting)

    @property
    def clients(self) -> int:
        """How many clients there are."""
        return len(self._waiting)

    def _wake(self) -> None:
        for waiting in self._waiting:
            waiting.set()
