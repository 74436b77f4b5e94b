"""Puts the parts that keep accounts together, for the command API and for the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from command_api.accounts.account_log import AccountLog
from command_api.accounts.directory import Directory
from command_api.accounts.hashing import Hasher
from command_api.accounts.login_store import LoginStore
from command_api.accounts.login_throttle import LoginThrottle
from command_api.accounts.logins import Issuer, Logins
from command_api.accounts.routes import Accounts
from command_api.accounts.store import AccountStore
from service_kit.auth.roles import ADMIN, Roles
from service_kit.auth.signing import KeyRing
from service_kit.ids import new_id
from service_kit.mongo.connection import Client
from service_kit.settings import Settings


@dataclass(frozen=True, slots=True)
class AccountServices:
    """What changes accounts.

    Attributes:
        directory: The accounts.
        throttle: Counts attempts.
    """

    directory: Directory
    throttle: LoginThrottle


def open_account_services(client: Client, database: str, clock: Callable[[], datetime]) -> AccountServices:
    """Return what changes accounts; belongs to the loop that is running.

    Args:
        client: Of MongoDB, of either driver; connects when first used.
        database: Database name.
        clock: Tells the time, UTC.
    """
    account_log = AccountLog(client, database, clock, new_id)
    directory = Directory(AccountStore(client, database), account_log, Hasher(), clock, new_id)
    return AccountServices(directory, LoginThrottle(LoginStore(client, database), directory))


def keep_accounts(
    settings: Settings,
    client: Client | None,
    ring: KeyRing | None,
    clock: Callable[[], datetime],
    roles: Roles,
) -> Accounts | None:
    """Return what the routes need; None where no accounts are kept: without own keys, or without MongoDB.

    Args:
        settings: Of the tokens, and who may sign up.
        client: Of MongoDB.
        ring: The keys that sign.
        clock: Tells the time, UTC.
        roles: Those that accounts may have.

    Raises:
        SystemExit: Those who sign up would have a role that is unknown, or every scope.
    """
    if ring is None or client is None:
        return None
    if settings.signup_role == ADMIN or roles.unknown((settings.signup_role,)):
        known = " ".join(role for role in roles.by_name if role != ADMIN)
        raise SystemExit(f"cannot start: ROLLCALL_SIGNUP_ROLE: choose from {known}")
    services = open_account_services(client, settings.mongo_db, clock)
    issuer = Issuer(ring, settings.jwt_issuer, settings.jwt_audience)
    logins = Logins(services.directory, services.throttle.store, services.throttle, issuer, roles)
    return Accounts(services.directory, services.throttle, logins, settings.signup, settings.signup_role)
