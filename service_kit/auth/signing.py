"""The key pairs that sign access tokens: a folder of private keys, which one signs, what is published.

It writes nothing: `operations.accounts.signing_keys` makes keys.
"""

import base64
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

PrivateKey = Ed25519PrivateKey | RSAPrivateKey

PUBLISHED_SECONDS: Final = 60
"""A new key is published for so long before it signs: everybody has looked here or asked for it by then."""
RSA_BITS: Final = 2048
"""Least size of an RSA key (RFC 7518, section 3.3)."""
_LOOK_SECONDS: Final = 5.0
_STAMP: Final = re.compile(r"\d{8}T\d{6}Z")
_FORM: Final = "%Y%m%dT%H%M%SZ"
_THUMBED: Final = {"OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key pair.

    Attributes:
        kid: Thumbprint of the public key (RFC 7638).
        algorithm: The one that it signs with.
        private: Signs.
        public: The public key as a JWK (RFC 7517).
        made_at: Seconds since 1970, as its file's name says; 0 if that says nothing.
    """

    kid: str
    algorithm: str
    private: PrivateKey
    public: dict[str, Any]
    made_at: float


def read_key(content: bytes, made_at: float = 0.0) -> SigningKey:
    """Return the key pair in a file: a private key in PKCS #8, as PEM or as the base64 of its DER alone.

    Raises:
        ValueError: It is no key that signs tokens; the text repeats nothing of it.
    """
    content = content.strip()
    try:
        if content.startswith(b"-----"):
            private: Any = load_pem_private_key(content, None)
        else:
            private = load_der_private_key(base64.b64decode(content, validate=True), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("no private key in PKCS #8") from None
    if isinstance(private, Ed25519PrivateKey):
        algorithm, jwk = "EdDSA", OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif isinstance(private, RSAPrivateKey) and private.key_size >= RSA_BITS:
        algorithm, jwk = "RS256", RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        raise ValueError(f"neither an Ed25519 key nor an RSA key of {RSA_BITS} bits or more")
    kid = _thumbprint(jwk)
    members = {name: jwk[name] for name in _THUMBED[jwk["kty"]]}
    return SigningKey(
        kid, algorithm, private, {**members, "kid": kid, "alg": algorithm, "use": "sig"}, made_at
    )


def _thumbprint(jwk: dict[str, Any]) -> str:
    """Return a key's thumbprint: SHA-256 over its required members in order (RFC 7638, section 3)."""
    members = {name: jwk[name] for name in _THUMBED[jwk["kty"]]}
    digest = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def key_name(made_at: datetime) -> str:
    """Return the name of a new key's file: it tells when the key was made, and sorts after older ones."""
    return f"{made_at.astimezone(UTC).strftime(_FORM)}.pem"


def made_at(name: str) -> float:
    """Return when a file's key was made, seconds since 1970; 0 if its name does not begin with that."""
    match = _STAMP.match(name)
    return datetime.strptime(match[0], _FORM).replace(tzinfo=UTC).timestamp() if match else 0.0


def signer_of(keys: Sequence[SigningKey], now: float) -> SigningKey:
    """Return the key that signs: the newest that everybody has had the time to learn of.

    Args:
        keys: In order, at least one.
        now: Seconds since 1970.
    """
    known = [key for key in keys if key.made_at + PUBLISHED_SECONDS <= now]
    return known[-1] if known else keys[0]


class KeyRing:
    """The keys in a folder, in order of their files' names; looked at again every few seconds.

    Args:
        folder: Only these files; hidden ones are passed over.
        algorithm: What all keys must be for (RFC 8725, section 3.1): `EdDSA` or `RS256`.
        clock: Tells the time, seconds since 1970.

    Raises:
        SystemExit: There is no key, or one that cannot be used.
    """

    def __init__(self, folder: Path, algorithm: str, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._algorithm, self._clock = folder, algorithm, clock
        self._seen: list[tuple[str, int]] | None = None
        self._keys: list[SigningKey] = []
        self._looked = 0.0
        try:
            self._keys = self._load()
        except (OSError, ValueError) as exc:
            raise SystemExit(f"cannot start: signing keys in {folder}: {exc}") from None

    @property
    def keys(self) -> Sequence[SigningKey]:
        """All keys, the newest last."""
        now = self._clock()
        if not 0 <= now - self._looked < _LOOK_SECONDS:
            try:
                self._keys = self._load()
            except (OSError, ValueError) as exc:
                log.error("signing keys cannot be read; the known ones stay", reason=str(exc))
                self._looked = now
        return self._keys

    @property
    def signer(self) -> SigningKey:
        """The key that signs now."""
        return signer_of(self.keys, self._clock())

    def find(self, kid: str) -> SigningKey | None:
        """Return the key with an id."""
        return next((key for key in self.keys if key.kid == kid), None)

    def jwks(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517, section 5)."""
        return {"keys": [key.public for key in self.keys]}

    def _load(self) -> list[SigningKey]:
        with os.scandir(self._folder) as entries:
            files = sorted(
                (entry.name, entry.stat().st_mtime_ns)
                for entry in entries
                if entry.is_file() and not entry.name.startswith(".")
            )
        self._looked = self._clock()
        if files == self._seen:
            return self._keys
        keys = []
        for name, _ in files:
            try:
                key = read_key((self._folder / name).read_bytes(), made_at(name))
            except ValueError as exc:
                raise ValueError(f"{name} is {exc}") from None
            if key.algorithm != self._algorithm:
                raise ValueError(f"{name} is a key for {key.algorithm}, and {self._algorithm} is wanted")
            keys.append(key)
        if not keys:
            raise ValueError("there is none")
        self._seen = files
        return keys
