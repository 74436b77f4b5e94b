"""What a person at the terminal reads while it works; never fails when nobody listens."""

import contextlib
import sys
from pathlib import Path


def say(text: str) -> None:
    """Print one line of progress on standard error."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print a result on standard output."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


def shown(path: Path) -> str:
    """The path as short as it can be named from where the user stands."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
