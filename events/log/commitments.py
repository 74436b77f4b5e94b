"""Commits to sealed values: salted hashes that show nothing, and one root over them. Pure.

An event's hash covers the root alone, so a chain stays whole when values can no longer be opened, and a
value that is opened can be proved.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from typing import Final

from events.person.schema.declarations import Value

SALT_SIZE: Final = 16
"""Bytes of a name's salt."""
_HASH_SIZE: Final = 32
_INFO: Final = b"rollcall.salts.2\0"
_JCS: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def jcs(content: object) -> bytes:
    """Return JSON as RFC 8785 has it: of strings, whole numbers, truth values and nulls, with ASCII names."""
    return _JCS(content).encode()


def salts_of(secret: bytes, event_id: str, count: int) -> list[str]:
    """Return the salts of an event's sealed names, in their order, hexadecimal.

    HKDF-Expand with SHA-256 (RFC 5869).

    Args:
        secret: The half of a person's key that is for salts, 32 bytes.
        event_id: The event's.
        count: How many; 510 at most, as the function can make no more.
    """
    if count > 255 * _HASH_SIZE // SALT_SIZE:
        raise ValueError(f"an event seals at most 510 values, not {count}")
    info = _INFO + event_id.encode()
    blocks, block = b"", b""
    for number in range(1, (count * SALT_SIZE + _HASH_SIZE - 1) // _HASH_SIZE + 1):
        block = hmac.digest(secret, block + info + bytes((number,)), "sha256")
        blocks += block
    text = blocks[: count * SALT_SIZE].hex()
    return [text[at : at + 2 * SALT_SIZE] for at in range(0, len(text), 2 * SALT_SIZE)]


def commitment(salt: str, name: str, value: Value | None) -> str:
    """Return what commits to a value and shows nothing of it.

    Args:
        salt: As `salts_of` gives it.
        name: Of the field.
        value: Null for one that is removed.
    """
    return hashlib.sha256(jcs([salt, name, value])).hexdigest()


def root_of(commitments: Iterable[tuple[str, str]]) -> str:
    """Return the root over the commitments of some names, in ascending order of the names."""
    return hashlib.sha256(jcs([list(pair) for pair in commitments])).hexdigest()


NOTHING_SEALED: Final = root_of(())
"""The root of an event without sealed values."""


def root_of_values(salts: Sequence[str], values: Iterable[tuple[str, Value | None]]) -> str:
    """Return the root over values.

    Args:
        salts: In the order of the names.
        values: By name, ascending.
    """
    return root_of(
        (name, commitment(salt, name, value)) for salt, (name, value) in zip(salts, values, strict=True)
    )
