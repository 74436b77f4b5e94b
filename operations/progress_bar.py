"""Shows how far something long is: a bar on a terminal, a line now and then where nobody looks on."""

import contextlib
import sys
import time
from datetime import timedelta
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from operations.terminal import print_progress

_REDRAW_S: Final = 0.1
_EVERY_S: Final = 10.0


class ProgressBar:
    """The bar; gone when left.

    Args:
        what: What is counted.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._last = time.monotonic()
        console = Console(stderr=True)
        self._terminal = sys.stderr.isatty() and not console.is_dumb_terminal
        # Without a thread that redraws it, since verbs fork; and what they print goes past it.
        self._bar = Progress(
            BarColumn(24),
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=None, text="")

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
            left = timedelta(seconds=round(passed / part - passed))
            text = f"{part:4.0%}  {text}  {left} left"
        if self._terminal:
            with contextlib.suppress(OSError, ValueError):
                self._bar.start()
                total = None if part is None else 1.0
                self._bar.update(self._task, completed=part or 0, total=total, text=text, refresh=True)
        else:
            print_progress(f"  {text}")

    def clear(self) -> None:
        """Take the bar away, so that something else can be printed."""
        if self._terminal:
            with contextlib.suppress(OSError, ValueError):
                self._bar.stop()
