"""Delays logins after failures, longer with each one, per account and per address. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

FREE_PER_ACCOUNT: Final = 5
FREE_PER_ADDRESS: Final = 30
"""Failures without a delay; more for an address, which an office may share."""
LONGEST_DELAY: Final = 900
"""Seconds: 15 minutes, so some 100 guesses a day at most."""
FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""Failures so long after the last one do not count any more; longer than the longest delay."""
_MOST_DOUBLINGS: Final = 20


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is remembered of an account's or an address's attempts.

    Attributes:
        failures: How many, the one under way included.
        last_at: When the last one began.
    """

    failures: int
    last_at: datetime


def delay(failures: int, free: int) -> int:
    """Return how many seconds after so many failures the next attempt is looked at: 1, 2, 4 … 900.

    Args:
        failures: In a row.
        free: So many cost nothing: the delay begins with this one.
    """
    if failures < free:
        return 0
    return min(1 << min(failures - free, _MOST_DOUBLINGS), LONGEST_DELAY)


def seconds_left(known: Attempts | None, free: int, now: datetime) -> int:
    """Return how many seconds are left until an attempt is looked at; 0: it is, now."""
    if known is None:
        return 0
    until = known.last_at + timedelta(seconds=delay(known.failures, free))
    return max(0, -((now - until) // timedelta(seconds=1)))


def counted(known: Attempts | None, now: datetime) -> Attempts:
    """Return what is remembered once another attempt has begun; it counts as failed until it succeeds."""
    if known is None or now - known.last_at > FORGOTTEN_AFTER:
        return Attempts(1, now)
    return Attempts(known.failures + 1, now)


@dataclass(slots=True)
class Budget:
    """How many events may be written in a time: so many at once, then so many a second.

    Attributes:
        most: At once.
        per_second: Then.
        left: At present.
        at: When that was, seconds.
    """

    most: float
    per_second: float
    left: float
    at: float

    def take(self, now: float) -> bool:
        """Return whether one more may be written, which then is."""
        self.left = min(self.most, self.left + max(0.0, now - self.at) * self.per_second)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True
