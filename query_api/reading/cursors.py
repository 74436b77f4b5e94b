"""The cursor of a page: where the last one ended, as a sealed text that is checked when it comes back.

It holds what the last item is sorted by, a name say, and stands in an address.
"""

import base64
import binascii
import hashlib
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.errors import InvalidFields

MAX_CURSOR: Final = 4_000
"""The longest text of a cursor: twice that of the two names that take the most room."""
_LONG: Final = 600
"""Bytes from which on it is worth the time to write one shorter."""
_LONGEST: Final = 16 * 1024
_BLOCK: Final = 64
"""What is sealed is padded to a multiple of it: a length may tell a name."""
_NONCE: Final = 12
_SEALED: Final = b"rollcall.cursor.2\0"
CURSORS: Final = "rollcall.cursors.2"
"""Names the keys that are derived for cursors."""


class CursorSeal:
    """Seals cursors: AES-256-GCM under a key whose id goes before what it sealed.

    Args:
        keys: By id, 32 bytes each: the first one seals, all of them open. Without, one of this process alone.
    """

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        keys = keys or {"own": AESGCM.generate_key(256)}
        self._ciphers = {id_.encode(): AESGCM(key) for id_, key in keys.items()}
        self._current = next(iter(self._ciphers))

    def seal(self, content: bytes) -> bytes:
        """Return what is sealed, with the id of the key before it."""
        nonce = os.urandom(_NONCE)
        padded = content.ljust(-(-len(content) // _BLOCK) * _BLOCK)
        sealed = self._ciphers[self._current].encrypt(nonce, padded, _SEALED + self._current)
        return bytes((len(self._current),)) + self._current + nonce + sealed

    def open(self, sealed: bytes) -> bytes | None:
        """Return what was sealed, with the blanks after it; None if none of the keys has sealed this."""
        end = 1 + (sealed[0] if sealed else 0)
        cipher = self._ciphers.get(sealed[1:end])
        if cipher is None:
            return None
        try:
            return cipher.decrypt(sealed[end : end + _NONCE], sealed[end + _NONCE :], _SEALED + sealed[1:end])
        except (InvalidTag, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after the last item of a page.

    Attributes:
        sort: The order that it belongs to.
        query: Fingerprint of the filters that it belongs to.
        key: The last item's sort key.
        last_id: The last item's id; tells apart items with the same key.
    """

    sort: str
    query: str
    key: str
    last_id: str

    def encode(self, seal: CursorSeal) -> str:
        """Return the cursor as sealed, URL-safe text."""
        content = orjson.dumps([self.sort, self.query, self.key, self.last_id])
        # A letter that is folded may take 33 bytes, and what a page ends with must fit into an address.
        written = zlib.compress(content) if len(content) > _LONG else content
        return base64.urlsafe_b64encode(seal.seal(written)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, sort: str, query: str, seal: CursorSeal) -> Self:
        """Return the cursor in a text.

        Args:
            text: From a client.
            sort: The order that the client asks for now.
            query: Fingerprint of the filters that the client asks for now.
            seal: What has sealed it.

        Raises:
            InvalidFields: No cursor of ours, or of another order or other filters.
        """
        try:
            written = seal.open(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            parts = None if written is None else orjson.loads(_content(written))
        except (binascii.Error, zlib.error, ValueError):
            parts = None
        if not (isinstance(parts, list) and len(parts) == 4 and all(isinstance(p, str) for p in parts)):
            raise invalid_cursor("is no cursor of this API")
        cursor = cls(*parts)
        if (cursor.sort, cursor.query) != (sort, query):
            raise invalid_cursor("belongs to another order or other filters")
        return cursor


def _content(written: bytes) -> bytes:
    """Return the JSON of a cursor, which begins with a bracket unless it was compressed."""
    return written if written.startswith(b"[") else zlib.decompressobj().decompress(written, _LONGEST)


def invalid_cursor(reason: str) -> InvalidFields:
    """Return the error that a cursor is answered with."""
    return InvalidFields("a parameter is not valid", [{"field": "cursor", "reason": reason}])


def fingerprint(filters: Mapping[str, object] | Sequence[object]) -> str:
    """Return a short text that differs for other filters."""
    content = orjson.dumps(filters, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2s(content, digest_size=6).hexdigest()


def after(field: str, key: object, last_id: str, *, descending: bool) -> list[dict[str, Any]]:
    """Return the conditions of what follows a place: a range of the index, less the equals before it.

    Args:
        field: What is sorted by, before the id.
        key: Its value where the page ended.
        last_id: The id there.
        descending: Whether the order is turned round.
    """
    beyond, reach = ("$lt", "$lte") if descending else ("$gt", "$gte")
    return [
        {field: {reach: key}},
        {"$or": [{field: {beyond: key}}, {"_id": {beyond: last_id}}]},
    ]
