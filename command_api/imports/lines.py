"""Cuts a body into lines in constant memory: unpacks what is packed, skips what is too long."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from service_kit.http.bodies import not_packed

MAX_LINE_BYTES: Final = 64 * 1024
"""As long a line as a single command's body may be."""
MAX_ENDLESS_BYTES: Final = 16 * 1024 * 1024
"""A line that goes on for so long ends the import: nobody meant it."""
STEP: Final = 16 * 1024
"""Bytes that are read at once: some milliseconds of work, whatever the body says."""
_MAX_RATIO: Final = 100
_FREE_BYTES: Final = 10 * 1024 * 1024
"""So many bytes may be unpacked of however few; rows of people become ten times as large, or twenty."""
LF: Final = b"\n"
CR: Final = b"\r"
_GZIP: Final = 16 + zlib.MAX_WBITS


class Unreadable(Exception):
    """The rest of the body cannot be read; what was read before it stands.

    Args:
        reason: One sentence for the client.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line over `MAX_LINE_BYTES`, of which only the digest is left."""

    digest: bytes


Line = bytes | TooLong


def line_end(text: bytes) -> bytes:
    """Return what ends the lines of a text: what ends its first one that does not stand at the very end."""
    at = text.find(CR)
    lone = 0 <= at < len(text) - 1 and text[at + 1 : at + 2] != LF
    return CR if lone and LF not in text[:at] else LF


class Unpacker:
    """Unpacks gzip (RFC 1952), step by step; also several members one after the other."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)
        self._begun = False
        self._packed = self._unpacked = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data unpacks to, at most `STEP` bytes at once.

        Raises:
            UnsupportedMediaType: The body does not begin like gzip.
            Unreadable: It does, and is damaged further on, or becomes larger than people do.
        """
        while data:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(_GZIP)
            try:
                unpacked = self._inflate.decompress(data, STEP)
            except zlib.error:
                if self._begun:
                    raise Unreadable("the gzip data is damaged") from None
                raise not_packed() from None
            self._begun = True
            left = self._inflate.unconsumed_tail or self._inflate.unused_data
            self._packed += len(data) - len(left)
            self._unpacked += len(unpacked)
            if self._unpacked > max(_FREE_BYTES, _MAX_RATIO * self._packed):
                raise Unreadable(f"the gzip data becomes over {_MAX_RATIO} times as large when unpacked")
            data = left
            if unpacked:
                yield unpacked

    def end(self) -> None:
        """Take note that no more comes.

        Raises:
            Unreadable: More was to come.
        """
        if self._begun and not self._inflate.eof:
            raise Unreadable("the gzip data ends too early")


class Held:
    """What has come of a line so far; of one that is too long, only its digest and its length."""

    def __init__(self) -> None:
        self._rest = b""
        self._long: hashlib._Hash | None = None
        self._long_bytes = 0

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return bool(self._rest) or self._long is not None

    def add(self, part: bytes) -> None:
        """Hold some more of it.

        Raises:
            Unreadable: It has no end.
        """
        if self._long is None:
            self._rest += part
            if len(self._rest) <= MAX_LINE_BYTES:
                return
            self._long, self._long_bytes = hashlib.sha256(), 0
            part, self._rest = self._rest, b""
        self._long.update(part)
        self._long_bytes += len(part)
        if self._long_bytes > MAX_ENDLESS_BYTES:
            raise Unreadable(f"a row has no end within {MAX_ENDLESS_BYTES >> 20} MB")

    def take(self, part: bytes) -> Line:
        """Return the line that this part ends, and begin anew."""
        self.add(part)
        if self._long is not None:
            line: Line = TooLong(self._long.digest())
            self._long = None
            return line
        line, self._rest = self._rest, b""
        return line


class LineReader:
    """Cuts bytes into lines, without their ends.

    Args:
        end: Of each line: a line feed, also after a carriage return; or a carriage return alone, after which
            a line feed does not count.
    """

    def __init__(self, end: bytes = LF) -> None:
        self._end = end
        self._after_end = False
        self._held = Held()

    def feed(self, data: bytes) -> list[Line]:
        """Return the lines that these bytes end.

        Raises:
            Unreadable: A line has no end.
        """
        if self._end == CR and data:
            begins = self._after_end and data.startswith(LF)
            self._after_end = data.endswith(CR)
            data = data.removeprefix(LF) if begins else data
            data = data.replace(CR + LF, CR)
        first, *more = data.split(self._end)
        if not more:
            self._held.add(first)
            return []
        found: list[Line] = [self._held.take(first), *more[:-1]]
        if len(data) > MAX_LINE_BYTES:
            found[1:] = [_bounded(line) for line in more[:-1]]
        self._held.add(more[-1])
        return found

    def end(self) -> list[Line]:
        """Return the last line, if it has no end of its own."""
        return [self._held.take(b"")] if self._held else []


def _bounded(line: bytes) -> Line:
    return line if len(line) <= MAX_LINE_BYTES else TooLong(hashlib.sha256(line).digest())
