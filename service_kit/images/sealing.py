"""Seals images under a key that their id alone gives, and names what is stored by the hash of that id.

The id stands in sealed values and in addresses, never beside the bytes: whoever has the database, a backup
or a disk, and not a person's key, has neither the picture nor a way to tell whether it is one that he knows.
"""

import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from events.images.errors import ImageDamaged

SEAL_BYTES: Final = 28
"""What a seal adds to some bytes: a nonce of 12 before them, a tag of 16 after them."""
_NONCE_BYTES: Final = 12
_LABEL: Final = b"rollcall.image.2"


def image_name(image_id: str) -> str:
    """Return the name under which an image is stored: SHA-256 of its id, hexadecimal."""
    return hashlib.sha256(image_id.encode()).hexdigest()


class ImageKey:
    """What seals the bytes of one image and of its thumbnail: AES-256-GCM, with a random nonce each time.

    Args:
        image_id: The image's, of which nobody else makes the key.
    """

    def __init__(self, image_id: str) -> None:
        material = HKDF(SHA256(), 64, salt=None, info=_LABEL).derive(image_id.encode())
        self._cipher = AESGCM(material[:32])
        self._comparing = material[32:]

    def digest(self, content: bytes) -> str:
        """Return a text that tells two contents apart, and shows nothing of either, hexadecimal."""
        return hmac.digest(self._comparing, content, "sha256").hex()

    def seal(self, file: str, n: int, length: int, content: bytes) -> bytes:
        """Return a chunk as it is stored.

        Args:
            file: The id of the stored file.
            n: Its number among the file's chunks, from 0.
            length: Bytes of the whole file, as it is stored.
            content: The chunk's own bytes.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, _bound(file, n, length))

    def open(self, file: str, n: int, length: int, sealed: bytes) -> bytes:
        """Return a chunk's own bytes; the other arguments are those that it was sealed with.

        Raises:
            ImageDamaged: It is not what was sealed for this place in this file.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(file, n, length))
        except (InvalidTag, ValueError):
            raise ImageDamaged(f"chunk {n} of the stored image {file} is damaged") from None


def _bound(file: str, n: int, length: int) -> bytes:
    return b"\0".join([_LABEL, file.encode(), str(n).encode(), str(length).encode()])
