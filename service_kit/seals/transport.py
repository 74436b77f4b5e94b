"""A transport key: what travels between the services is sealed under the key of the day. Pure."""

import os
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.errors import Damaged
from service_kit.seals.kek import NONCE_SIZE, Keks
from service_kit.seals.wrapping import TRANSPORT, bound_to

_SIZE: Final = 32


class TransportKey:
    """32 random bytes.

    Args:
        id_: The day from which on it seals, as in RFC 3339.
        secret: The bytes.

    Attributes:
        id: The same.
    """

    __slots__ = ("_cipher", "_id", "_secret", "id")

    def __init__(self, id_: str, secret: bytes) -> None:
        if len(secret) != _SIZE:
            raise ValueError("a transport key has 32 bytes")
        self.id = id_
        self._id = id_.encode() + b"\0"
        self._secret = secret
        self._cipher = AESGCM(secret)

    @classmethod
    def new(cls, id_: str) -> Self:
        """Return a key that nobody has."""
        return cls(id_, os.urandom(_SIZE))

    def seal(self, person_id: str, message_id: str, content: bytes) -> bytes:
        """Return what only this key opens, as this message about this person.

        Args:
            person_id: Whom it is about; nothing, where that is not known.
            message_id: The message's.
            content: What is in it.
        """
        nonce = os.urandom(NONCE_SIZE)
        return nonce + self._cipher.encrypt(nonce, content, self._bound(person_id, message_id))

    def open(self, person_id: str, message_id: str, sealed: bytes) -> bytes:
        """Return what is in a message; arguments as `seal` had and gave them.

        Raises:
            Damaged: This is not what was sealed with this key for this message.
        """
        try:
            return self._cipher.decrypt(
                sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], self._bound(person_id, message_id)
            )
        except (InvalidTag, ValueError):
            raise Damaged(f"a message does not open with the transport key {self.id}") from None

    def _bound(self, person_id: str, message_id: str) -> bytes:
        return self._id + person_id.encode() + b"\0" + message_id.encode()

    def wrapped(self, keks: Keks) -> tuple[str, bytes]:
        """Return the id of the key-encryption key, and this key wrapped by it."""
        return keks.wrap(self._secret, bound_to(TRANSPORT, self.id))

    @classmethod
    def unwrapped(cls, id_: str, kek: str, wrapped: bytes, keks: Keks) -> Self:
        """Return a key; arguments as `wrapped` had and gave them.

        Raises:
            KeyTrouble: It does not open.
        """
        return cls(id_, keks.unwrap(kek, wrapped, bound_to(TRANSPORT, id_)))
