"""Reads the files that declare something, whole and checked, when a process starts."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from events.person.schema.errors import WrongFile

T = TypeVar("T")


def read_declared(path: Path, what: str, most: int, parse: Callable[[bytes], T]) -> T:
    """Return what a file declares.

    Args:
        path: The file.
        what: What it declares, for the message: `the person schema`.
        most: Bytes that it may have.
        parse: Reads its content; raises `WrongFile`.

    Raises:
        SystemExit: The file cannot be read, is too large, or is wrong; the message has a line for each fault.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as exc:
        raise SystemExit(f"cannot start: {what} {path}: {exc.strerror}") from None
    if len(content) > most:
        raise SystemExit(f"cannot start: {what} {path} is larger than {most >> 10:,} KB")
    try:
        return parse(content)
    except WrongFile as exc:
        faults = "\n".join(f"  {fault}" for fault in exc.faults)
        raise SystemExit(f"cannot start: {what} {path} is wrong:\n{faults}") from None
