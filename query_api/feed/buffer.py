"""Keeps the newest part of the feed in memory, once for all clients; knows no broker and no HTTP.

A client is a place in it and a flag: it costs next to nothing while nothing happens, and one that is
slow holds nothing back. What falls out at the old end is gone for whoever had not read it.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from events.feed.position import Position
from service_kit.broker.stream import FeedEntry

MAX_EVENTS: Final = 20_000
MAX_BYTES: Final = 16_000_000
MAX_CHUNK: Final = 500
"""Events that a client is given at once."""


class Behind(Exception):
    """What comes next for a client is not in memory any more."""


@dataclass(frozen=True, slots=True)
class Item:
    """An event as a client gets it.

    Attributes:
        offset: Its place in the stream.
        type: Its type; empty if it is none of ours.
        person_id: Whom it is about.
        frame: Its lines of the event stream.
        event_id: Its id; empty if it is none of ours.
    """

    offset: int
    type: str
    person_id: str
    frame: bytes
    event_id: str

    @property
    def position(self) -> Position:
        """Its place, with its name."""
        return Position(self.offset, self.event_id)


def item(entry: FeedEntry) -> Item:
    """Return an entry as clients get it: https://html.spec.whatwg.org/multipage/server-sent-events.html."""
    if not entry.type:
        return Item(entry.offset, "", "", b"", "")
    # Our own JSON has no line ends; another publisher's may.
    body = entry.body.replace(b"\r", b"").replace(b"\n", b"\ndata: ")
    kind = entry.type.replace("\r", "").replace("\n", "").encode()
    place = str(entry.position).encode()
    frame = b"id: %b\nevent: %b\ndata: %b\n\n" % (place, kind, body)
    return Item(entry.offset, entry.type, entry.person_id, frame, entry.event_id)


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
        self._joined: tuple[int, int, bytes] = (-1, -1, b"")
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
        self._joined = (-1, -1, b"")
        self.floor = self.next = self.newest = None
        self.epoch += 1
        self._wake()

    def close(self) -> None:
        """Send every client away; new ones are not taken."""
        self.closed = True
        self._wake()

    def add(self, entries: Sequence[FeedEntry]) -> None:
        """Append entries, drop what is too much, and wake the clients."""
        if not entries:
            return
        self.start(entries[0].offset)
        items = [item(entry) for entry in entries]
        self._items += items
        self._bytes += sum(len(one.frame) for one in items)
        self.next = items[-1].offset + 1
        self.newest = items[-1].position
        max_events, max_bytes = self._max
        drop = max(0, len(self._items) - max_events)
        self._bytes -= sum(len(one.frame) for one in self._items[:drop])
        while drop < len(self._items) and self._bytes > max_bytes:
            self._bytes -= len(self._items[drop].frame)
            drop += 1
        if drop:
            self.floor = self._items[drop - 1].offset + 1
            del self._items[:drop]
        self._wake()

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

    def joined(self, items: Sequence[Item]) -> bytes:
        """Return the lines of all items; made once for all clients that are at the same place."""
        span = items[0].offset, items[-1].offset
        if self._joined[:2] != span:
            self._joined = (*span, b"".join(one.frame for one in items))
        return self._joined[2]

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
