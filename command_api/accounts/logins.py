"""Logs accounts in and out and refreshes their tokens; each is an event, and failures cost time."""

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import structlog

from command_api.accounts.answers import LoginTokens, Tokens
from command_api.accounts.directory import Directory
from command_api.accounts.families import Family, RefreshToken, RefreshTokenState, judge, read_token
from command_api.accounts.login_store import LoginStore
from command_api.accounts.login_throttle import LoginThrottle
from command_api.accounts.passwords import normal
from command_api.accounts.store import Account
from events.accounts.errors import InvalidCredentials, PasswordChangeRequired
from events.accounts.event import AccountEventType, Origin, account_stream
from events.errors import Busy, Unauthenticated
from service_kit.auth.roles import Roles
from service_kit.auth.signing import KeyRing
from service_kit.auth.tokens import issue_token

ACCESS_SECONDS: Final = 600
_TRIES: Final = 10
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Issuer:
    """How access tokens are signed.

    Attributes:
        ring: The keys.
        name: Claim `iss`.
        audience: Claim `aud`.
    """

    ring: KeyRing
    name: str
    audience: str


@dataclass(frozen=True, slots=True)
class Logins:
    """Logins and what follows from them.

    Methods raise `StoreUnavailable` when MongoDB is away, and `Busy` when too many hash at once.

    Attributes:
        directory: The accounts.
        store: Keeps refresh tokens.
        throttle: Counts failures.
        issuer: Signs access tokens.
        roles: What accounts may do.
    """

    directory: Directory
    store: LoginStore
    throttle: LoginThrottle
    issuer: Issuer
    roles: Roles

    async def login(
        self, name: str, password: str, new_password: str | None, origin: Origin, device: str | None = None
    ) -> LoginTokens:
        """Return tokens for a name and its password.

        Args:
            name: In normal form.
            password: As given.
            new_password: To be its password from now on, if not None.
            origin: The request.
            device: What an earlier login gave the device that this one comes from.

        Raises:
            TooManyAttempts: As of `LoginThrottle.enter`.
            InvalidCredentials: They do not belong together, the account is disabled, or the password was for
                one login and has waited too long for it.
            PasswordChangeRequired: They do, for once, but there is no new password.
            InvalidFields: The new password is not taken.
        """
        account = await self.directory.find(name)
        attempt = await self.throttle.enter(name, origin, _known(account, device))
        known = account.password if account else None
        try:
            good = await self.directory.hasher.verify(known, normal(password), origin.source_address)
        except Busy:
            # It was not looked at.
            await self.throttle.withdraw(attempt)
            raise
        if account is None or not good or account.disabled or account.is_late(self.directory.now):
            await self.throttle.failed(attempt, account, good=good, origin=origin)
            raise InvalidCredentials("the name and the password do not belong together")
        await self.throttle.passed(attempt, name)
        try:
            account = await self._with_password(account, password, new_password, origin)
        except InvalidCredentials:
            await self.throttle.failed(attempt, account, good=False, origin=origin)
            raise
        if unknown := self.roles.unknown(account.roles):
            # Whose they are is told by `accounts list`: a name may be somebody's address.
            log.warning("an account has roles that are not known here", roles=unknown)
        family, token = self._begin(account)
        await self.store.insert(family)
        await self._tell(account.name, "account.logged_in", family, origin)
        if device is None or _known(account, device) is None:
            device = secrets.token_urlsafe(24)
            await self.directory.store.add_device(account, _digest(device))
        return LoginTokens(**dict(self._tokens(account, token)), device=device)

    async def _with_password(
        self, account: Account, password: str, new_password: str | None, origin: Origin
    ) -> Account:
        """Return the account with the password that it has from now on."""
        account = await self.directory.told(account)
        if new_password is None:
            if account.must_change:
                raise PasswordChangeRequired("this password is good for once: send new_password with it")
            if self.directory.hasher.is_outdated(account.password):
                with suppress(Busy):
                    await self.directory.renew_hash(account, normal(password), origin)
            return account
        return await self.directory.change_password(
            account, new_password, replace(origin, actor=account.name)
        )

    def _begin(self, account: Account) -> tuple[Family, RefreshToken]:
        """Return a new family and its first token."""
        token = RefreshToken(secrets.token_urlsafe(16), secrets.token_hex(32))
        now = self.directory.now
        key = secrets.token_bytes(32)
        family = Family(
            token.family_id, account.name, account.epoch, key, token.digest, None, now, now, revoked=False
        )
        return family, token

    async def refresh(self, text: str, origin: Origin) -> Tokens:
        """Return tokens for a refresh token: it is exchanged, unless that has been done a moment ago.

        Raises:
            Unauthenticated: It is not good any more, or its account is not.
        """
        token = read_token(text)
        if token is None:
            raise _over()
        for _ in range(_TRIES):
            family = await self.store.find(token.family_id)
            now = self.directory.now
            verdict = judge(family, token, now)
            if family is None or verdict is RefreshTokenState.NOTHING:
                break
            account = await self.directory.find(family.account)
            if account is None or account.disabled or account.epoch != family.epoch:
                break
            if verdict is RefreshTokenState.REUSED:
                if await self.store.revoke(family):
                    await self._tell(account.name, "account.refresh_reused", family, origin)
                break
            if verdict is RefreshTokenState.REPEAT:
                return self._tokens(account, family.newest(token))
            if await self.store.exchange(family, family.exchanged(token, now)):
                return self._tokens(account, token.successor(family.key))
        raise _over()

    async def logout(self, text: str, origin: Origin) -> None:
        """End the family of a refresh token; a token that is not good is none to end (RFC 7009)."""
        token = read_token(text)
        family = await self.store.find(token.family_id) if token else None
        if token is None or family is None:
            return
        lately = [one.digest for one in family.lately(self.directory.now)]
        if token.digest not in (family.current, family.previous, *lately):
            return
        if await self.store.revoke(family):
            await self._tell(family.account, "account.logged_out", family, origin)

    def _tokens(self, account: Account, refresh: RefreshToken) -> Tokens:
        """Return what a client is given (RFC 6749, section 5.1)."""
        scopes = self.roles.scopes_of(account.roles)
        signer = self.issuer.ring.signer
        access = issue_token(
            key=signer.private,
            algorithm=signer.algorithm,
            kid=signer.kid,
            issuer=self.issuer.name,
            audience=self.issuer.audience,
            subject=account.name,
            scopes=scopes,
            ttl_seconds=ACCESS_SECONDS,
        )
        return Tokens(
            access_token=access,
            token_type="Bearer",  # noqa: S106 - no password
            expires_in=ACCESS_SECONDS,
            refresh_token=str(refresh),
            scope=" ".join(scopes),
        )

    async def _tell(self, name: str, kind: AccountEventType, family: Family, origin: Origin) -> None:
        """Log what became of a family, which is named by a hash: its id is a part of its tokens."""
        data = {"session": sha256(family.family_id.encode()).hexdigest()[:16]}
        fact = self.directory.fact(account_stream(name), kind, data, replace(origin, actor=name))
        await self.directory.account_log.append(fact)


def _known(account: Account | None, device: str | None) -> str | None:
    """Return the digest of a device, if an account knows that."""
    if account is None or device is None:
        return None
    digest = _digest(device)
    return digest if digest in account.devices else None


def _digest(device: str) -> str:
    return sha256(device.encode()).hexdigest()


def _over() -> Unauthenticated:
    return Unauthenticated("the refresh token is not good any more: log in")
