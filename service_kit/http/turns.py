"""Lets each subject's requests in a few at a time, so that another one's wait for those few alone."""

from contextvars import ContextVar
from typing import Final

from service_kit.slots import AtOnce, Slots

WAIT_SECONDS: Final = 5.0
"""How long a request waits for others of its subject."""
RETRY_SECONDS: Final = 1
WAITING: Final = 64
"""So many times as many as are let in may wait: a page asks for much at once, and each is soon answered."""


def turns_of(at_once: AtOnce) -> Slots:
    """Return what requests take one of, each for as long as it is worked on."""
    return Slots.shared(at_once, "requests", RETRY_SECONDS, WAITING)


class Turn:
    """A request's turn among those of its subject.

    Args:
        slots: What it takes one of; None where requests need not wait.
    """

    __slots__ = ("_holder", "_over", "_slots")

    def __init__(self, slots: Slots | None) -> None:
        self._slots = slots
        self._holder: str | None = None
        self._over = slots is None

    async def come(self, subject: str) -> None:
        """Wait until it is the request's turn; return at once if it was before.

        Raises:
            Unavailable: It did not come within `WAIT_SECONDS`, or too many wait already.
        """
        if self._slots is None or self._over or self._holder is not None:
            return
        await self._slots.take_in_turn(subject, WAIT_SECONDS)
        self._holder = subject

    def end(self) -> None:
        """Let the next one in, if that was not done."""
        self._over = True
        if self._slots is not None and self._holder is not None:
            self._slots.give_back(self._holder)
            self._holder = None


_NO_TURN: Final = Turn(None)
current_turn: Final[ContextVar[Turn]] = ContextVar("rollcall_turn", default=_NO_TURN)
"""That of the request which is answered here; it ends with the answer's head at the latest."""


def step_aside() -> None:
    """End the turn of the request that is answered here: what it does next has slots of its own."""
    current_turn.get().end()
