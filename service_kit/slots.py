"""Limits how many of a thing are done at once, where whoever comes too late is refused and never waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from events.errors import Unavailable


class Slots:
    """A number of slots, each taken by one at a time; may be given back from any thread.

    Args:
        number: How many there are.
        refusal: Makes what is raised when none is free.
    """

    def __init__(self, number: int, refusal: Callable[[], Unavailable]) -> None:
        self._free = BoundedSemaphore(number)
        self._refusal = refusal

    def take(self) -> None:
        """Take a slot.

        Raises:
            Unavailable: None is free.
        """
        if not self._free.acquire(blocking=False):
            raise self._refusal()

    def give_back(self) -> None:
        """Let a slot go that was taken."""
        self._free.release()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a slot for as long as the block runs; raises as `take`."""
        self.take()
        try:
            yield
        finally:
            self.give_back()
