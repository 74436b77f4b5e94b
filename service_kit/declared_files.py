"""Reads the files that declare something, whole and checked, when a process starts."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from events.person.schema.errors import WrongFile

T = TypeVar("T")


class WrongDeclaration(ValueError):
    """A file declares nothing.

    Args:
        text: Which file, and why not; a line for each fault.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def read_declared(path: Path, what: str, most: int, parse: Callable[[bytes], T]) -> T:
    """Return what a file declares that a process needs; arguments as of `declaration_in`.

    Raises:
        SystemExit: It declares nothing; the message has a line for each fault.
    """
    try:
        return declaration_in(path, what, most, parse)
    except WrongDeclaration as exc:
        raise SystemExit(f"cannot start: {exc.text}") from None


def declaration_in(path: Path, what: str, most: int, parse: Callable[[bytes], T]) -> T:
    """Return what a file declares.

    Args:
        path: The file.
        what: What it declares, for the message: `the person schema`.
        most: Bytes that it may have.
        parse: Reads its content; raises `WrongFile`.

    Raises:
        WrongDeclaration: The file cannot be read, is too large, or is wrong.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as exc:
        raise WrongDeclaration(f"{what} {path}: {exc.strerror}") from None
    if len(content) > most:
        raise WrongDeclaration(f"{what} {path} is larger than {most >> 10:,} KB")
    try:
        return parse(content)
    except WrongFile as exc:
        faults = "\n".join(f"  {fault}" for fault in exc.faults)
        raise WrongDeclaration(f"{what} {path} is wrong:\n{faults}") from None
