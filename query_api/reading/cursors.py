"""The cursor of a page: where the last one ended, as an opaque text that is checked when it comes back."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from events.errors import InvalidFields

MAX_CURSOR: Final = 4_000
"""The longest text of a cursor: twice that of the two names that take the most room."""
_LONG: Final = 600
"""Bytes from which on it is worth the time to write one shorter."""
_LONGEST: Final = 16 * 1024


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

    def encode(self) -> str:
        """Return the cursor as URL-safe text."""
        content = orjson.dumps([self.sort, self.query, self.key, self.last_id])
        # A letter that is folded may take 33 bytes, and what a page ends with must fit into an address.
        written = zlib.compress(content) if len(content) > _LONG else content
        return base64.urlsafe_b64encode(written).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, sort: str, query: str) -> Self:
        """Return the cursor in a text.

        Args:
            text: From a client.
            sort: The order that the client asks for now.
            query: Fingerprint of the filters that the client asks for now.

        Raises:
            InvalidFields: No cursor of ours, or of another order or other filters.
        """
        try:
            parts = orjson.loads(_content(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
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
