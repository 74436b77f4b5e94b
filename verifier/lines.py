"""Reads an exported log: each line an event, in any order, in bounded memory."""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from verifier.canonical import Unreadable, canonical, parse, parse_unique
from verifier.chains import Link
from verifier.checkpoints import MOST
from verifier.findings import Finding

LONGEST: Final = 1 << 20
"""Bytes of a line at most; an event has some 2,000."""
_CACHE_KB: Final = 64 * 1024
_AROUND_HASH: Final = len(b'"hash":"",')


def link_of(line: bytes, number: int) -> Link:
    """Return the event in a line of an export, with the hash that its content has.

    Args:
        line: A JSON object: every field of the event under its own name, nulls too; times in RFC 3339.
        number: Of the line, from 1.

    Raises:
        Unreadable: It is none; says why.
    """
    content = parse(line)
    version = content.get("version")
    if type(version) is not int or not -MOST < version < MOST:
        raise Unreadable("it has no version")
    for name in ("person_id", "event_id", "prev", "hash"):
        if not isinstance(content.get(name), str):
            raise Unreadable(f"it has no {name}")
    stated = content.pop("hash")
    try:
        # What is sealed is the line without its hash. If that is so byte for byte, nothing else need be done.
        hashed = line.replace(b'"hash":"%b",' % stated.encode(), b"", 1)
        (content["person_id"] + content["prev"] + content["event_id"]).encode()
    except UnicodeEncodeError:
        raise Unreadable("it has no UTF-8 form") from None
    sealed = hashlib.sha256(hashed).hexdigest()
    if sealed != stated:
        sealed = _sealed(line, content, stated)
    return Link(content["person_id"], version, content["prev"], stated, sealed, content["event_id"], number)


def _sealed(line: bytes, content: dict[str, Any], stated: str) -> str:
    """Return the hash of a line's content, in whatever way it is written."""
    hashed = canonical(content)
    if len(line) != len(hashed) + len(stated) + _AROUND_HASH:
        parse_unique(line)
    return hashlib.sha256(hashed).hexdigest()


def read_lines(file: BinaryIO) -> Iterator[Link | Finding]:
    """Yield what each line holds: an event, or why there is none in it. Empty lines are passed over."""
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield _unreadable(f"it is longer than {LONGEST:,} bytes", number)
            continue
        line = line.strip(b"\r\n")
        if not line:
            continue
        try:
            yield link_of(line, number)
        except Unreadable as exc:
            yield _unreadable(str(exc), number)


def _unreadable(reason: str, number: int) -> Finding:
    return Finding("unreadable", f"no event can be read there: {reason}", line=number)


class SortedLinks:
    """Puts events in order on disk: memory stays at some 100 MB, the file takes 300 bytes an event.

    Args:
        path: The file; made.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KB}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute(
            "CREATE TABLE links (person TEXT, version INTEGER, prev TEXT, hash TEXT, sealed TEXT, "
            "event TEXT, line INTEGER)"
        )
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, links: Iterator[Link]) -> None:
        """Take events."""
        self._db.executemany("INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?)", links)

    def in_order(self) -> Iterator[Link]:
        """Yield all events in order of person and version."""
        return map(Link._make, self._db.execute("SELECT * FROM links ORDER BY person, version, line"))
