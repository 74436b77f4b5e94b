"""Owns putting the parts that keep accounts together, for the command API and for the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from command_api.accounts.directory import Directory
from command_api.accounts.gate import Gate
from command_api.accounts.hashing import Hasher
from command_api.accounts.journal import Journal
from command_api.accounts.routes import Accounts
from command_api.accounts.session_store import SessionStore
from command_api.accounts.sessions import Issuer, Sessions
from command_api.accounts.store import AccountStore
from service_kit import mongo
from service_kit.ids import new_id
from service_kit.settings import Settings
from service_kit.signing import KeyRing


@dataclass(frozen=True, slots=True)
class Desk:
    """What changes accounts, and what is open for that.

    Attributes:
        directory: The accounts.
        gate: Counts attempts.
        client: Of MongoDB; connects when first used.
    """

    directory: Directory
    gate: Gate
    client: Any

    async def close(self) -> None:
        """Let threads and connections go."""
        self.directory.hasher.close()
        await mongo.close(self.client)


def open_desk(settings: Settings, clock: Callable[[], datetime]) -> Desk:
    """Return what changes accounts; belongs to the loop that is running.

    Args:
        settings: Where MongoDB is.
        clock: Tells the time, UTC.
    """
    client = mongo.connect(settings, "rollcall-accounts")
    name = settings.mongo_db
    journal = Journal(client, name, clock, new_id)
    directory = Directory(AccountStore(client, name), journal, Hasher(), clock, new_id)
    return Desk(directory, Gate(SessionStore(client, name), directory), client)


@dataclass(frozen=True, slots=True)
class AccountsKept:
    """What the command API's routes need, and how it is closed."""

    accounts: Accounts
    desk: Desk

    async def close(self) -> None:
        """Let threads and connections go."""
        await self.desk.close()


def keep_accounts(
    settings: Settings, ring: KeyRing | None, clock: Callable[[], datetime]
) -> AccountsKept | None:
    """Return what the routes need; None where no accounts are kept: without own keys, or without MongoDB."""
    if ring is None or settings.mongo_uri is None:
        return None
    desk = open_desk(settings, clock)
    issuer = Issuer(ring, settings.jwt_issuer, settings.jwt_audience)
    sessions = Sessions(desk.directory, desk.gate.store, desk.gate, issuer)
    accounts = Accounts(desk.directory, desk.gate, sessions, settings.signup, settings.signup_role)
    return AccountsKept(accounts, desk)
