"""Keeps searches from the reads beside them: few at once, of each subject fewer, none for long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from service_kit.http.turns import step_aside
from service_kit.mongo.budgets import search_budget
from service_kit.slots import AtOnce, Slots

WAIT_SECONDS: Final = 3.0
"""How long a search waits for those before it: people type faster than some are answered."""
RETRY_SECONDS: Final = 2


class Searches:
    """Lets searches run: reads that may go through many more documents than they show.

    Args:
        at_once: How many at once, in all and of one subject.
        seconds: How long each may take.
        what: What they are called, in the plural.
    """

    def __init__(self, at_once: AtOnce, seconds: float, what: str = "searches") -> None:
        self.slots = Slots.shared(at_once, what, RETRY_SECONDS)
        self._seconds = seconds

    @asynccontextmanager
    async def turn(self, subject: str, *, costly: bool = True) -> AsyncIterator[None]:
        """Let the reads of the block run once it is their turn.

        Args:
            subject: Who asks.
            costly: Whether they are a search; if not, they run at once, and are not bounded here.

        Raises:
            Busy: Their turn did not come within `WAIT_SECONDS`.
            SearchTooLong: They were not done in time.
        """
        if not costly:
            yield
            return
        step_aside()
        async with self.slots.taken_in_turn(subject, WAIT_SECONDS):
            with search_budget(self._seconds):
                yield
