"""Gives the documents that an export is made of, batch by batch, of one collection or of two in one order."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from heapq import merge
from typing import Any, Final, Protocol, cast

from bson import decode_all
from bson.codec_options import CodecOptions

from events.errors import StoreUnavailable
from service_kit.mongo.connection import Document, MemberAddress, RawCursor, store_errors

_CODEC: Final[CodecOptions[Document]] = CodecOptions(tz_aware=False)
Place = Callable[[Mapping[str, Any]], Any]


class Batches(Protocol):
    """Gives batches of documents, each once."""

    @property
    def address(self) -> MemberAddress | None:
        """The member that gives them; known once there was one."""

    async def next(self) -> Sequence[Document] | None:
        """Return some more documents; None once there are no more.

        Raises:
            StoreUnavailable: MongoDB is away, or gave no more although there is more.
        """

    async def close(self) -> None:
        """Let the cursors go."""


class CursorBatches:
    """The documents of one cursor.

    Args:
        cursor: Gives undecoded batches; decoding many documents at once takes half the time.
    """

    def __init__(self, cursor: RawCursor) -> None:
        self._cursor = cursor

    @property
    def address(self) -> MemberAddress | None:
        """See `Batches`."""
        return self._cursor.address

    async def next(self) -> Sequence[Document] | None:
        """See `Batches`."""
        with store_errors():
            raw = cast(bytes | None, await anext(self._cursor, None))
        if raw is None:
            if self._cursor.alive:
                raise StoreUnavailable("MongoDB gave no more, though there is more")
            return None
        return decode_all(raw, _CODEC)

    async def close(self) -> None:
        """See `Batches`."""
        await self._cursor.close()


class MergedBatches:
    """The documents of one or several cursors with the same order, as one.

    Args:
        sources: The first is the one whose member is named.
        place: Returns a document's place in the order.
        descending: Whether the greatest place comes first.
    """

    def __init__(self, sources: Sequence[Batches], place: Place, *, descending: bool) -> None:
        self._sources = sources
        self._place, self._descending = place, descending
        self._left: dict[int, Sequence[Document]] = dict.fromkeys(range(len(sources)), ())

    @property
    def address(self) -> MemberAddress | None:
        """See `Batches`."""
        return self._sources[0].address

    async def next(self) -> Sequence[Document] | None:
        """See `Batches`."""
        for number in list(self._left):
            while not self._left[number]:
                batch = await self._sources[number].next()
                if batch is None:
                    del self._left[number]
                    break
                self._left[number] = batch
        if len(self._left) > 1:
            return self._together()
        if not self._left:
            return None
        ((number, batch),) = self._left.items()
        self._left[number] = ()
        return batch

    def _together(self) -> Sequence[Document]:
        """Return what nothing that is still to come can precede: up to where the first of them ends."""
        ends = [self._place(batch[-1]) for batch in self._left.values()]
        end = max(ends) if self._descending else min(ends)
        given = []
        for number, batch in self._left.items():
            cut = self._upto(batch, end)
            given.append(batch[:cut])
            self._left[number] = batch[cut:]
        filled = [part for part in given if part]
        return (
            filled[0] if len(filled) == 1 else list(merge(*filled, key=self._place, reverse=self._descending))
        )

    def _upto(self, batch: Sequence[Document], end: Any) -> int:
        """Return how many documents of a batch come up to a place."""
        if not self._descending:
            return bisect_right(batch, end, key=self._place)
        return len(batch) - bisect_left(batch[::-1], end, key=self._place)

    async def close(self) -> None:
        """See `Batches`."""
        for source in self._sources:
            await source.close()
