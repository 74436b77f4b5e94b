"""A person's key: seals the values of the person's events, and salts what commits to them."""

import os
from collections.abc import Mapping
from typing import Final, Self

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.errors import Damaged
from events.log.commitments import salts_of
from events.person.schema.declarations import Value
from service_kit.seals.kek import NONCE_SIZE, Keks
from service_kit.seals.wrapping import KEYS, bound_to

_HALF: Final = 32
_BLOCK: Final = 64
"""Sealed values are padded to a multiple of it, so that a short one does not tell itself by its length."""
_SEALED: Final = b"rollcall.sealed.2\0"


class PersonKey:
    """64 random bytes: 32 that seal and 32 for salts.

    Args:
        secret: The bytes.
    """

    __slots__ = ("_cipher", "_salts", "_secret")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 2 * _HALF:
            raise ValueError("a person's key has 64 bytes")
        self._secret = secret
        self._cipher = AESGCM(secret[:_HALF])
        self._salts = secret[_HALF:]

    @classmethod
    def new(cls) -> Self:
        """Return a key that nobody has."""
        return cls(os.urandom(2 * _HALF))

    def salts(self, event_id: str, count: int) -> list[str]:
        """Return the salts of an event's sealed names, as `events.log.commitments.salts_of` does."""
        return salts_of(self._salts, event_id, count)

    def seal(self, hash_: str, content: bytes) -> bytes:
        """Return an event's sealed values.

        Args:
            hash_: The event's.
            content: JSON of the values by name.
        """
        nonce = os.urandom(NONCE_SIZE)
        padded = content.ljust(-(-len(content) // _BLOCK) * _BLOCK)
        return nonce + self._cipher.encrypt(nonce, padded, _SEALED + hash_.encode())

    def open(self, hash_: str, sealed: bytes) -> Mapping[str, Value | None]:
        """Return an event's values by name.

        Args:
            hash_: The event's.
            sealed: As `seal` returned it.

        Raises:
            Damaged: This is not what was sealed with this key for this event.
        """
        try:
            content = self._cipher.decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], _SEALED + hash_.encode())
            values: Mapping[str, Value | None] = orjson.loads(content)
        except (InvalidTag, ValueError):
            raise Damaged("the sealed values do not open with the person's key") from None
        return values

    def wrapped(self, person_id: str, keks: Keks) -> tuple[str, bytes]:
        """Return the id of the key-encryption key, and this key wrapped by it.

        Args:
            person_id: Whose it is.
            keks: The key-encryption keys.
        """
        return keks.wrap(self._secret, bound_to(KEYS, person_id))

    @classmethod
    def unwrapped(cls, person_id: str, kek: str, wrapped: bytes, keks: Keks) -> Self:
        """Return a person's key; arguments as `wrapped` had and gave them.

        Raises:
            KeyTrouble: The key-encryption key is not there, or the row is another person's or damaged.
        """
        return cls(keks.unwrap(kek, wrapped, bound_to(KEYS, person_id)))
