"""Issues access tokens for operators and verifies them for both APIs (RFC 7519, RFC 8725)."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.types import Options

from events.errors import Forbidden, Unauthenticated, Unavailable
from service_kit.auth.roles import SCOPES as SCOPES
from service_kit.auth.roles import Roles
from service_kit.auth.signing import KeyRing
from service_kit.auth.token_keys import KeySource
from service_kit.ids import new_id
from service_kit.settings import Settings

TYP: Final = "at+jwt"
"""What our tokens say they are (RFC 9068, section 2.1): no other JWT passes for one."""
_TYPS: Final = frozenset({TYP, f"application/{TYP}"})
_ANY_TYPS: Final = _TYPS | {"jwt", ""}
_REQUIRED: Final = ["exp", "iat", "iss", "aud", "sub"]
_REMEMBERED: Final = 2048
TRUSTED_SECONDS: Final = 20.0
"""So long a token is not verified again. With the time for which keys are kept, a key that is withdrawn ends
what it signed within a minute."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the token says.

    Attributes:
        subject: The claim `sub`.
        name: The claim `name`, if any.
        scopes: What the caller may do.
        expires_at: Until when the token is taken, seconds since 1970: the end of its life and the leeway.
        key_id: The id of the key that signed the token; empty where there is but one key.
    """

    subject: str
    name: str | None
    scopes: frozenset[str]
    expires_at: float
    key_id: str = ""

    def require(self, scope: str, *others: str) -> None:
        """Return if the caller has the scope, or one of the others that do as well.

        Raises:
            Forbidden: It is missing.
        """
        if self.scopes.isdisjoint((scope, *others)):
            raise Forbidden(f"this needs the scope {scope}", scope)


def issue_token(
    *,
    key: Any,
    algorithm: str,
    issuer: str,
    audience: str,
    subject: str,
    scopes: Sequence[str],
    ttl_seconds: int,
    name: str | None = None,
    kid: str | None = None,
    token_id: str | None = None,
) -> str:
    """Return a signed access token (RFC 9068).

    Args:
        key: The HS256 secret, or a private key, also in PEM.
        algorithm: The one that the services are configured for.
        issuer: Claim `iss`.
        audience: Claim `aud`.
        subject: Claim `sub`: who acts; stands in the log as the actor.
        scopes: What it allows; the claim `scope`, separated by spaces (RFC 8693).
        ttl_seconds: Life from now.
        name: Claim `name`: the actor's name for people to read.
        kid: Names the key to those who know several.
        token_id: Claim `jti`; a new one by default.
    """
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "client_id": "rollcall",
        "iat": now,
        "exp": now + ttl_seconds,
        "jti": token_id or new_id(),
        "scope": " ".join(scopes),
    }
    if name:
        claims["name"] = name
    headers = {"typ": TYP} if kid is None else {"typ": TYP, "kid": kid}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


class TokenVerifier:
    """Checks tokens with one algorithm and one issuer; remembers good ones for `TRUSTED_SECONDS`.

    Args:
        settings: Algorithm, key, issuer, audience, longest life, and what the issuer's roles stand for.
        roles: Those of ours.
        clock: Tells seconds that do not jump.

    Raises:
        SystemExit: The key is missing or weak, or a role of the issuer's stands for nothing of ours.
    """

    def __init__(self, settings: Settings, roles: Roles, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = KeySource(settings)
        self._algorithm = settings.jwt_algorithm
        strict = settings.jwt_typ == TYP or settings.signing_keys is not None
        self._typs = _TYPS if strict else _ANY_TYPS
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._leeway = settings.jwt_leeway
        try:
            self._scopes_by_role = roles.scopes_for(settings.jwt_roles)
        except ValueError as exc:
            raise SystemExit(f"cannot start: ROLLCALL_JWT_ROLES: {exc}") from None
        self._longest = settings.jwt_max_life
        self._clock = clock
        self._good: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    @property
    def ring(self) -> KeyRing | None:
        """The keys of our own folder; None with other sources of keys."""
        return self._keys.ring

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
        now = self._clock()
        known = self._good.get(token)
        if known is not None and known[1] > now and known[0].expires_at > time.time():
            return known[0]
        self._good.pop(token, None)
        caller = await self._check(token.strip())
        self._good[token] = caller, now + TRUSTED_SECONDS
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return caller

    async def is_known(self, key_id: str) -> bool:
        """Return whether what a key has signed is still taken: the key was not withdrawn."""
        try:
            await self._keys.find(key_id)
        except (jwt.PyJWTError, KeyError):
            return False
        return True

    async def _check(self, token: str) -> Caller:
        options: Options = {"require": _REQUIRED, "enforce_minimum_key_length": True}
        try:
            key_id = "" if self._keys.is_one else str(jwt.get_unverified_header(token).get("kid"))
            decoded = jwt.decode_complete(
                token,
                await self._keys.find(key_id),
                algorithms=[self._algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
                options=options,
            )
        except jwt.PyJWKClientConnectionError as exc:
            raise Unavailable("the token issuer's keys cannot be had now") from exc
        except jwt.ExpiredSignatureError as exc:
            raise Unauthenticated("the token has expired") from exc
        except jwt.ImmatureSignatureError as exc:
            raise Unauthenticated("the token is not good yet, by this service's clock") from exc
        except (jwt.PyJWTError, KeyError, ValueError) as exc:
            raise Unauthenticated("the token is not valid here") from exc
        claims = decoded["payload"]
        if str(decoded["header"].get("typ", "")).lower() not in self._typs:
            raise Unauthenticated("the token is no access token")
        if not claims["sub"]:
            raise Unauthenticated("the token names no subject")
        if float(claims["exp"]) - float(claims["iat"]) > self._longest:
            raise Unauthenticated(
                f"the token's life is longer than the {self._longest} s that are taken here"
            )
        name = claims.get("name")
        return Caller(
            subject=claims["sub"][:255],
            name=name[:255] if isinstance(name, str) and name else None,
            scopes=scopes_in(claims, self._scopes_by_role),
            expires_at=float(claims["exp"]) + self._leeway,
            key_id=key_id,
        )


def scopes_in(claims: Mapping[str, Any], roles: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Return the scopes that a token gives, in whichever claims its issuer puts them; also unknown ones.

    Args:
        claims: `scope` (RFC 8693), `scp` and `roles` are each a text of words, or a list.
        roles: The scopes that each of the issuer's roles gives here.
    """
    given = {word for claim in ("scope", "scp") for word in _words(claims.get(claim))}
    for role in _words(claims.get("roles")):
        given.update(roles.get(role, ()))
    return frozenset(given)


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
