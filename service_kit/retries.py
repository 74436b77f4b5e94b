"""Says how long to wait before something that failed is tried again, and when to give it up."""

import math
import random
import time
from collections.abc import Callable
from typing import Final

BACKOFF_CAP: Final = 5.0
"""Seconds; the longest pause."""


def backoff(attempt: int) -> float:
    """Return the seconds to wait before try number `attempt` (from 1): exponential, capped, full jitter.

    See https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/.
    """
    # Jitter, not a secret.
    return min(BACKOFF_CAP, 0.1 * 2.0 ** min(attempt, 10)) * (0.5 + random.random() / 2)  # noqa: S311


class Patience:
    """Counts failures in a row, and ends when they have lasted too long.

    Args:
        seconds: How long they may last; for ever if not given.
        clock: Seconds, monotonic.
    """

    def __init__(self, seconds: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self.renew()

    def renew(self) -> None:
        """Begin anew: something was achieved."""
        self._failures = 0
        self._deadline = self._clock() + self._seconds

    def pause(self) -> float | None:
        """Return the seconds to wait after one more failure; None when the patience ends before that."""
        self._failures += 1
        pause = backoff(self._failures)
        return None if self._clock() + pause > self._deadline else pause
