"""Finds the keys that verify access tokens: in a file, our own folder, or at another issuer's address."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jwt

from service_kit.auth.signing import KeyRing
from service_kit.settings import MIN_SECRET_BYTES, Settings

_TIMEOUT: Final = 5.0
_LIFESPAN: Final = 20.0
"""Seconds for which an issuer's keys are not asked for again: a key that is gone is good no longer."""
_PAUSE: Final = 5.0
"""Seconds before an issuer that did not answer is asked again."""
_STALE: Final = 3600.0
"""Seconds since its last answer for which an issuer's keys are good while it does not answer."""


class IssuerKeys:
    """The keys that an issuer publishes. Those that are known stay good for a time while it is away.

    Args:
        url: Its JWKS.
        clock: Tells the seconds.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = jwt.PyJWKClient(url, timeout=_TIMEOUT, lifespan=_LIFESPAN)
        self._clock = clock
        self._known: dict[str, Any] = {}
        self._answered = 0.0
        self._failed: float | None = None

    async def find(self, kid: str) -> Any:
        """Return the key with an id.

        Raises:
            jwt.PyJWKClientConnectionError: The issuer does not answer, and the key is not known.
            jwt.PyJWTError: There is no such key.
        """
        if self._failed is None or self._clock() - self._failed > _PAUSE:
            try:
                # The client asks over the network with a blocking call: keep it off the event loop.
                return await asyncio.to_thread(self._ask, kid)
            except jwt.PyJWKClientConnectionError:
                self._failed = self._clock()
        if kid in self._known and self._clock() - self._answered < _STALE:
            return self._known[kid]
        raise jwt.PyJWKClientConnectionError("the issuer does not answer")

    def _ask(self, kid: str) -> Any:
        key = self._client.get_signing_key(kid).key
        self._known = {one.key_id: one.key for one in self._client.get_jwk_set().keys if one.key_id}
        self._answered, self._failed = self._clock(), None
        return key


class KeySource:
    """The verification key: one from a file, or several by `kid`.

    Args:
        settings: Tells where it is.

    Attributes:
        ring: The keys of our own folder, which also sign; None with other sources.

    Raises:
        SystemExit: No source is set, or two; it cannot be read; the secret is too short.
    """

    def __init__(self, settings: Settings) -> None:
        self.ring: KeyRing | None = None
        self._issuer: IssuerKeys | None = None
        self._set: jwt.PyJWKSet | None = None
        self._key: str | bytes = b""
        sources = {
            "ROLLCALL_JWT_KEY_FILE": settings.jwt_key_file,
            "ROLLCALL_JWKS_URL": settings.jwks_url,
            "ROLLCALL_SIGNING_KEYS": settings.signing_keys,
        }
        given = [name for name, value in sources.items() if value is not None]
        if len(given) != 1:
            raise SystemExit(f"cannot start: set one of {', '.join(sources)}")
        if settings.jwt_key_file is not None:
            self._load(settings.jwt_key_file, settings.jwt_algorithm)
            return
        # A public key must never be taken for an HS256 secret (RFC 8725, section 2.1).
        if settings.jwt_algorithm == "HS256":
            raise SystemExit(f"cannot start: {given[0]} wants another ROLLCALL_JWT_ALGORITHM than HS256")
        if settings.jwks_url is not None:
            self._issuer = IssuerKeys(settings.jwks_url)
        elif settings.signing_keys is not None:
            self.ring = KeyRing(settings.signing_keys, settings.jwt_algorithm)

    def _load(self, path: Path, algorithm: str) -> None:
        try:
            content = path.read_bytes().strip()
        except OSError as exc:
            raise SystemExit(f"cannot start: token key {path}: {exc.strerror}") from None
        if algorithm == "HS256":
            if len(content) < MIN_SECRET_BYTES:
                raise SystemExit(
                    f"cannot start: the token key in {path} is too short: "
                    f"HS256 wants {MIN_SECRET_BYTES} random bytes or more"
                )
            self._key = content
        elif content.startswith(b"{"):
            self._set = jwt.PyJWKSet.from_dict(json.loads(content))
        elif content.startswith(b"-----BEGIN PUBLIC KEY"):
            self._key = content
        else:
            raise SystemExit(f"cannot start: {path} holds neither a PEM public key nor a JWKS")

    @property
    def is_one(self) -> bool:
        """Whether there is one key, so that its id does not count."""
        return self._issuer is None and self._set is None and self.ring is None

    async def find(self, kid: str) -> Any:
        """Return the key with an id, or the only one; it is there at present.

        Of a token's header only the id counts, and it chooses among known keys: no address and no key that
        is in there is ever looked at (RFC 8725, section 3.10).

        Raises:
            jwt.PyJWTError: No such key is known.
            KeyError: Likewise.
        """
        if self.is_one:
            return self._key
        if self._issuer is not None:
            return await self._issuer.find(kid)
        if self._set is not None:
            return self._set[kid].key
        key = self.ring.find(kid) if self.ring is not None else None
        if key is None:
            raise KeyError(kid)
        return key.private.public_key()
