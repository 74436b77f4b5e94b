"""Finds out what encoding a text is in, by its mark or by name, and its first wrong byte."""

import codecs
import encodings as known
from encodings.aliases import aliases
from typing import Final

from events.errors import UnsupportedMediaType

UTF_8: Final = "utf-8"
_MARKS: Final = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like the next one
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
)
_NAMES: Final = frozenset((*aliases, *aliases.values()))
_MEANT: Final = {
    "ascii": UTF_8,
    # The bytes that tell the two apart are control characters in one, and typographic ones in the other:
    # https://encoding.spec.whatwg.org/#names-and-labels
    "iso8859-1": "cp1252",
    # What is called so holds more in practice: 髙 of Japanese names, 镕 of Chinese ones, 똠 of Korean ones.
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    # A mark tells the order of bytes; without one it is that of nearly all machines.
    "utf-16": "utf-16-le",
    "utf-32": "utf-32-le",
}
_ALSO: Final = {
    **dict.fromkeys(("utf_8_sig", "utf_8_bom"), UTF_8),
    **dict.fromkeys(("windows_31j", "x_sjis"), "cp932"),
    "x_gbk": "gbk",
    "x_mac_roman": "mac_roman",
}
"""Labels that programs and standards have, and Python has not."""
_REFUSED: Final = frozenset({"utf-7"})
"""Hides line ends and quotes from whoever looks at the bytes, and nothing writes files in it."""


class BadByte(Exception):
    """A byte that is no text in the encoding of the file.

    Args:
        byte: The byte; None for the character NUL, which is no text in any encoding.
        offset: Its place in the unpacked file, from 0.
        good: What came before it, of the same part.
    """

    def __init__(self, byte: int | None, offset: int, good: bytes) -> None:
        super().__init__(f"a bad byte at offset {offset}")
        self.byte = byte
        self.offset = offset
        self.good = good


def encoding_named(label: str) -> str:
    """Return the encoding that a label names.

    Args:
        label: As in `charset`, whatever its case and punctuation.

    Raises:
        UnsupportedMediaType: No text is written in it.
    """
    name = known.normalize_encoding(label.strip().lower())
    name = _ALSO.get(name, name).replace("-", "_")
    # Asking the codecs would keep each name that a client makes up for ever.
    if name not in _NAMES and name.replace("_", "") not in _NAMES:
        raise _unknown()
    try:
        codec = codecs.lookup(name)
    except LookupError:
        raise _unknown() from None
    if not codec._is_text_encoding or codec.name in _REFUSED:
        raise _unknown()
    return _MEANT.get(codec.name, codec.name)


def _unknown() -> UnsupportedMediaType:
    return UnsupportedMediaType(
        "there is no text encoding of that name here: try utf-8, utf-16, windows-1252, iso-8859-15, macroman"
    )


def marked(head: bytes) -> tuple[bytes, str] | None:
    """Return the byte order mark that a file begins with, and the encoding that it tells, if there is one."""
    return next((found for found in _MARKS if head.startswith(found[0])), None)


class TextBytes:
    """Passes on the bytes of a text in an encoding whose lines can be cut, and finds the first bad byte.

    What ASCII is a part of, a byte a character, passes as it is, and UTF-8 too; all else comes out as UTF-8.

    Args:
        encoding: Of the file.
        offset: Where the text begins in it.

    Attributes:
        encoding: Of what comes out.
    """

    def __init__(self, encoding: str, offset: int) -> None:
        passes = encoding == UTF_8 or _has_a_byte_each(encoding)
        self.encoding = encoding if passes else UTF_8
        self._source = encoding
        self._passes = passes
        self._offset = offset
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")

    def feed(self, data: bytes, *, final: bool) -> bytes:
        """Return the bytes, checked.

        Args:
            data: The next ones.
            final: Whether no more come.

        Raises:
            BadByte: One is no text, or is NUL.
        """
        pending = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as exc:
            # Some decoders show what they had kept of the part before, some do not.
            kept = len(exc.object) - len(data)
            start = exc.start - kept
            good = exc.object[: exc.start].decode(self._source, "ignore")
            passed = data[: max(start, 0)] if self._passes else good.encode()
            raise BadByte(exc.object[exc.start], self._offset + start, passed) from None
        at = text.find("\0")
        if at >= 0:
            good = text[:at]
            start = len(good.encode(self._source)) - pending
            passed = data[: max(start, 0)] if self._passes else good.encode()
            raise BadByte(None, self._offset + start, passed)
        self._offset += len(data)
        return data if self._passes else text.encode()


def _has_a_byte_each(encoding: str) -> bool:
    """Return whether every byte is a character, and those of ASCII are what they are there."""
    plain = bytes(range(0x80))
    if encoding.startswith("iso2022") or plain.decode(encoding, "replace") != plain.decode("ascii"):
        return False
    return len(bytes(range(0x100)).decode(encoding, "replace")) == 0x100
