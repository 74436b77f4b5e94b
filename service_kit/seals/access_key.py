"""A key of access records: of one process, for one month; seals what was filtered by, and purposes."""

import os
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.errors import Damaged
from service_kit.seals.kek import NONCE_SIZE, Keks
from service_kit.seals.wrapping import ACCESS_KEYS, bound_to

_SIZE: Final = 32
_BLOCK: Final = 64
_SEALED: Final = b"rollcall.access.sealed.1\0"


class AccessKey:
    """32 random bytes.

    Args:
        secret: The bytes.
    """

    __slots__ = ("_cipher", "_secret")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(secret)

    @classmethod
    def new(cls) -> Self:
        """Return a key that nobody has."""
        return cls(os.urandom(_SIZE))

    def seal(self, batch_id: str, content: bytes) -> bytes:
        """Return a batch's values, sealed: padded, so that a short one does not tell itself by its length."""
        nonce = os.urandom(NONCE_SIZE)
        padded = content.ljust(-(-len(content) // _BLOCK) * _BLOCK)
        return nonce + self._cipher.encrypt(nonce, padded, _SEALED + batch_id.encode())

    def open(self, batch_id: str, sealed: bytes) -> bytes:
        """Return a batch's values.

        Raises:
            Damaged: This is not what was sealed with this key for this batch.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], _SEALED + batch_id.encode())
        except (InvalidTag, ValueError):
            raise Damaged(f"the values of {batch_id} do not open with their key") from None

    def wrapped(self, key_id: str, keks: Keks) -> tuple[str, bytes]:
        """Return the id of the key-encryption key, and this key wrapped by it."""
        return keks.wrap(self._secret, bound_to(ACCESS_KEYS, key_id))

    @classmethod
    def unwrapped(cls, key_id: str, kek: str, wrapped: bytes, keks: Keks) -> Self:
        """Return a key; arguments as `wrapped` had and gave them.

        Raises:
            KeyTrouble: It does not open.
        """
        return cls(keks.unwrap(kek, wrapped, bound_to(ACCESS_KEYS, key_id)))
