"""The heads that checkpoints recorded: their files, and all of them in order on disk."""

import gzip
import hashlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from verifier.canonical import Unreadable, canonical, read_object
from verifier.chains import Head, Recorded
from verifier.checkpoints import MOST, Checkpoint
from verifier.merkle import MerkleRoot

_LONGEST: Final = 4096
_TABLE: Final = """
CREATE TABLE heads (person TEXT, checkpoint INTEGER, version INTEGER, hash TEXT,
                    PRIMARY KEY (person, checkpoint)) WITHOUT ROWID"""
# Of each person, what the last checkpoint that lists the person says. SQLite takes the other columns of a
# bare max() from the row that has it: https://sqlite.org/lang_select.html#bareagg
_LATEST: Final = "SELECT person, version, hash, max(checkpoint) FROM heads GROUP BY person ORDER BY person"


def head_line(head: Head) -> bytes:
    """Return a head as a line of a heads file, and as a leaf of the Merkle tree: canonical JSON."""
    return canonical(head._asdict())


def _head_of(line: bytes) -> Head:
    content = read_object(line)
    person_id, version, hash_ = (content.get(name) for name in Head._fields)
    if len(content) != len(Head._fields) or not isinstance(person_id, str) or not isinstance(hash_, str):
        raise Unreadable("a line of its heads is none")
    if type(version) is not int or not 0 < version < MOST:
        raise Unreadable("a line of its heads has no version")
    return Head(person_id, version, hash_)


class KnownHeads:
    """Every head that a chain of checkpoints recorded, in a file of SQLite, so in little memory.

    Args:
        path: The file; made when it is not there. Several processes may read it at once.
    """

    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        # It is derived, and of use for one run only.
        self._db.execute("PRAGMA journal_mode = MEMORY")
        self._db.execute("PRAGMA synchronous = OFF")
        if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._db.execute(_TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def load(self, checkpoint: Checkpoint, path: Path) -> None:
        """Add the heads in a checkpoint's companion file, all or none.

        Raises:
            Unreadable: It is not the file that the checkpoint was made with.
        """
        self._db.execute("BEGIN")
        try:
            hashed = hashlib.sha256()
            rows = ((*head, checkpoint.number) for head in _read(path, checkpoint.changed, hashed))
            self._db.executemany(
                "INSERT INTO heads (person, version, hash, checkpoint) VALUES (?, ?, ?, ?)", rows
            )
            if hashed.hexdigest() != checkpoint.heads_sha256:
                raise Unreadable("its heads are not those that were signed")
        except sqlite3.IntegrityError:
            self._db.execute("ROLLBACK")
            raise Unreadable("its heads name a person twice") from None
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def recorded(self, after: str | None = None, to: str | None = None) -> Iterator[Recorded]:
        """Yield what was recorded of the people after one id, up to another, in order."""
        query = "SELECT person, version, hash, checkpoint FROM heads"
        bounds = [(f"person {sign} ?", end) for sign, end in ((">", after), ("<=", to)) if end is not None]
        if bounds:
            query += " WHERE " + " AND ".join(text for text, _ in bounds)
        found = self._db.execute(f"{query} ORDER BY person, checkpoint", [end for _, end in bounds])
        return map(Recorded._make, found)

    def of(self, person_id: str) -> list[Recorded]:
        """Return what was recorded of one person."""
        found = self._db.execute(
            "SELECT person, version, hash, checkpoint FROM heads WHERE person = ? ORDER BY checkpoint",
            [person_id],
        )
        return [Recorded._make(row) for row in found]

    def latest(self) -> Iterator[Head]:
        """Yield the head of every person as the last checkpoint has it, in order of person."""
        return (Head(person, version, hash_) for person, version, hash_, _ in self._db.execute(_LATEST))

    def check(self, checkpoint: Checkpoint) -> None:
        """Return if all heads together are what the last checkpoint states.

        Raises:
            Unreadable: They are not.
        """
        root, streams, events = MerkleRoot(), 0, 0
        for head in self.latest():
            root.add(head_line(head))
            streams += 1
            events += head.version
        stated = (checkpoint.merkle_root, checkpoint.streams, checkpoint.events)
        if (root.hex(), streams, events) != stated:
            raise Unreadable("its heads and those before it do not make the root that was signed")


def _read(path: Path, count: int, hashed: "hashlib._Hash") -> Iterator[Head]:
    """Yield the heads in a file, which are to be so many, and hash their lines."""
    try:
        with gzip.open(path) as file:
            for _ in range(count):
                line = file.readline(_LONGEST)
                if not line.endswith(b"\n"):
                    raise Unreadable("its heads are incomplete")
                hashed.update(line)
                yield _head_of(line[:-1])
            if file.read(1):
                raise Unreadable("its heads are more than it states")
    except FileNotFoundError:
        raise Unreadable(f"{path.name} is missing") from None
    except (OSError, EOFError, zlib.error) as exc:
        raise Unreadable(f"{path.name} cannot be read ({exc})") from None
