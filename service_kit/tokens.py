"""Owns access tokens: issuing them for operators and verifying them for both APIs (RFC 7519, RFC 8725)."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from jwt.types import Options

from events.errors import Forbidden, Unauthenticated, Unavailable
from service_kit.settings import MIN_SECRET_BYTES, Settings

SCOPES: Final = (
    "people:read",
    "people:write",
    "people:delete",
    "audit:read",
    "events:read",
    "ops",
)
_REQUIRED: Final = ["exp", "iat", "iss", "aud", "sub"]
_REMEMBERED: Final = 2048
_JWKS_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the token says.

    Attributes:
        subject: The claim `sub`.
        name: The claim `name`, if any.
        scopes: What the caller may do.
        expires_at: End of the token's life, seconds since 1970.
    """

    subject: str
    name: str | None
    scopes: frozenset[str]
    expires_at: float

    def require(self, scope: str) -> None:
        """Return if the caller has the scope.

        Raises:
            Forbidden: It is missing.
        """
        if scope not in self.scopes:
            raise Forbidden(f"this needs the scope {scope}", scope)


def issue_token(
    *,
    key: str | bytes,
    algorithm: str,
    issuer: str,
    audience: str,
    subject: str,
    scopes: Sequence[str],
    ttl_seconds: int,
    name: str | None = None,
) -> str:
    """Return a signed token.

    Args:
        key: The HS256 secret, or a private key in PEM.
        algorithm: The one that the services are configured for.
        issuer: Claim `iss`.
        audience: Claim `aud`.
        subject: Claim `sub`: who acts; stands in the log as the actor.
        scopes: Some of `SCOPES`; the claim `scope`, separated by spaces (RFC 8693).
        ttl_seconds: Life from now.
        name: Claim `name`: the actor's name for people to read.
    """
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "iat": now,
        "exp": now + ttl_seconds,
        "scope": " ".join(scopes),
    }
    if name:
        claims["name"] = name
    return jwt.encode(claims, key, algorithm=algorithm)


class KeySource:
    """The verification key: one from a file, or several by `kid` from a JWKS file or address.

    Args:
        settings: Tells where it is.

    Raises:
        SystemExit: No source is set, or two; the file cannot be read; the secret is too short.
    """

    def __init__(self, settings: Settings) -> None:
        self._client: jwt.PyJWKClient | None = None
        self._set: jwt.PyJWKSet | None = None
        self._key: str | bytes = b""
        if (settings.jwt_key_file is None) == (settings.jwks_url is None):
            raise SystemExit("cannot start: set one of ROLLCALL_JWT_KEY_FILE and ROLLCALL_JWKS_URL")
        if settings.jwks_url is not None:
            if settings.jwt_algorithm == "HS256":
                raise SystemExit(
                    "cannot start: ROLLCALL_JWKS_URL wants another ROLLCALL_JWT_ALGORITHM than HS256"
                )
            self._client = jwt.PyJWKClient(settings.jwks_url, timeout=_JWKS_TIMEOUT, lifespan=300)
        elif settings.jwt_key_file is not None:
            self._load(settings.jwt_key_file, settings.jwt_algorithm)

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

    async def key_for(self, token: str) -> Any:
        """Return the key that must have signed the token.

        Raises:
            jwt.PyJWTError: The token names no known key.
        """
        if self._client is not None:
            # The client asks over the network with a blocking call: keep it off the event loop.
            return (await asyncio.to_thread(self._client.get_signing_key_from_jwt, token)).key
        if self._set is not None:
            return self._set[str(jwt.get_unverified_header(token).get("kid"))].key
        return self._key


class TokenVerifier:
    """Checks tokens with one algorithm and one issuer; remembers good ones until they expire.

    Args:
        settings: Algorithm, key, issuer and audience.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = KeySource(settings)
        self._algorithm = settings.jwt_algorithm
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._good: OrderedDict[str, Caller] = OrderedDict()

    async def verify(self, authorization: str | None) -> Caller:
        """Return the caller named by an `Authorization` header.

        Args:
            authorization: The header's value, `Bearer …`; the scheme's case does not count.

        Raises:
            Unauthenticated: No token, or expired, forged, for someone else, or incomplete.
            Unavailable: The issuer's keys cannot be had now.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("send Authorization: Bearer <token>")
        known = self._good.get(token)
        if known is not None and known.expires_at > time.time():
            return known
        caller = await self._check(token.strip())
        self._good[token] = caller
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return caller

    async def _check(self, token: str) -> Caller:
        options: Options = {"require": _REQUIRED}
        try:
            claims = jwt.decode(
                token,
                await self._keys.key_for(token),
                algorithms=[self._algorithm],
                issuer=self._issuer,
                audience=self._audience,
                options=options,
            )
        except jwt.PyJWKClientConnectionError as exc:
            raise Unavailable("the token issuer's keys cannot be had now") from exc
        except jwt.ExpiredSignatureError as exc:
            raise Unauthenticated("the token has expired") from exc
        except (jwt.PyJWTError, KeyError, ValueError) as exc:
            raise Unauthenticated("the token is not valid here") from exc
        if not claims["sub"]:
            raise Unauthenticated("the token names no subject")
        name, scope = claims.get("name"), claims.get("scope", "")
        return Caller(
            subject=claims["sub"][:255],
            name=name[:255] if isinstance(name, str) and name else None,
            scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
            expires_at=float(claims["exp"]),
        )
