"""The form of a checkpoint: what it states, its signature (Ed25519), and the link to the one before."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from verifier.canonical import Unreadable, canonical, read_object

FORMAT: Final = 1
NONE_BEFORE: Final = "0" * 64
"""`previous` of the first checkpoint."""
MOST: Final = 2**53
"""No number is as large as this (RFC 8785: what every reader of JSON keeps exactly)."""
_HEX: Final = {
    "merkle_root": re.compile("[0-9a-f]{64}"),
    "heads_sha256": re.compile("[0-9a-f]{64}"),
    "previous": re.compile("[0-9a-f]{64}"),
    "key_id": re.compile("[0-9a-f]{64}"),
    "signature": re.compile("[0-9a-f]{128}"),
    "created_at": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
}
_PEM: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of the log at one time, signed.

    Attributes:
        format: 1.
        number: 1, 2, 3 …
        created_at: When, by the clock of who made it; RFC 3339, UTC, milliseconds.
        streams: How many people have events.
        events: How many events there are.
        merkle_root: Merkle tree hash (RFC 6962) over the line of every stream's head, in order of person.
        changed: How many heads are in the companion file: those that the checkpoint before had not.
        heads_sha256: SHA-256 of that file's lines.
        previous: `digest` of the checkpoint before, or zeros.
        key_id: SHA-256 of the raw public key.
        signature: Over the canonical JSON of all the rest.
    """

    format: int
    number: int
    created_at: str
    streams: int
    events: int
    merkle_root: str
    changed: int
    heads_sha256: str
    previous: str
    key_id: str
    signature: str

    def encode(self) -> bytes:
        """Return the checkpoint as its file holds it, without the line's end."""
        return canonical(asdict(self))

    @classmethod
    def decode(cls, text: bytes) -> "Checkpoint":
        """Return the checkpoint in a file.

        Raises:
            Unreadable: It is none; says why.
        """
        content = read_object(text.rstrip(b"\n"))
        if set(content) != {field.name for field in fields(cls)}:
            raise Unreadable("it has not the fields of a checkpoint")
        for name, value in content.items():
            if not _fits(name, value):
                raise Unreadable(f"its {name} is none")
        if content["format"] != FORMAT:
            raise Unreadable(f"it has format {content['format']}, and this program reads format {FORMAT}")
        return cls(**content)


def _fits(name: str, value: object) -> bool:
    if pattern := _HEX.get(name):
        return isinstance(value, str) and pattern.fullmatch(value) is not None
    return type(value) is int and 0 <= value < MOST


def digest(checkpoint: Checkpoint) -> str:
    """Return the SHA-256 by which the next checkpoint names this one, hexadecimal."""
    return hashlib.sha256(checkpoint.encode()).hexdigest()


def _signed(checkpoint: Checkpoint) -> bytes:
    content: dict[str, Any] = asdict(checkpoint)
    del content["signature"]
    return canonical(content)


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> Checkpoint:
    """Return the checkpoint with its key and signature; what stood there before does not matter."""
    named = replace(checkpoint, key_id=key_id(key.public_key()), signature="0" * 128)
    return replace(named, signature=key.sign(_signed(named)).hex())


def is_signed(checkpoint: Checkpoint, keys: Mapping[str, Ed25519PublicKey]) -> bool:
    """Return whether one of the keys, by their ids, made the signature."""
    key = keys.get(checkpoint.key_id)
    if key is None:
        return False
    try:
        key.verify(bytes.fromhex(checkpoint.signature), _signed(checkpoint))
    except InvalidSignature:
        return False
    return True


def key_id(key: Ed25519PublicKey) -> str:
    """Return the name of a key: the SHA-256 of its 32 bytes, hexadecimal."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def public_keys(text: bytes) -> dict[str, Ed25519PublicKey]:
    """Return the keys in PEM text by their ids; several, where keys were exchanged.

    Raises:
        Unreadable: There is none, or one is not of Ed25519.
    """
    keys = {}
    for block in _PEM.findall(text):
        try:
            key = load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm):
            raise Unreadable("it holds a public key that cannot be read") from None
        if not isinstance(key, Ed25519PublicKey):
            raise Unreadable("it holds a public key that is not of Ed25519")
        keys[key_id(key)] = key
    if not keys:
        raise Unreadable("it holds no public key (PEM)")
    return keys
