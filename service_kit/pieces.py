"""Spaces out heavy work in an event loop, so that whatever is light comes in between its pieces."""

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

PIECE: Final = 20
"""Documents that are looked at or written in one piece of work, in a millisecond or two."""
ROUNDS: Final = 8
"""How often the loop goes round from one piece to the next. A read of one document needs about so many, as
MongoDB's driver waits for one thing after the other: so it waits for a piece or two, however many there are.
With nothing else to do, eight rounds take less than a tenth of a millisecond."""

_locks: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


async def next_piece() -> None:
    """Return once it is the caller's turn to do a piece of heavy work; it does that before it waits again.

    Those who want a piece done come one after the other, in the order in which they asked.
    """
    lock = _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with lock:
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
