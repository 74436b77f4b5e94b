"""The journal: the erasures on record outside the database, so that no backup brings an erased person back.

Each worker writes a file of its own, a line an erasure, synced to disk before the key is destroyed. All of
them together are the journal. A last line without its end was cut by a crash: its key was not destroyed.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from events.errors import StoreUnavailable
from service_kit.files import sync_folder
from service_kit.ids import new_id

ENDING: Final = ".erasures"
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One erasure.

    Attributes:
        person_id: Who was erased.
        event_id: The event that says so.
        command_id: What asked for it; a replay hands it in again under the same id.
        reason: Its code.
        actor: Who asked for it.
        erased_at: When, RFC 3339.
        images: The names of the images that were to be removed.
    """

    person_id: str
    event_id: str
    command_id: str
    reason: str
    actor: str
    erased_at: str
    images: tuple[str, ...] = ()


class ErasureJournal:
    """This process's file of the journal; made with its first line.

    Args:
        folder: That of all files, outside the database; None: nothing is written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._file: Path | None = None

    def append(self, lines: Iterable[JournalLine]) -> None:
        """Write lines, and return when they are on disk; one that is there already may be there twice.

        Raises:
            StoreUnavailable: The folder cannot be written to.
        """
        if self._folder is None:
            return
        try:
            if self._file is None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                file = self._folder / f"{new_id()}{ENDING}"
                file.touch(mode=0o600)
                sync_folder(self._folder)
                self._file = file
            text = "".join(json.dumps(asdict(line), separators=(",", ":")) + "\n" for line in lines)
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as exc:
            # Half a line may be there: the next one begins in a file of its own.
            self._file = None
            raise StoreUnavailable(f"the erasure journal cannot be written: {exc.strerror}") from exc


def read_journal(journal: Path) -> Iterator[JournalLine]:
    """Yield all lines of all files; a person may be in several.

    Args:
        journal: The folder of all files, or one of them. A folder that is not there has none.

    Raises:
        ValueError: A whole line is none of ours.
        OSError: A file cannot be read.
    """
    for file in [journal] if journal.is_file() else sorted(journal.glob(f"*{ENDING}")):
        with file.open(encoding="utf-8") as lines:
            for number, text in enumerate(lines, 1):
                if not text.endswith("\n"):
                    break  # cut by a crash
                try:
                    content = json.loads(text)
                    yield JournalLine(**{**content, "images": tuple(content["images"])})
                except (ValueError, TypeError, KeyError):
                    raise ValueError(f"line {number} of {file.name} is no erasure") from None


def journal_batches(journal: Path) -> Iterator[list[JournalLine]]:
    """Yield what `read_journal` does, some lines at a time."""
    lines = read_journal(journal)
    while batch := list(islice(lines, _BATCH)):
        yield batch
