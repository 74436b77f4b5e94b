"""The zip archive that a workbook is: what its directory shows is refused before it is unpacked."""

import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Final

from command_api.imports.lines import Unreadable
from events.errors import InvalidFields

MAX_UNPACKED_BYTES: Final = 1024 * 1024 * 1024
"""What the largest table that Excel can hold takes, and a little more."""
MAX_RATIO: Final = 200
"""How many times as large a part may become; sheets become ten to fifty times as large."""
_SMALL: Final = 1024 * 1024
"""A part of so few bytes does no harm, however well it is packed."""
_MAX_DIRECTORY_BYTES: Final = 256 * 1024
PART_BYTES: Final = 16 * 1024
"""So many at most are unpacked at once."""
_DAMAGED: Final = "the workbook is damaged"
_OTHERS: Final = (
    ("xl/workbook.bin", "a binary workbook (.xlsb): save it as .xlsx"),
    ("word/document.xml", "a Word document: put the table into a workbook"),
    ("ppt/presentation.xml", "a presentation: put the table into a workbook"),
    ("content.xml", "an OpenDocument file: save it as .xlsx"),
    ("Index/Document.iwa", "a document of Numbers or Pages: export it as .xlsx or CSV"),
)


class _Bounded:
    """A file of which nothing is read at once that is as long as no good directory is.

    Args:
        file: The archive.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Read as a file does."""
        if size > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile
        return self._file.read(_MAX_DIRECTORY_BYTES if size < 0 else size)


class Archive:
    """An archive whose directory is as it must be.

    Args:
        file: Its bytes; stays the caller's.

    Raises:
        InvalidFields: It is none, or no workbook, or one that would cost too much.
    """

    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._zip = zipfile.ZipFile(_Bounded(file))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError):
            raise InvalidFields(f"{_DAMAGED}: its directory cannot be read") from None
        self._parts: dict[str, zipfile.ZipInfo] = {one.filename.lower(): one for one in self._zip.infolist()}
        for one in self._zip.infolist():
            _check(one)
        if sum(one.file_size for one in self._zip.infolist()) > MAX_UNPACKED_BYTES:
            raise InvalidFields(f"the workbook is over {MAX_UNPACKED_BYTES >> 30} GB when it is unpacked")

    def __contains__(self, name: str) -> bool:
        """Return whether there is such a part."""
        return name.lower().lstrip("/") in self._parts

    def kind(self) -> str:
        """Return what an archive that has no workbook is."""
        return next((words for name, words in _OTHERS if name.lower() in self._parts), "a zip archive")

    def read(self, name: str) -> Iterator[bytes]:
        """Yield a part, some at once; nothing if it is not there.

        Args:
            name: Its path in the archive.

        Raises:
            Unreadable: It is damaged, or longer or shorter than the directory says.
        """
        part = self._parts.get(name.lower().lstrip("/"))
        if part is None:
            return
        try:
            with self._zip.open(part) as content:
                while data := content.read(PART_BYTES):
                    yield data
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError):
            raise Unreadable(f"{_DAMAGED}: a part of it cannot be unpacked") from None


def _check(part: zipfile.ZipInfo) -> None:
    if part.flag_bits & 1:
        raise InvalidFields("the workbook is encrypted: save it without a password")
    if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InvalidFields("the workbook is packed as no spreadsheet packs it: save it anew as .xlsx")
    if part.file_size > max(_SMALL, MAX_RATIO * part.compress_size):
        raise InvalidFields(f"a part of the workbook becomes over {MAX_RATIO} times as large when unpacked")
