"""Decides which position a snapshot may name: one whose events are surely in what was read. Pure.

The argument is in docs/adr/0017: workers announce after projecting, so what was in the stream so many
seconds ago is in every copy that is no staler than that. All times are of one process's own clock.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Final

from events.feed.position import Position
from service_kit.mongo.connection import MAX_STALENESS_SECONDS

STRONG_SECONDS: Final = 30.0
"""Longer than a deposed primary can believe that it is one: it steps down within ten seconds."""
EVENTUAL_SECONDS: Final = MAX_STALENESS_SECONDS + STRONG_SECONDS
"""The driver and `mongos` choose no staler secondary, as far as they knew at their last look."""
SKEW_SECONDS: Final = 60.0
"""How far the broker's clock may be from ours. It is asked once, when the process starts."""


class Positions:
    """Remembers, for as long as it matters, which position the stream had reached when.

    Args:
        clock: Monotonic seconds.
        strong: How stale a read from the primary may be, in seconds.
        eventual: How stale any read may be.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        strong: float = STRONG_SECONDS,
        eventual: float = EVENTUAL_SECONDS,
    ) -> None:
        self._clock = clock
        self._strong, self._eventual, self._grain = strong, eventual, strong / 60
        self._floor: Position | None = None
        self._seen: deque[tuple[float, Position]] = deque()

    def start_after(self, position: Position) -> None:
        """Note that all up to a position was in the stream long before this process began."""
        self._floor = position

    def reached(self, position: Position) -> None:
        """Note that a position is in the stream now."""
        now = self._clock()
        if self._seen and now - self._seen[-1][0] < self._grain:
            return  # the older entry says less, which is safe; the next one comes soon enough
        self._seen.append((now, position))
        while len(self._seen) > 1 and self._seen[1][0] <= now - self._eventual:
            self._seen.popleft()

    def forget(self) -> None:
        """Drop everything: the stream is another one."""
        self._floor = None
        self._seen.clear()

    def before_read(self, *, strong: bool) -> Position | None:
        """Return the position for a read that begins now; None if none is known to be safe.

        Args:
            strong: Whether the primary will answer.
        """
        latest = self._clock() - (self._strong if strong else self._eventual)
        old_enough = bisect_right(self._seen, latest, key=lambda seen: seen[0])
        return self._seen[old_enough - 1][1] if old_enough else self._floor
