"""Counts login attempts, makes those wait that fail often, and records failures as events."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from command_api.accounts.attempts import (
    FREE,
    FREE_LOGINS,
    FREE_PER_ADDRESS,
    FREE_PER_NAME,
    LOGINS_FADE,
    NAME_FADES,
    Budget,
    Limit,
)
from command_api.accounts.directory import Directory
from command_api.accounts.login_store import LoginStore, address_counter, device_counter, name_counter
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
        limit: The counter's.
        failures: That count, this attempt included.
    """

    limit: Limit
    failures: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to log in, as it is counted.

    Attributes:
        own: With others that are surely of the same client: from its device, or its address.
        more: By its name alone, and by its address alone; a known device has no part in these.
    """

    own: Counted
    more: tuple[Counted, ...]


@dataclass(slots=True)
class LoginThrottle:
    """What an attempt must pass before it is looked at.

    An attempt counts before it is looked at, and is taken back if it succeeds: so many at once are no
    faster than one after the other. Names that are no account's count like all others. One that must wait
    is not counted, so it costs reads alone.

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

    async def enter(self, name: str, origin: Origin, device: str | None = None) -> Attempt:
        """Count an attempt to log in.

        Args:
            name: The account's, or one that is none's.
            origin: The request.
            device: Digest of the device that it comes from, if the account knows that.

        Raises:
            TooManyAttempts: The device, the account at the address, or either of them failed too often, or
                the account logged in too often, of late.
            StoreUnavailable: MongoDB is away.
        """
        address = address_counter("login", origin.source_address)
        own = Limit(name_counter(name, origin.source_address), "account-at-address", FREE)
        limits = [
            own,
            Limit(name_counter(name), "account", FREE_PER_NAME, NAME_FADES),
            Limit(address, "address", FREE_PER_ADDRESS),
        ]
        if device is not None:
            limits = [Limit(device_counter(device), "device", FREE)]
        await self._check([*limits, _logins(name)])
        counted: list[Counted] = []
        try:
            for limit in limits:
                counted.append(await self._count(limit))  # noqa: PERF401 - what was counted is taken back
        except TooManyAttempts:
            await self._forgive(counted)
            raise
        return Attempt(counted[0], tuple(counted[1:]))

    async def count_signup(self, origin: Origin) -> None:
        """Count that somebody at an address wants an account, which is not taken back; raises as `enter`."""
        counter = address_counter("signup", origin.source_address)
        await self._count(Limit(counter, "address", FREE_PER_ADDRESS))

    async def _check(self, limits: Sequence[Limit]) -> None:
        """Return if none of the counters makes an attempt wait; nothing is written."""
        known = await self.store.attempts(*(limit.counter for limit in limits))
        now = self.directory.now
        if seconds := max(limit.seconds_left(known.get(limit.counter), now) for limit in limits):
            raise _too_many(seconds)

    async def _count(self, limit: Limit) -> Counted:
        for _ in range(_TRIES):
            known = (await self.store.attempts(limit.counter)).get(limit.counter)
            now = self.directory.now
            if seconds := limit.seconds_left(known, now):
                raise _too_many(seconds)
            following = limit.counted(known, now)
            if await self.store.count(limit.counter, known, following):
                return Counted(limit, following.failures)
        raise StoreUnavailable("MongoDB: too many attempts are counted at once")

    async def withdraw(self, attempt: Attempt) -> None:
        """Take back an attempt that was not looked at."""
        await self._forgive([attempt.own, *attempt.more])

    async def _forgive(self, counted: Sequence[Counted]) -> None:
        for one in counted:
            await self.store.forgive(one.limit.counter)

    async def passed(self, attempt: Attempt, name: str) -> None:
        """Count a login, and forget the failures of its client; of name and address just this attempt.

        An own account must not clear what else failed from its address, nor its owner what strangers tried.
        """
        await self.store.forget(attempt.own.limit.counter)
        await self._forgive(attempt.more)
        with suppress(TooManyAttempts):  # others were counted meanwhile: the next one waits
            await self._count(_logins(name))

    async def reset(self, name: str) -> None:
        """Let the next attempt of a name be looked at, wherever it comes from and whatever was before."""
        await self.store.forget_all(name_counter(name))

    async def failed(self, attempt: Attempt, account: Account | None, *, good: bool, origin: Origin) -> None:
        """Log that an attempt failed, and once that it makes others wait.

        Args:
            attempt: Which.
            account: Of the name, if there is one. A name without is not logged: it may be a password.
            good: Whether the password was right.
            origin: The request.
        """
        reason = _reason(account, good=good)
        data = {"reason": reason, "failures": str(attempt.own.failures)}
        elsewhere = address_stream(origin.source_address)
        stream = elsewhere if account is None else account_stream(account.name)
        if account is None:
            if not self.strangers.take(time.monotonic()):
                await self._leave_out()
                return
            data["left_out"], self._left_out = str(self._left_out), 0
        await self._log(stream, "account.login_failed", data, origin)
        for one in (attempt.own, *attempt.more):
            if one.failures == one.limit.free:
                where = elsewhere if one.limit.what == "address" else stream
                locked = {"locked": one.limit.what, "failures": str(one.failures)}
                await self._log(where, "account.locked", locked, origin)

    async def _leave_out(self) -> None:
        """Count an event that is not logged: with as much work as an event is, so that time tells nothing."""
        self._left_out += 1
        known = (await self.store.attempts(_LEFT_OUT)).get(_LEFT_OUT)
        limit = Limit(_LEFT_OUT, "address", 0)
        await self.store.count(_LEFT_OUT, known, limit.counted(known, self.directory.now))

    async def _log(self, stream: str, kind: AccountEventType, data: dict[str, str], origin: Origin) -> None:
        await self.directory.account_log.append(self.directory.fact(stream, kind, data, origin))


def _reason(account: Account | None, *, good: bool) -> str:
    if account is None:
        return "no-such-account"
    if not good:
        return "wrong-password"
    return "disabled" if account.disabled else "password-ended"


def _logins(name: str) -> Limit:
    return Limit(f"{name_counter(name)}:logins", "logins", FREE_LOGINS, LOGINS_FADE)


def _too_many(seconds: int) -> TooManyAttempts:
    return TooManyAttempts("too many attempts, of late: wait before the next one", seconds)
