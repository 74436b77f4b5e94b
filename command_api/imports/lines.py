"""Owns cutting a body into lines, in constant memory: unpacks what is packed, lets go what is too long."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from events.errors import InvalidFields

MAX_LINE_BYTES: Final = 64 * 1024
"""As long a line as a single command's body may be."""
MAX_ENDLESS_BYTES: Final = 16 * 1024 * 1024
"""A line that goes on for so long ends the import: nobody meant it."""
_STEP: Final = 128 * 1024
"""Bytes that are unpacked at once: some milliseconds of work, whatever the body says."""
_BOM: Final = b"\xef\xbb\xbf"
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


class Unpacker:
    """Unpacks gzip (RFC 1952), step by step; also several members one after the other."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data unpacks to, at most `_STEP` bytes at once.

        Raises:
            InvalidFields: The body does not begin like gzip.
            Unreadable: It does, and is damaged further on.
        """
        while data:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(_GZIP)
            try:
                unpacked = self._inflate.decompress(data, _STEP)
            except zlib.error:
                if self._begun:
                    raise Unreadable("the gzip data is damaged") from None
                raise InvalidFields("the body is not gzip, though its Content-Encoding says so") from None
            self._begun = True
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            if unpacked:
                yield unpacked

    def end(self) -> None:
        """Take note that no more comes.

        Raises:
            Unreadable: More was to come.
        """
        if self._begun and not self._inflate.eof:
            raise Unreadable("the gzip data ends too early")


class Lines:
    """Cuts bytes into lines, without their ends; a byte order mark before the first is dropped.

    Attributes:
        count: Bytes so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._rest = b""
        self._long: hashlib._Hash | None = None
        self._long_bytes = 0

    def feed(self, data: bytes) -> list[Line]:
        """Return the lines that these bytes end.

        Raises:
            Unreadable: A line has no end.
        """
        if self.count < len(_BOM):
            data = self._without_mark(data)
        self.count += len(data)
        first, *more = data.split(b"\n")
        if not more:
            self._keep(first)
            return []
        found: list[Line] = [self._ended(first), *more[:-1]]
        if len(data) > MAX_LINE_BYTES:
            found[1:] = [_bounded(line) for line in more[:-1]]
        self._keep(more[-1])
        return found

    def end(self) -> list[Line]:
        """Return the last line, if it has no end of its own."""
        return [self._ended(b"")] if self._rest or self._long is not None else []

    def _without_mark(self, data: bytes) -> bytes:
        head = self._rest + data
        self._rest, self.count = b"", 0
        if len(head) < len(_BOM) and _BOM.startswith(head):
            return head  # perhaps the beginning of one: counted, and looked at again with what comes next
        return head.removeprefix(_BOM)

    def _keep(self, part: bytes) -> None:
        if self._long is None:
            self._rest += part
            if len(self._rest) <= MAX_LINE_BYTES:
                return
            self._long, self._long_bytes = hashlib.sha256(), 0
            part, self._rest = self._rest, b""
        self._long.update(part)
        self._long_bytes += len(part)
        if self._long_bytes > MAX_ENDLESS_BYTES:
            raise Unreadable(f"a line has no end within {MAX_ENDLESS_BYTES >> 20} MB")

    def _ended(self, part: bytes) -> Line:
        self._keep(part)
        if self._long is not None:
            line: Line = TooLong(self._long.digest())
            self._long = None
            return line
        line, self._rest = self._rest, b""
        return line


def _bounded(line: bytes) -> Line:
    return line if len(line) <= MAX_LINE_BYTES else TooLong(hashlib.sha256(line).digest())
