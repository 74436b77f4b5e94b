"""Refresh tokens: their form, their successors, and whether one that is presented is good. Pure.

The tokens that follow from one login are a family. Each is good for once (RFC 9700, section 4.14.2): it is
exchanged for its successor, and one that comes again later was stolen, here or there, so the family ends.
Of a token only a hash is kept. The successor is computed of the token and a key of the family, so a client
that lost an answer, or whose other tab was quicker, can ask again: it gets the newest token, though that is
kept nowhere (docs/adr/0049).
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

GRACE: Final = timedelta(seconds=10)
"""How long after its exchange a token may be presented again."""
MOST: Final = 30
"""Exchanges within the grace; with so many, the token that is the newest stays that for a while."""
IDLE: Final = timedelta(days=7)
ABSOLUTE: Final = timedelta(days=30)
_FORM: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A token as the client has it.

    Attributes:
        family_id: 128 random bits.
        secret: 256 bits, hexadecimal.
    """

    family_id: str
    secret: str

    def __str__(self) -> str:
        return f"{self.family_id}.{self.secret}"

    @property
    def digest(self) -> str:
        """What is kept of it: SHA-256, which does for a secret that nobody can guess."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def successor(self, key: bytes) -> "RefreshToken":
        """Return the token that this one is exchanged for, always the same.

        Args:
            key: The family's: without it, an old token tells nothing of later ones.
        """
        return replace(self, secret=hmac.new(key, self.secret.encode(), hashlib.sha256).hexdigest())


def read_token(text: str) -> RefreshToken | None:
    """Return the token in a text; None if it has not a token's form."""
    match = _FORM.fullmatch(text)
    return RefreshToken(match[1], match[2]) if match else None


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A token that was exchanged.

    Attributes:
        digest: The token's.
        at: When, UTC.
    """

    digest: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Family:
    """What is kept of a family.

    Attributes:
        family_id: Its id.
        account: The account's name.
        epoch: The account's, when the family began: a family of an older one is over.
        key: 256 random bits.
        current: Digest of the token that can be exchanged.
        previous: Digest of the one before it; None at first.
        exchanged_at: When that one was exchanged, UTC; at first, when the family began.
        began_at: When the login was, UTC.
        revoked: Whether it is over.
        earlier: Those that were exchanged before the previous one, and within the grace of its exchange.
    """

    family_id: str
    account: str
    epoch: int
    key: bytes
    current: str
    previous: str | None
    exchanged_at: datetime
    began_at: datetime
    revoked: bool
    earlier: tuple[Exchanged, ...] = ()

    @property
    def expires_at(self) -> datetime:
        """When it is over if nothing more happens."""
        return min(self.exchanged_at + IDLE, self.began_at + ABSOLUTE)

    def lately(self, now: datetime) -> tuple[Exchanged, ...]:
        """Return the tokens that were exchanged within the grace, the last one first."""
        last = () if self.previous is None else (Exchanged(self.previous, self.exchanged_at),)
        return tuple(one for one in (*last, *self.earlier) if now - one.at <= GRACE)

    def exchanged(self, token: RefreshToken, now: datetime) -> "Family":
        """Return the family once a token of it has been exchanged."""
        current = token.successor(self.key).digest
        return replace(
            self, current=current, previous=token.digest, exchanged_at=now, earlier=self.lately(now)
        )

    def newest(self, token: RefreshToken) -> RefreshToken:
        """Return the token that can be exchanged, which follows from an earlier one."""
        for _ in range(len(self.earlier) + 1):
            if token.digest == self.current:
                break
            token = token.successor(self.key)
        return token


class RefreshTokenState(Enum):
    """What a token is worth.

    Attributes:
        EXCHANGE: It is the current one: exchange it.
        REPEAT: It was exchanged a moment ago: give the newest one again.
        REUSED: It was exchanged before: end the family.
        NOTHING: There is no such family any more.
    """

    EXCHANGE = "exchange"
    REPEAT = "repeat"
    REUSED = "reused"
    NOTHING = "nothing"


def judge(family: Family | None, token: RefreshToken, now: datetime) -> RefreshTokenState:
    """Return what a token is worth.

    Args:
        family: What is kept of its family, if anything.
        token: As presented.
        now: UTC.
    """
    if family is None or family.revoked or now >= family.expires_at:
        return RefreshTokenState.NOTHING
    lately = family.lately(now)
    if hmac.compare_digest(token.digest, family.current):
        return RefreshTokenState.REPEAT if len(lately) >= MOST else RefreshTokenState.EXCHANGE
    known = [hmac.compare_digest(token.digest, one.digest) for one in lately]
    return RefreshTokenState.REPEAT if any(known) else RefreshTokenState.REUSED
