"""Limits how many of a thing are done at once, and how many of those for the same holder."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Final, Self

from events.errors import Busy, Unavailable

WAITING: Final = 8
"""So many times as many as there are slots, or as one holder may have, may wait for one."""
_FORM: Final = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many of a thing are done at once, and how many of those for one holder.

    Its text is `8/2`: eight in all, two for one.
    """

    number: int
    each: int

    @classmethod
    def read(cls, text: str) -> "AtOnce":
        """Return what a text such as `8/2` says.

        Raises:
            ValueError: It has another form, or gives a holder nothing, or more than there is.
        """
        form = _FORM.fullmatch(text)
        if form is None or not 0 < int(form[2]) <= int(form[1]):
            raise ValueError("want so many in all/so many for one subject, such as 8/2")
        return cls(int(form[1]), int(form[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.each}"


class Slots:
    """A number of slots, each taken by one at a time; may be given back from any thread.

    Args:
        number: How many there are.
        refusal: Makes what is raised when none is free.
        each: How many of them one holder may have; all, if None.
        waiting: So many times as many may wait for one.
    """

    def __init__(
        self,
        number: int,
        refusal: Callable[[], Unavailable],
        each: int | None = None,
        waiting: int = WAITING,
    ) -> None:
        self._number = number
        self._each = number if each is None else each
        self._refusal = refusal
        self._most_waiting = waiting
        self._in_use = 0
        self._taken: dict[str, int] = {}
        self._lock = Lock()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @classmethod
    def shared(cls, at_once: AtOnce, what: str, retry_after: int, waiting: int = WAITING) -> Self:
        """Return slots of which each subject has its share.

        Args:
            at_once: How many.
            what: What they are for, in the plural.
            retry_after: Seconds after which to try again for one.
            waiting: So many times as many may wait for one.
        """
        most = f"at most {at_once.number} in all, and {at_once.each} of one subject"
        refusal = partial(Busy, f"too many {what} at once: {most}", retry_after)
        return cls(at_once.number, refusal, at_once.each, waiting)

    @property
    def in_use(self) -> int:
        """How many are taken now."""
        return self._in_use

    def take(self, holder: str = "") -> None:
        """Take a slot.

        Args:
            holder: For whom: a subject, say.

        Raises:
            Unavailable: None is free, or the holder has its share.
        """
        if not self._taken_at_once(holder):
            raise self._refusal()

    def give_back(self, holder: str = "") -> None:
        """Let a slot go that was taken for a holder.

        Raises:
            ValueError: None was taken.
        """
        with self._lock:
            taken = self._taken.pop(holder, 0)
            if not taken:
                raise ValueError("a slot was given back that nobody has")
            if taken > 1:
                self._taken[holder] = taken - 1
            self._in_use -= 1
        for _, turn in self._waiting[:1]:
            turn.get_loop().call_soon_threadsafe(self._pass_on)

    @contextmanager
    def taken(self, holder: str = "") -> Iterator[None]:
        """Hold a slot for as long as the block runs; argument and errors as of `take`."""
        self.take(holder)
        try:
            yield
        finally:
            self.give_back(holder)

    @asynccontextmanager
    async def taken_in_turn(self, holder: str, seconds: float) -> AsyncIterator[None]:
        """Hold a slot for as long as the block runs, once one comes free; the rest as of `take_in_turn`."""
        await self.take_in_turn(holder, seconds)
        try:
            yield
        finally:
            self.give_back(holder)

    async def take_in_turn(self, holder: str, seconds: float) -> None:
        """Take a slot once one comes free.

        Who has waited longest comes first; nobody waits behind those whose holder has its share.

        Args:
            holder: For whom: a subject, say.
            seconds: How long to wait at most.

        Raises:
            Unavailable: None came free in time, or too many wait already.
        """
        # Where some wait, those who may have one have it already, or will before this one.
        if self._waiting or not self._taken_at_once(holder):
            await self._wait(holder, seconds)

    def _taken_at_once(self, holder: str) -> bool:
        with self._lock:
            taken = self._taken.get(holder, 0)
            if self._in_use >= self._number or taken >= self._each:
                return False
            self._taken[holder] = taken + 1
            self._in_use += 1
            return True

    async def _wait(self, holder: str, seconds: float) -> None:
        """Return once a slot is taken for a holder; raises as `take_in_turn`."""
        holders, most = [one for one, _ in self._waiting], self._most_waiting
        if len(holders) >= most * self._number or holders.count(holder) >= most * self._each:
            raise self._refusal()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((holder, turn))
        self._pass_on()
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as exc:
            if turn.done() and not turn.cancelled():  # its turn came as it gave up
                self.give_back(holder)
            if isinstance(exc, TimeoutError):
                raise self._refusal() from None
            raise
        finally:
            self._waiting = [one for one in self._waiting if one[1] is not turn]

    def _pass_on(self) -> None:
        """Give what is free to those who wait, in the event loop's thread."""
        refused: set[str] = set()
        for holder, turn in self._waiting:
            if turn.done() or holder in refused:
                continue
            if self._taken_at_once(holder):
                turn.set_result(None)
            else:
                refused.add(holder)
