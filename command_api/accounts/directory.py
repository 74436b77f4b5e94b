"""Creates, changes and disables accounts, each with its event."""

import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from command_api.accounts.account_log import AccountLog
from command_api.accounts.hashing import Hasher
from command_api.accounts.passwords import check_password, normal
from command_api.accounts.store import Account, AccountStore, Invitation
from events.accounts.errors import AccountExists, AccountNotFound, InvalidCredentials, InvalidInvitation
from events.accounts.event import AccountEventType, AccountFact, Origin, account_stream, invitation_stream
from events.errors import StoreUnavailable
from events.times import rfc3339, to_milliseconds

INVITATION_LIFE: Final = timedelta(days=7)
ONE_TIME_LIFE: Final = timedelta(hours=24)
"""So long the password for a first login waits for it."""
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Directory:
    """Changes of accounts.

    Methods raise `StoreUnavailable` when MongoDB is away, `Busy` when too many hash at once, and
    `AccountNotFound` where an account is wanted.

    Attributes:
        store: Keeps them.
        account_log: Tells of them.
        hasher: Hashes passwords.
        clock: Tells the time, UTC.
        new_id: Makes ids.
    """

    store: AccountStore
    account_log: AccountLog
    hasher: Hasher
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    @property
    def now(self) -> datetime:
        """The time, in whole milliseconds."""
        return to_milliseconds(self.clock())

    async def get(self, name: str) -> Account:
        """Return an account, all of whose events are in the log.

        Raises:
            AccountNotFound: There is none.
        """
        account = await self.find(name)
        if account is None:
            raise AccountNotFound(f"there is no account {name}")
        return await self.told(account)

    async def find(self, name: str) -> Account | None:
        """Return the account of a name, once it has come to be."""
        account = await self.store.find(name)
        return None if account is None else await self._come_to_be(account)

    async def all(self) -> list[Account]:
        """Return all accounts in order of name, all of whose events are in the log."""
        found = [await self._come_to_be(account) for account in await self.store.all()]
        return [await self.told(account) for account in found if account is not None]

    async def _come_to_be(self, account: Account) -> Account | None:
        """Return an account, unless it awaits an invitation that is not used for it; the answer is kept."""
        if account.awaits is None:
            return account
        invitation = await self.store.find_invitation(account.awaits)
        if invitation is None or invitation.used_by != account.name:
            return None
        await self.store.change(account, {"awaits": None})
        return await self.store.find(account.name)

    async def create(
        self,
        name: str,
        password: str,
        roles: Sequence[str],
        origin: Origin,
        *,
        must_change: bool = False,
        invitation: Invitation | None = None,
    ) -> Account:
        """Make an account.

        Args:
            name: In normal form.
            password: Checked already, or made by us.
            roles: Its roles.
            origin: Who makes it.
            must_change: Whether the password is good for one login.
            invitation: Of which it comes, and which is used then.

        Raises:
            AccountExists: The name is taken; the invitation stays good.
            InvalidInvitation: Another account came of it meanwhile.
        """
        invitation_id = None if invitation is None else invitation.invitation_id
        now = self.now
        ends_at = now + ONE_TIME_LIFE if must_change else None
        data = {"roles": " ".join(roles), "invitation": invitation_id, **_told(ends_at)}
        account = Account(
            name=name,
            password=await self.hasher.hash(normal(password), origin.source_address),
            roles=tuple(roles),
            disabled=False,
            must_change=must_change,
            epoch=1,
            revision=1,
            created_at=now,
            pending=(self.fact(account_stream(name), "account.created", data, origin),),
            password_ends_at=ends_at,
            awaits=invitation_id,
        )
        if not await self._insert(account):
            raise AccountExists(f"the name {name} is taken")
        # Only now: whoever is cut off before leaves an invitation that is good, and after, an account.
        if invitation_id is not None and not await self.store.use_invitation(invitation_id, name):
            raise InvalidInvitation("the invitation was used")
        return await self.get(name)

    async def _insert(self, account: Account) -> bool:
        """Keep an account, also in place of one that cannot come to be; return False if the name is taken."""
        if await self.store.insert(account):
            return True
        there = await self.store.find(account.name)
        if there is None or there.awaits is None:
            return False
        if there.awaits != account.awaits:
            other = await self.store.find_invitation(there.awaits)
            if other is not None and other.may_be_of(there.name, self.now):
                return False
        return await self.store.replace(there, account)

    async def set_roles(self, name: str, roles: Sequence[str], origin: Origin) -> Account:
        """Give an account these roles and no others; tokens have them from the next refresh on."""

        def change(account: Account) -> tuple[dict[str, Any], dict[str, str | None]]:
            told: dict[str, str | None] = {"roles": " ".join(roles), "before": " ".join(account.roles)}
            return {"roles": list(roles)}, told

        return await self._change(name, "account.roles_set", change, origin)

    async def set_disabled(self, name: str, origin: Origin, *, disabled: bool) -> Account:
        """Let an account do nothing from its next refresh on, or do again what it did."""
        kind: AccountEventType = "account.disabled" if disabled else "account.enabled"

        def change(account: Account) -> tuple[dict[str, Any], dict[str, str | None]]:
            return {"disabled": disabled, "epoch": account.epoch + disabled}, {}

        return await self._change(name, kind, change, origin)

    async def reset_password(self, name: str, password: str, origin: Origin, *, must_change: bool) -> Account:
        """Give an account another password; its refresh tokens end.

        Args:
            name: Whose.
            password: Checked already, or made by us.
            origin: Who does it.
            must_change: Whether it is good for one login.
        """
        hashed = await self.hasher.hash(normal(password), origin.source_address)
        ends_at = self.now + ONE_TIME_LIFE if must_change else None

        def change(account: Account) -> tuple[dict[str, Any], dict[str, str | None]]:
            values = {"password": hashed, "must_change": must_change, "epoch": account.epoch + 1}
            return {**values, "password_ends_at": ends_at, "devices": []}, _told(ends_at)

        return await self._change(name, "account.password_reset", change, origin)

    async def change_password(self, known: Account, password: str, origin: Origin) -> Account:
        """Let an owner, whose password was just verified, have another one; refresh tokens end.

        Raises:
            InvalidFields: The password is not taken.
            InvalidCredentials: The verified one was changed meanwhile: what is good once is good once.
        """
        await self.check(password, known.name, "new_password", origin)
        hashed = await self.hasher.hash(normal(password), origin.source_address)

        def change(account: Account) -> tuple[dict[str, Any], dict[str, str | None]]:
            if account.password != known.password:
                raise InvalidCredentials("the name and the password do not belong together")
            values = {"password": hashed, "must_change": False, "epoch": account.epoch + 1}
            return {**values, "password_ends_at": None, "devices": []}, {}

        return await self._change(known.name, "account.password_changed", change, origin)

    async def renew_hash(self, account: Account, password: str, origin: Origin) -> None:
        """Hash the same password anew, with the present parameters; nobody notices if it fails."""
        hashed = await self.hasher.hash(password, origin.source_address)
        await self.store.change(account, {"password": hashed})

    async def check(self, password: str, name: str, field: str, origin: Origin) -> None:
        """Return if an account may have a password.

        Raises:
            InvalidFields: It may not.
        """
        await self.hasher.run(lambda: check_password(normal(password), name, field), origin.source_address)

    async def invite(self, roles: Sequence[str], life: timedelta, origin: Origin) -> str:
        """Return an invitation to make one account with these roles."""
        invitation_id, secret = self.new_id(), secrets.token_urlsafe(24)
        invitation = Invitation(invitation_id, _digest(secret), tuple(roles), self.now + life)
        await self.store.insert_invitation(invitation)
        data = {"roles": " ".join(roles), "expires_at": rfc3339(invitation.expires_at)}
        stream = invitation_stream(invitation_id)
        await self.account_log.append(self.fact(stream, "account.invited", data, origin))
        return f"{invitation_id}.{secret}"

    async def create_invited(self, text: str, name: str, password: str, origin: Origin) -> Account:
        """Make the account that an invitation is for, which is used then.

        Raises:
            InvalidInvitation: It is not known, was used, or is over.
            AccountExists: The name is taken; the invitation stays good.
        """
        invitation_id, _, secret = text.partition(".")
        invitation = await self.store.find_invitation(invitation_id)
        good = invitation is not None and hmac.compare_digest(invitation.digest, _digest(secret))
        if invitation is None or not good or not invitation.may_be_of(name, self.now):
            raise InvalidInvitation("the invitation is not known, was used, or is over")
        return await self.create(name, password, invitation.roles, origin, invitation=invitation)

    async def told(self, account: Account) -> Account:
        """Bring into the log what waits in an account; return the account without it."""
        for fact in account.pending:
            await self.account_log.append(fact)
            await self.store.forget_pending(account, fact)
        return replace(account, pending=())

    def fact(
        self, stream: str, kind: AccountEventType, data: Mapping[str, str | None], origin: Origin
    ) -> AccountFact:
        """Return a fact of now."""
        return AccountFact(stream, kind, data, self.new_id(), self.now, origin)

    async def _change(
        self,
        name: str,
        kind: AccountEventType,
        change: Callable[[Account], tuple[dict[str, Any], dict[str, str | None]]],
        origin: Origin,
    ) -> Account:
        """Change an account, whoever else does so meanwhile: what is changed is what it then is."""
        for _ in range(_TRIES):
            account = await self.get(name)
            values, data = change(account)
            fact = self.fact(account_stream(name), kind, data, origin)
            if await self.store.change(account, values, [fact]):
                return await self.get(name)
        raise StoreUnavailable("MongoDB: an account keeps changing")


def _told(ends_at: datetime | None) -> dict[str, str | None]:
    """Return what an event tells of a password: whether it was for one login, and until when."""
    if ends_at is None:
        return {"must_change": "false", "password_ends_at": None}
    return {"must_change": "true", "password_ends_at": rfc3339(ends_at)}


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
