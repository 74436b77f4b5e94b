"""Counts login attempts, makes those wait that fail often, and records failures as events."""

import time
from dataclasses import dataclass, field
from typing import Final

from command_api.accounts.attempts import (
    FREE_PER_ACCOUNT,
    FREE_PER_ADDRESS,
    Budget,
    counted,
    seconds_left,
)
from command_api.accounts.directory import Directory
from command_api.accounts.login_store import LoginStore, address_counter, name_counter
from command_api.accounts.store import Account
from events.accounts.errors import TooManyAttempts
from events.accounts.event import AccountEventType, Origin, account_stream, address_stream
from events.errors import StoreUnavailable

_TRIES: Final = 10
_AT_ONCE: Final = 60
_PER_SECOND: Final = 1.0
_LEFT_OUT: Final = "left-out"


@dataclass(frozen=True, slots=True)
class Counted:
    """An attempt under one counter.

    Attributes:
        counter: The counter's id.
        free: So many failures cost nothing.
        failures: In a row, this attempt included.
    """

    counter: str
    free: int
    failures: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to log in: how it counts for its name and for its address."""

    name: Counted
    address: Counted


@dataclass(slots=True)
class LoginThrottle:
    """What an attempt must pass before it is looked at.

    An attempt counts before it is looked at, and is taken back if it succeeds: so many at once are no
    faster than one after the other. Names that are no account's count like all others.

    Attributes:
        store: Keeps the counts.
        directory: Logs.
        strangers: Limits the events of names that are no account's, which anybody can make up; those that
            are left out are counted in the next one.
    """

    store: LoginStore
    directory: Directory
    strangers: Budget = field(
        default_factory=lambda: Budget(_AT_ONCE, _PER_SECOND, _AT_ONCE, time.monotonic())
    )
    _left_out: int = 0

    async def enter(self, name: str, origin: Origin) -> Attempt:
        """Count an attempt to log in.

        Raises:
            TooManyAttempts: The name or the address failed too often, of late.
            StoreUnavailable: MongoDB is away.
        """
        by_name = await self._count(name_counter(name), FREE_PER_ACCOUNT)
        try:
            address = address_counter("login", origin.source_address)
            return Attempt(by_name, await self._count(address, FREE_PER_ADDRESS))
        except TooManyAttempts:
            await self.store.forgive(by_name.counter)
            raise

    async def count_signup(self, origin: Origin) -> None:
        """Count that somebody at an address wants an account, which is not taken back; raises as `enter`."""
        await self._count(address_counter("signup", origin.source_address), FREE_PER_ADDRESS)

    async def _count(self, counter: str, free: int) -> Counted:
        for _ in range(_TRIES):
            known = await self.store.attempts(counter)
            now = self.directory.now
            if seconds := seconds_left(known, free, now):
                raise TooManyAttempts("too many attempts failed: wait before the next one", seconds)
            following = counted(known, now)
            if await self.store.count(counter, known, following):
                return Counted(counter, free, following.failures)
        raise StoreUnavailable("MongoDB: too many attempts are counted at once")

    async def withdraw(self, attempt: Attempt) -> None:
        """Take back an attempt that was not looked at."""
        await self.store.forgive(attempt.name.counter)
        await self.store.forgive(attempt.address.counter)

    async def passed(self, attempt: Attempt) -> None:
        """Forget the name's failures; of the address's just this: an own account must not clear the rest."""
        await self.store.forget(attempt.name.counter)
        await self.store.forgive(attempt.address.counter)

    async def reset(self, name: str) -> None:
        """Let the next attempt of a name be looked at, whatever was before."""
        await self.store.forget(name_counter(name))

    async def failed(self, attempt: Attempt, account: Account | None, *, good: bool, origin: Origin) -> None:
        """Log that an attempt failed, and once that it locked the account or the address.

        Args:
            attempt: Which.
            account: Of the name, if there is one. A name without is not logged: it may be a password.
            good: Whether the password was right.
            origin: The request.
        """
        reason = _reason(account, good=good)
        data = {"reason": reason, "failures": str(attempt.name.failures)}
        elsewhere = address_stream(origin.source_address)
        stream = elsewhere if account is None else account_stream(account.name)
        if account is None:
            if not self.strangers.take(time.monotonic()):
                await self._leave_out()
                return
            data["left_out"], self._left_out = str(self._left_out), 0
        await self._log(stream, "account.login_failed", data, origin)
        for counted_, where in ((attempt.name, stream), (attempt.address, elsewhere)):
            if counted_.failures == counted_.free:
                what = "account" if counted_ is attempt.name else "address"
                locked = {"locked": what, "failures": str(counted_.failures)}
                await self._log(where, "account.locked", locked, origin)

    async def _leave_out(self) -> None:
        """Count an event that is not logged: with as much work as an event is, so that time tells nothing."""
        self._left_out += 1
        known = await self.store.attempts(_LEFT_OUT)
        await self.store.count(_LEFT_OUT, known, counted(known, self.directory.now))

    async def _log(self, stream: str, kind: AccountEventType, data: dict[str, str], origin: Origin) -> None:
        await self.directory.account_log.append(self.directory.fact(stream, kind, data, origin))


def _reason(account: Account | None, *, good: bool) -> str:
    if account is None:
        return "no-such-account"
    if not good:
        return "wrong-password"
    return "disabled" if account.disabled else "password-ended"
