"""What a person at the terminal reads while it works; never fails when nobody listens."""

import contextlib
import getpass
import os
import sys
from pathlib import Path


def print_progress(text: str) -> None:
    """Print one line of progress on standard error."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def print_result(text: str) -> None:
    """Print a result on standard output."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


def short_path(path: Path) -> str:
    """The path as short as it can be named from where the user stands."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def user_name() -> str:
    """Return the user's name, or `uid-NUMBER` where the system has no name for the user, as in containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"uid-{os.getuid()}"
