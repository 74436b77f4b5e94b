"""An event of the feed, and the lines of an event stream that each kind of client gets of it."""

from collections.abc import Collection, Mapping
from typing import Any

from events.feed.position import Position
from query_api.feed.withholding import HiddenFields, compared_with, without_former
from service_kit.broker.stream import FeedEntry


class Item:
    """An event as clients get it.

    Args:
        entry: As the stream has it.
        fresh: Whether the feed brings all that happens to the person after it; else only the read model
            knows which of its values are former ones.

    Attributes:
        entry: The same.
        names: The fields whose values clients without `audit:read` get; none where that must be looked up.
    """

    __slots__ = ("_current", "entry", "names")

    def __init__(self, entry: FeedEntry, *, fresh: bool) -> None:
        self.entry = entry
        self.names: set[str] = set()
        self._current: bytes | None = None
        if fresh and entry.type:
            self._current, self.names = without_former(entry.body, lambda _name, _value: False)

    @property
    def offset(self) -> int:
        """Its place in the stream."""
        return self.entry.offset

    @property
    def position(self) -> Position:
        """Its place, with its name."""
        return self.entry.position

    def frame(self, hidden: HiddenFields | None = None) -> bytes:
        """Return its lines for clients with `audit:read`; none if it is none of ours."""
        return self._shown(self.entry.body, hidden)

    def _shown(self, body: bytes, hidden: HiddenFields | None) -> bytes:
        return _lines(
            self.entry, body if hidden is None or not self.entry.type else hidden.taken_out_of(body)
        )

    @property
    def is_old(self) -> bool:
        """Whether only the read model knows which of its values are former ones."""
        return self._current is None and bool(self.entry.type)

    def leave_out(self, names: Collection[str]) -> None:
        """Note that the person has other values in some fields by now."""
        if self._current is not None and not self.names.isdisjoint(names):
            self._current, self.names = without_former(self._current, lambda name, _value: name in names)

    def current_frame(
        self, people: Mapping[str, Mapping[str, Any]], hidden: HiddenFields | None = None
    ) -> bytes:
        """Return its lines for clients without `audit:read`.

        Args:
            people: Documents of the read model by id, read after the event was announced, with that of the
                person of an old item.
            hidden: The fields that the client may not see; None if it may see all.
        """
        if self._current is not None:
            return self._shown(self._current, hidden)
        if not self.is_old:
            return b""
        is_former = compared_with(people.get(self.entry.person_id), self.entry.version)
        return self._shown(without_former(self.entry.body, is_former)[0], hidden)


def _lines(entry: FeedEntry, body: bytes) -> bytes:
    """Return an event as https://html.spec.whatwg.org/multipage/server-sent-events.html has it."""
    if not entry.type:
        return b""
    # Our own JSON has no line ends; another publisher's may.
    body = body.replace(b"\r", b"").replace(b"\n", b"\ndata: ")
    kind = entry.type.replace("\r", "").replace("\n", "").encode()
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(entry.position).encode(), kind, body)
