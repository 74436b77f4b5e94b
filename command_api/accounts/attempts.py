"""Delays logins after failures, longer with each one, by what they have in common. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

FREE: Final = 5
"""Failures without a delay, of an account from one address, or from one known device."""
FREE_PER_ADDRESS: Final = 30
"""More for an address, which an office may share."""
FREE_PER_NAME: Final = 50
"""And more for a name wherever the attempts come from, since whoever likes can make them."""
NAME_FADES: Final = timedelta(minutes=1)
"""One of those is forgotten each minute, so that a few addresses alone cannot keep an owner waiting."""
FREE_LOGINS: Final = 20
LOGINS_FADE: Final = timedelta(seconds=6)
"""Likewise of logins that succeed: they cost as much as those that fail."""
LONGEST_DELAY: Final = 900
"""Seconds: 15 minutes, so some 100 guesses a day at most."""
FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""Failures so long after the last one do not count any more; longer than the longest delay."""
_MOST_DOUBLINGS: Final = 20


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is remembered under a counter.

    Attributes:
        failures: How many, the one under way included.
        last_at: When the last one began.
    """

    failures: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Limit:
    """What a counter lets through.

    Attributes:
        counter: The counter's id.
        what: What it makes wait: `account-at-address`, `account`, `address`, `device` or `logins`.
        free: So many failures cost nothing: the delay begins with this one.
        fades: How long until one of them is forgotten; None: until all are, `FORGOTTEN_AFTER` the last.
    """

    counter: str
    what: str
    free: int
    fades: timedelta | None = None

    def seconds_left(self, known: Attempts | None, now: datetime) -> int:
        """Return how many seconds are left until an attempt is looked at; 0: it is, now."""
        if known is None:
            return 0
        until = known.last_at + timedelta(seconds=delay(known.failures, self.free))
        return max(0, -((now - until) // timedelta(seconds=1)))

    def counted(self, known: Attempts | None, now: datetime) -> Attempts:
        """Return what is remembered once another attempt has begun; it is a failure until it succeeds."""
        if known is None or now - known.last_at > FORGOTTEN_AFTER:
            return Attempts(1, now)
        faded = (now - known.last_at) // self.fades if self.fades else 0
        return Attempts(max(0, known.failures - faded) + 1, now)


def delay(failures: int, free: int) -> int:
    """Return how many seconds after so many failures the next attempt is looked at: 1, 2, 4 … 900.

    Args:
        failures: That count.
        free: So many cost nothing: the delay begins with this one.
    """
    if failures < free:
        return 0
    return min(1 << min(failures - free, _MOST_DOUBLINGS), LONGEST_DELAY)


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
