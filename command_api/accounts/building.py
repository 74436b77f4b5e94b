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
from service_kit.ids import new_id
from service_kit.settings import Settings
from service_kit.signing import KeyRing


@dataclass(frozen=True, slots=True)
class Desk:
    """What changes accounts.

    Attributes:
        directory: The accounts.
        gate: Counts attempts.
    """

    directory: Directory
    gate: Gate


def open_desk(client: Any, database: str, clock: Callable[[], datetime]) -> Desk:
    """Return what changes accounts; belongs to the loop that is running.

    Args:
        client: Of MongoDB, of either driver; connects when first used.
        database: Database name.
        clock: Tells the time, UTC.
    """
    journal = Journal(client, database, clock, new_id)
    directory = Directory(AccountStore(client, database), journal, Hasher(), clock, new_id)
    return Desk(directory, Gate(SessionStore(client, database), directory))


def keep_accounts(
    settings: Settings, client: Any | None, ring: KeyRing | None, clock: Callable[[], datetime]
) -> Accounts | None:
    """Return what the routes need; None where no accounts are kept: without own keys, or without MongoDB."""
    if ring is None or client is None:
        return None
    desk = open_desk(client, settings.mongo_db, clock)
    issuer = Issuer(ring, settings.jwt_issuer, settings.jwt_audience)
    sessions = Sessions(desk.directory, desk.gate.store, desk.gate, issuer)
    return Accounts(desk.directory, desk.gate, sessions, settings.signup, settings.signup_role)
