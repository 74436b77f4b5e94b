"""Shows how far a walk is: one line that changes on a terminal, now and then a line elsewhere."""

import contextlib
import sys
import time
from typing import Final, Self

from local.say import say

_REDRAW_S: Final = 0.1
_EVERY_S: Final = 10.0
_WIDTH: Final = 24


class Meter:
    """The line; gone when left.

    Args:
        what: What is counted.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._began = self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, part: float | None, count: int) -> None:
        """Show the part of all that is done, from 0 to 1 or unknown, and how much that was."""
        now = time.monotonic()
        if now - self._last < (_REDRAW_S if self._terminal else _EVERY_S):
            return
        self._last = now
        passed = now - self._began
        text = f"{count:,} {self._what}  {count / passed:,.0f}/s"
        if part:
            text = f"{part:4.0%}  {text}  {_clock(passed / part - passed)} left"
        if self._terminal:
            done = round((part or 0) * _WIDTH)
            self._write(f"\r\x1b[K  {'█' * done}{'░' * (_WIDTH - done)} {text}")
        else:
            say(f"  {text}")

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self._terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
