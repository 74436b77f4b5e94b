"""Accounts and invitations in MongoDB: reads, and guarded writes.

An account's change and the event that tells of it are one write: the event waits in the account's document
until it is in the log. The name is the document's id, so it is unique, and every write asks one shard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from events.accounts.event import AccountFact, Origin
from service_kit.mongo.connection import Client, store_errors, writing

_MOST_DEVICES: Final = 20
"""That an account knows at once."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is kept.

    Attributes:
        name: Its name, in normal form.
        password: Hash of the password, in argon2's own form.
        roles: Its roles.
        disabled: Whether it may do nothing.
        must_change: Whether the password is good for the next login alone.
        epoch: Grows when all its refresh tokens end.
        revision: Grows with every change.
        created_at: UTC.
        pending: What is not in the log yet.
        password_ends_at: Until when a password for one login is good, UTC; None for a lasting one.
        awaits: The invitation of which it is to come; until that is used for it, there is no such account.
            None once it is, and of all others.
        devices: SHA-256 of what its devices are known by, hexadecimal; the newest is the last.
    """

    name: str
    password: str
    roles: tuple[str, ...]
    disabled: bool
    must_change: bool
    epoch: int
    revision: int
    created_at: datetime
    pending: tuple[AccountFact, ...]
    devices: tuple[str, ...] = ()
    password_ends_at: datetime | None = None
    awaits: str | None = None

    def is_late(self, now: datetime) -> bool:
        """Return whether its password was for one login that did not come in time.

        Accounts of before have no time to go by: nobody knows how old such a password is.
        """
        return self.must_change and (self.password_ends_at is None or now >= self.password_ends_at)


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation as it is kept.

    Attributes:
        invitation_id: Its id.
        digest: SHA-256 of its secret.
        roles: Of the account that it makes.
        expires_at: UTC.
        used_by: The name for which it is used; None while it is good.
    """

    invitation_id: str
    digest: str
    roles: tuple[str, ...]
    expires_at: datetime
    used_by: str | None = None

    def may_be_of(self, name: str, now: datetime) -> bool:
        """Return whether an account of a name may still come of it, or has."""
        return self.used_by == name or (self.used_by is None and now < self.expires_at)


class AccountStore:
    """The collections `accounts` and `invitations`.

    Every method raises `StoreUnavailable` when MongoDB is away.

    Args:
        client: A client of either driver.
        database: Database name.
    """

    def __init__(self, client: Client, database: str) -> None:
        collections = writing(client, database)
        self._accounts = collections["accounts"]
        self._invitations = collections["invitations"]

    async def find(self, name: str) -> Account | None:
        """Return the account of a name."""
        with store_errors():
            document = await self._accounts.find_one({"_id": name})
        return None if document is None else _account(document)

    async def all(self) -> list[Account]:
        """Return all accounts in order of name."""
        with store_errors():
            found = await self._accounts.find({}, sort=[("_id", 1)]).to_list(None)
        return list(map(_account, found))

    async def insert(self, account: Account) -> bool:
        """Keep a new account; return False if the name is taken."""
        try:
            with store_errors():
                await self._accounts.insert_one(_document(account))
        except DuplicateKeyError:
            return False
        return True

    async def replace(self, before: Account, after: Account) -> bool:
        """Keep an account in place of one that has not come to be; return False if it is another by now."""
        values = _document(after)
        del values["_id"], values["revision"]
        guard = {"_id": before.name, "revision": before.revision, "awaits": before.awaits}
        with store_errors():
            result = await self._accounts.update_one(guard, {"$set": values, "$inc": {"revision": 1}})
        return bool(result.matched_count)

    async def change(
        self, account: Account, values: Mapping[str, Any], facts: Sequence[AccountFact] = ()
    ) -> bool:
        """Set values of an account, and leave facts to be logged; return False if it is another by now."""
        update: dict[str, Any] = {"$set": dict(values), "$inc": {"revision": 1}}
        if facts:
            update["$push"] = {"pending": {"$each": [asdict(fact) for fact in facts]}}
        guard = {"_id": account.name, "revision": account.revision}
        with store_errors():
            result = await self._accounts.update_one(guard, update)
        return bool(result.matched_count)

    async def add_device(self, account: Account, device: str) -> None:
        """Let an account know another device; of too many, the oldest is not known any more."""
        newest = {"$each": [device], "$slice": -_MOST_DEVICES}
        with store_errors():
            await self._accounts.update_one({"_id": account.name}, {"$push": {"devices": newest}})

    async def forget_pending(self, account: Account, fact: AccountFact) -> None:
        """Forget a fact that is in the log."""
        with store_errors():
            await self._accounts.update_one(
                {"_id": account.name}, {"$pull": {"pending": {"fact_id": fact.fact_id}}}
            )

    async def insert_invitation(self, invitation: Invitation) -> None:
        """Keep a new invitation."""
        document = asdict(invitation)
        document["_id"] = document.pop("invitation_id")
        document["roles"] = list(invitation.roles)
        with store_errors():
            await self._invitations.insert_one(document)

    async def find_invitation(self, invitation_id: str) -> Invitation | None:
        """Return an invitation, used or not."""
        with store_errors():
            found = await self._invitations.find_one({"_id": invitation_id})
        if found is None:
            return None
        roles = tuple(found["roles"])
        return Invitation(found["_id"], found["digest"], roles, found["expires_at"], found["used_by"])

    async def use_invitation(self, invitation_id: str, name: str) -> bool:
        """Use an invitation for a name; return False if somebody else did."""
        guard = {"_id": invitation_id, "used_by": {"$in": [None, name]}}
        with store_errors():
            result = await self._invitations.update_one(guard, {"$set": {"used_by": name}})
        return bool(result.matched_count)


def _document(account: Account) -> dict[str, Any]:
    document = asdict(account)
    document["_id"] = document.pop("name")
    document["roles"] = list(account.roles)
    document["pending"] = list(document["pending"])
    document["devices"] = list(account.devices)
    return document


def _account(document: Mapping[str, Any]) -> Account:
    pending = tuple(
        AccountFact(**{**fact, "origin": Origin(**fact["origin"])}) for fact in document["pending"]
    )
    return Account(
        name=document["_id"],
        password=document["password"],
        roles=tuple(document["roles"]),
        disabled=document["disabled"],
        must_change=document["must_change"],
        epoch=document["epoch"],
        revision=document["revision"],
        created_at=document["created_at"],
        pending=pending,
        password_ends_at=document.get("password_ends_at"),
        awaits=document.get("awaits"),
        devices=tuple(document.get("devices", ())),
    )
