"""Long commands: full output to a log, signs of life to the terminal."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from operations.terminal import print_progress

_TELLING = ("Collecting", "Downloading", "Installing", "Get:", "Unpacking", "Setting up", "Using")
_EVERY_S = 5.0


def run_logged(command: Sequence[str], log: Path, *, breakable: bool = False) -> int:
    """Run a command that asks nothing.

    A terminal shows the step it is at, in one line that changes; a file gets a line every 5 s.

    Args:
        command: The program and its arguments.
        log: The file that all of its output is appended to.
        breakable: Whether it may be ended midway when we are; else it is waited for.

    Returns:
        Its exit status; 127 when it could not be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as record, _OneLine() as line:
        record.write(f"\n$ {shlex.join(command)}\n")
        record.flush()
        try:
            # In its own session: Ctrl-C reaches us alone, and we decide what becomes of it.
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as exc:
            record.write(f"{exc}\n")
            return 127
        with process:
            try:
                for text in process.stdout or ():
                    record.write(text)
                    record.flush()
                    line.show(text)
            except BaseException:
                if breakable:
                    process.kill()
                raise
        return process.returncode


class _OneLine:
    """The line that changes."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = time.monotonic()

    def __enter__(self) -> _OneLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            self._write("\r\x1b[K")

    def show(self, text: str) -> None:
        """Show the step, when the text is one."""
        step = " ".join(text.split())
        if not step.startswith(_TELLING):
            return
        if self._terminal:
            self._write(f"\r\x1b[K  {step[: shutil.get_terminal_size().columns - 4]}")
        elif time.monotonic() - self._last > _EVERY_S:
            self._last = time.monotonic()
            print_progress(f"  {step[:100]}")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()
