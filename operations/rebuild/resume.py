"""Keeps how far a rebuild has come, in a file that is never half written; a later run goes on from there."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson

from events.person.schema.declarations import PersonSchema
from operations.addresses import DatabaseAddress
from operations.errors import SetupError
from operations.log_walk import Range, all_ranges
from operations.terminal import short_path
from service_kit.files import make_folder, write_whole
from service_kit.read_model import PROJECTION

_GOOD_FOR_S: Final = 24 * 3600.0
"""What was right a day ago is looked at again."""


@dataclass
class Progress:
    """What is done of one rebuild.

    Attributes:
        of: What is rebuilt: hosts, database, projection and kinds of claims. Another is another rebuild.
        began: Seconds since the epoch.
        borders: Ids that its ranges end at.
        done: Numbers of the ranges that are finished.
    """

    of: list[str]
    began: float
    borders: list[str] = field(default_factory=list)
    done: list[int] = field(default_factory=list)

    def plan(self, borders: Sequence[str]) -> list[Range]:
        """Return the ranges that are left, by the borders that it began with, or by these."""
        if not self.done:
            self.borders = list(borders)
        finished = set(self.done)
        return [piece for piece in all_ranges(self.borders) if piece.number not in finished]


def what(address: DatabaseAddress, schema: PersonSchema) -> list[str]:
    """Return what tells one rebuild from another; the password in the address is left out."""
    hosts = address.uri.partition("://")[2].rpartition("@")[2].partition("/")[0]
    return [hosts, address.database, str(PROJECTION), sha256(orjson.dumps(schema.document)).hexdigest()]


class ResumeFile:
    """The file, one for each database.

    Args:
        folder: Where state is kept.
        of: What is rebuilt.
    """

    def __init__(self, folder: Path, of: list[str]) -> None:
        self._path = folder / f"rebuild-{of[1]}.json"
        self._of = of

    def load(self, *, afresh: bool) -> Progress:
        """Return how far an unfinished rebuild of the same thing has come; the beginning if there is none.

        Args:
            afresh: Look at no earlier one.
        """
        now = time.time()
        try:
            found = Progress(**json.loads(self._path.read_text(encoding="utf-8")))
            usable = not afresh and found.of == self._of and 0 <= now - found.began < _GOOD_FOR_S
        except (OSError, ValueError, TypeError):
            usable = False
        return found if usable else Progress(self._of, now)

    def save(self, progress: Progress) -> None:
        """Keep it, whole or not at all.

        Raises:
            SetupError: It cannot be written.
        """
        # Another rebuild may be under way: each file is whole in itself, so either will do.
        try:
            make_folder(self._path.parent, mode=0o700)
            write_whole(self._path, json.dumps(asdict(progress)))
        except OSError as exc:
            raise SetupError(
                f"{short_path(self._path)} cannot be written ({exc.strerror}): set ROLLCALL_STATE_DIR to a "
                "directory of your own."
            ) from exc

    def forget(self) -> None:
        """Take the file away: all is done."""
        self._path.unlink(missing_ok=True)
