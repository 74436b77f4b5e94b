"""Counts the requests of each client against its quotas, in bounded memory. Pure.

The generic cell rate algorithm: a key has a quota of requests, which comes back evenly within a window.
Why it is our own is in docs/adr/0033.
"""

import math
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

REMEMBERED: Final = 20_000
"""Keys that are known at once: about 4 MB. Who came least recently is forgotten first, and begins anew."""
_FORM: Final = re.compile(r"(\d{1,9})/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Quota:
    """So many requests in so many seconds."""

    requests: int
    seconds: int

    @classmethod
    def read(cls, text: str) -> "Quota | None":
        """Return the quota in a text such as `1000/10`; None for `0`: no limit.

        Raises:
            ValueError: It has another form.
        """
        if text == "0":
            return None
        form = _FORM.fullmatch(text)
        if form is None or not (int(form[1]) and int(form[2])):
            raise ValueError("want requests/seconds, such as 1000/10, or 0 for no limit")
        return cls(int(form[1]), int(form[2]))


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """How a key stands after a request.

    Attributes:
        allowed: Whether the request is within the quota.
        remaining: Requests that are allowed at once now.
        seconds: Until the next one is allowed, if this one was not; else until all of the quota is back.
    """

    allowed: bool
    remaining: int
    seconds: int


class Rate:
    """The quotas of all keys of a kind.

    Args:
        quota: Of each key.
        remembered: How many keys are known at once.
    """

    def __init__(self, quota: Quota, remembered: int = REMEMBERED) -> None:
        self.quota = quota
        self._each = quota.seconds / quota.requests
        self._remembered = remembered
        self._due: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, now: float) -> QuotaUse:
        """Count a request of a key.

        Args:
            key: Who sends it.
            now: Seconds, of a clock that never goes back.
        """
        due = max(self._due.get(key, now), now) + self._each
        over = due - now - self.quota.seconds
        if over > self._each / 1000:
            return QuotaUse(False, 0, math.ceil(over))
        self._due[key] = due
        self._due.move_to_end(key)
        if len(self._due) > self._remembered:
            self._due.popitem(last=False)
        return QuotaUse(
            True, max(int((self.quota.seconds - due + now) / self._each), 0), math.ceil(due - now)
        )
