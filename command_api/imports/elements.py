"""Cuts JSON whose lines are no rows: the elements of an array, or objects over several lines."""

import re
from typing import Final

from command_api.imports.lines import Held, Line, TooLong, Unreadable

_OUTSIDE: Final = re.compile(rb'"[^"\\]*"|["{}\[\],]')
"""A string that is passed at once, or what must be looked at."""
_INSIDE: Final = re.compile(rb'["\\]')
_BLANK: Final = b" \t\r\n\x1e"


def has_elements(text: bytes) -> bool:
    """Return whether JSON that begins so must be cut into elements."""
    first = text.lstrip(_BLANK).split(b"\n", 1)[0].strip()
    return first.startswith(b"[") or first == b"{"


class ElementReader:
    """Cuts JSON into elements, however its bytes arrive: of an array, or objects one after the other."""

    def __init__(self) -> None:
        self._held = Held()
        self._array: bool | None = None
        self._depth = 0
        self._string = self._escaped = self._over = False

    def feed(self, data: bytes) -> list[Line]:
        """Return the elements that these bytes end.

        Raises:
            Unreadable: The brackets do not match, or an element has no end.
        """
        if self._array is None:
            data = data.lstrip(_BLANK)
            if not data:
                return []
            self._array = data.startswith(b"[")
            data = data.removeprefix(b"[")
        found: list[Line] = []
        at = begin = 0
        while not self._over and at < len(data):
            at, token = self._step(data, at)
            if self._ends_element(token):
                end = at if token == b"}" else at - 1
                self._cut(data[begin:end], found)
                begin = at
        if self._over:
            if data[begin:].strip(_BLANK):
                raise Unreadable("goes on after the end of its array")
        else:
            self._held.add(data[begin:])
        return found

    def end(self) -> list[Line]:
        """Return nothing, since an element has an end of its own.

        Raises:
            Unreadable: The last one has none, or the array.
        """
        if self._array and not self._over:
            raise Unreadable("ends within its array: it was cut off")
        found: list[Line] = []
        self._cut(b"", found)
        if found:
            raise Unreadable("ends within an object: it was cut off")
        return []

    def _step(self, data: bytes, at: int) -> tuple[int, bytes]:
        """Return where the next thing to look at ends, and what it is; nothing if that is within a string."""
        if self._escaped:
            self._escaped = False
            return at + 1, b""
        match = (_INSIDE if self._string else _OUTSIDE).search(data, at)
        if match is None:
            return len(data), b""
        token = match[0]
        if self._string:
            self._string, self._escaped = token == b"\\", token == b"\\"
            return match.end(), b""
        self._string = token == b'"'
        return match.end(), token

    def _ends_element(self, token: bytes) -> bool:
        """Return whether a token ends an element; or begin or end with it what is inside of one.

        Raises:
            Unreadable: It closes what was not opened.
        """
        if token in (b"{", b"["):
            self._depth += 1
        elif token in (b"}", b"]"):
            if self._depth:
                self._depth -= 1
                return not (self._depth or self._array)
            if token == b"}" or not self._array:
                raise Unreadable("has a bracket that closes nothing")
            self._over = True
            return True
        return token == b"," and not self._depth

    def _cut(self, part: bytes, found: list[Line]) -> None:
        line = self._held.take(part)
        if not isinstance(line, TooLong):
            line = line.strip(_BLANK)
        if line:
            found.append(line)
