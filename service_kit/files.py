"""Puts on disk what cannot be made again, so that a loss of power leaves the old or the new of it.

A file is written beside the one whose name it takes, synced, renamed, and its folder synced. Standard library
only: `./run env` and the set-up run before anything is installed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

OWNER_ONLY = 0o600
AS_THE_UMASK_SAYS = 0o666
"""For what is there to be given away."""
# Some network file systems cannot sync a folder, and say so with these.
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP}


@contextmanager
def whole_file(path: Path, *, mode: int = OWNER_ONLY) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes its name when the block is done and its content is on disk.

    A block that raises leaves what was there before. Nobody sees the name with half of the content.

    Args:
        path: Its name, in a folder that exists.
        mode: Who may use it, from before there is any content; less what the umask takes.

    Raises:
        OSError: It cannot be written, or the name is that of something else than a file.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "it is there, and is no file", str(path))
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    # What a process of this number left behind when the power went.
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_whole(path: Path, content: str | bytes, *, mode: int = OWNER_ONLY) -> None:
    """Write a small file; the arguments and what is raised are those of `whole_file`.

    Args:
        path: Its name.
        content: All of it; text goes as UTF-8.
        mode: Who may use it.
    """
    with whole_file(path, mode=mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Make a folder and those it is in, unless they are there, and see that a loss of power keeps them.

    Args:
        path: The folder.
        mode: Who may use it, less what the umask takes; those it is in get what the umask leaves.

    Raises:
        OSError: It cannot be made.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=mode, exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """See that a loss of power keeps the names in a folder.

    Raises:
        OSError: The folder cannot be read, or the disk fails.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def is_lost(path: Path) -> bool:
    """Return whether a file is there, with nothing in it or NULs alone: its content never reached the disk.

    Raises:
        OSError: It cannot be read.
    """
    return path.exists() and not path.read_bytes().strip(b"\0 \r\n")
