"""Makes the ids of requests that may be repeated, by a secret: without it nobody can guess keys. Pure."""

import hmac
from typing import Final, Self

from events.log.commitments import jcs
from service_kit.seals.kek import Keks
from service_kit.seals.wrapping import TRANSPORT, bound_to

ROW: Final = "ids.1"
"""The id of the row that has the secret; its number says that there may be another form one day."""
_SIZE: Final = 32


class RepeatableIds:
    """HMAC-SHA256 as UUIDs.

    Args:
        secret: 32 random bytes, the same for ever (docs/adr/0075).
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _SIZE:
            raise ValueError("a secret of ids has 32 bytes")
        self._secret = secret

    @classmethod
    def unwrapped(cls, kek: str, wrapped: bytes, keks: Keks) -> Self:
        """Return what the secret in a row makes.

        Raises:
            KeyTrouble: It does not open.
        """
        return cls(keks.unwrap(kek, wrapped, bound_to(TRANSPORT, ROW)))

    def of(self, *parts: str) -> str:
        """Return the UUID version 8 (RFC 9562, section 5.8) of parts: the same parts, the same id."""
        digest = hmac.digest(self._secret, jcs(list(parts)), "sha256").hex()
        variant = "89ab"[int(digest[16], 16) & 3]
        return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def wrapped_secret(secret: bytes, keks: Keks) -> tuple[str, bytes]:
    """Return the id of the key-encryption key, and a secret of ids wrapped by it."""
    return keks.wrap(secret, bound_to(TRANSPORT, ROW))
