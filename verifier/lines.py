"""Reads an exported log: each line an event, in any order, in bounded memory."""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Self

from verifier.canonical import OlderLog, Unreadable, canonical, parse, parse_unique
from verifier.chains import Link
from verifier.checkpoints import MOST
from verifier.findings import Finding
from verifier.values import BESIDE, NOT_OPENED, SCHEMA, is_older, judge

LONGEST: Final = 1 << 20
"""Bytes of a line at most; an event has some 2,000."""
_CACHE_KB: Final = 64 * 1024


def link_of(line: bytes, number: int) -> Link:
    """Return the event in a line of an export, with the hash that its content has.

    Args:
        line: A JSON object: every member that the hash covers, nulls too, and the hash; times in RFC 3339.
            Perhaps `opened`: for each sealed name its salt and value, or its commitment.
        number: Of the line, from 1.

    Raises:
        OlderLog: It is of schema 1.
        Unreadable: It is none; says why.
    """
    content = parse(line)
    if is_older(content):
        raise OlderLog(
            f"line {number} is an event of schema 1, and this program knows schema {SCHEMA} alone: verify it "
            "with the version of Rollcall that wrote it"
        )
    version = content.get("version")
    if type(version) is not int or not -MOST < version < MOST:
        raise Unreadable("it has no version")
    for name in ("person_id", "event_id", "prev", "hash"):
        if not isinstance(content.get(name), str):
            raise Unreadable(f"it has no {name}")
    beside = {name: content.pop(name) for name in BESIDE if name in content}
    hashed = canonical(content)
    # Two objects have two braces more than one, and a comma less.
    if len(line) != len(hashed) + len(canonical(beside)) - 1:
        parse_unique(line)
    sealed = hashlib.sha256(hashed).hexdigest()
    judgement = judge(content, beside.get("opened", NOT_OPENED))
    event_id, stated = content["event_id"], beside["hash"]
    return Link(content["person_id"], version, content["prev"], stated, sealed, event_id, number, *judgement)


def read_lines(file: BinaryIO) -> Iterator[Link | Finding]:
    """Yield what each line holds: an event, or why there is none in it. Empty lines are passed over.

    Raises:
        OlderLog: One is of schema 1.
    """
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
        except OlderLog:
            raise
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
            "event TEXT, line INTEGER, fault TEXT, proved INTEGER, withheld INTEGER, cut INTEGER)"
        )
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, links: Iterator[Link]) -> None:
        """Take events."""
        self._db.executemany("INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", links)

    def in_order(self) -> Iterator[Link]:
        """Yield all events in order of person and version."""
        return map(Link._make, self._db.execute("SELECT * FROM links ORDER BY person, version, line"))
