"""The verbs that make and change accounts, and add a signing key; a password is never an argument."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from command_api.accounts.directory import INVITATION_LIFE, ONE_TIME_LIFE
from command_api.accounts.passwords import one_time_password
from command_api.accounts.services import AccountServices, open_account_services
from command_api.accounts.store import Account
from events.accounts.errors import AccountExists
from events.accounts.event import Origin, account_name, new_account_name
from events.errors import RollcallError
from operations.accounts.signing_keys import add_signing_key
from operations.addresses import database_settings, known_roles, signing_keys
from operations.errors import SetupError
from operations.terminal import print_progress, print_result, short_path, user_name
from operations.tokens.access import seconds
from operations.tokens.verb import checked
from service_kit.auth.roles import Roles
from service_kit.mongo import connection as mongo
from service_kit.settings import Settings

FIRST: Final = "admin"
_HOURS: Final = ONE_TIME_LIFE // timedelta(hours=1)
_Options = Mapping[str, Callable[[argparse.ArgumentParser], Any]]
Action = Callable[[AccountServices, argparse.Namespace, Origin], Awaitable[None]]


def add_accounts(parser: argparse.ArgumentParser) -> None:
    """Options of `accounts`."""
    words = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    options: _Options = {**_OPTIONS, "roles": partial(_add_roles, known_roles())}

    def verb(name: str, summary: str, *its: str) -> None:
        own = words.add_parser(name, help=summary, description=summary)
        for option in its:
            options[option](own)

    verb("add", "make an account, and print its one-time password", "new-name", "roles", "stdin")
    verb("list", "show all accounts")
    verb("set-roles", "give an account these roles and no others", "name", "roles")
    verb("disable", "let an account do nothing from its next refresh on", "name")
    verb("enable", "let a disabled account log in again", "name")
    verb("reset-password", "give an account a one-time password, and print it", "name", "stdin")
    verb("invite", "print an invitation to make an account", "roles", "ttl")
    verb("rotate-key", "add a signing key; the others go on verifying")


def _add_roles(roles: Roles, parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--roles",
        type=checked(roles.known_roles),
        required=True,
        metavar="LIST",
        help=f"some of: {' '.join(roles.by_name)}",
    )


_OPTIONS: Final[_Options] = {
    "name": lambda parser: parser.add_argument("name", type=checked(account_name), metavar="NAME"),
    "new-name": lambda parser: parser.add_argument("name", type=checked(new_account_name), metavar="NAME"),
    "stdin": lambda parser: parser.add_argument(
        "--stdin", action="store_true", help="read the password from standard input; it stays good"
    ),
    "ttl": lambda parser: parser.add_argument(
        "--ttl",
        type=checked(seconds),
        default=f"{INVITATION_LIFE.days}d",
        metavar="TIME",
        help="how long it is good: 15m, 12h, 7d (default: 7d)",
    ),
}


def accounts(options: argparse.Namespace) -> int:
    """Do what is asked for."""
    if options.action == "rotate-key":
        algorithm = os.environ.get("ROLLCALL_JWT_ALGORITHM") or "EdDSA"
        path = add_signing_key(signing_keys(), datetime.now(UTC), algorithm)
        print_progress(f"Wrote {short_path(path)}: it is published at once, and signs in a minute.")
        return 0
    action = _ACTIONS[options.action]
    _run(database_settings(), lambda services: action(services, options, _me()))
    return 0


def first_administrator(environment: Mapping[str, str]) -> str | None:
    """Make the account `admin` if there is no account at all.

    Args:
        environment: The services'.

    Returns:
        Its one-time password; None if it was not made.
    """
    if not environment.get("ROLLCALL_SIGNING_KEYS"):
        return None
    passwords: list[str] = []

    async def make(services: AccountServices) -> None:
        if not await services.directory.all():
            password = one_time_password()
            origin = Origin("operator:up")
            await services.directory.create(FIRST, password, ("admin",), origin, must_change=True)
            passwords.append(password)

    _run(database_settings(environment), make)
    return passwords[0] if passwords else None


def _run(settings: Settings, work: Callable[[AccountServices], Awaitable[None]]) -> None:
    """Do some work with accounts, and close what it needed.

    Raises:
        SetupError: It is refused, or MongoDB is away.
    """

    async def run() -> None:
        client = mongo.connect(settings, "rollcall-accounts")
        services = open_account_services(client, settings.mongo_db, lambda: datetime.now(UTC))
        try:
            await work(services)
        finally:
            services.directory.hasher.close()
            await mongo.close(client)

    try:
        asyncio.run(run())
    except RollcallError as exc:
        reasons = "".join(f" ({one['reason']})" for one in getattr(exc, "errors", ()))
        raise SetupError(f"{exc.detail[:1].upper()}{exc.detail[1:]}{reasons}.") from exc


def _me() -> Origin:
    return Origin(f"operator:{user_name()}", user_agent="rollcall accounts")


async def _password(
    services: AccountServices, options: argparse.Namespace, origin: Origin
) -> tuple[str, bool]:
    """Return a password, and whether it is good for one login."""
    if not options.stdin:
        return one_time_password(), True
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    await services.directory.check(password, options.name, "password", origin)
    return password, False


async def _add(services: AccountServices, options: argparse.Namespace, origin: Origin) -> None:
    password, once = await _password(services, options, origin)
    try:
        await services.directory.create(options.name, password, options.roles, origin, must_change=once)
    except AccountExists as exc:
        verb = f"{options.program} accounts"
        raise SetupError(
            f"There is an account {options.name} already. If its password is lost, "
            f"`{verb} reset-password {options.name}` gives it another; `{verb} list` shows all accounts."
        ) from exc
    _tell(f"Made {options.name} ({' '.join(options.roles)}).", password if once else None)


async def _list(services: AccountServices, _options: argparse.Namespace, _origin: Origin) -> None:
    accounts = await services.directory.all()
    for account in accounts:
        print_result(f"{account.name}\t{' '.join(account.roles)}\t{_state(account)}")


def _state(account: Account) -> str:
    if account.disabled:
        return "disabled"
    if account.is_late(datetime.now(UTC)):
        return "one-time password, over"
    return "one-time password" if account.must_change else "active"


async def _set_roles(services: AccountServices, options: argparse.Namespace, origin: Origin) -> None:
    await services.directory.set_roles(options.name, options.roles, origin)
    _tell(f"{options.name} has the roles {' '.join(options.roles)} from the next refresh on.", None)


async def _set_disabled(services: AccountServices, options: argparse.Namespace, origin: Origin) -> None:
    disabled = options.action == "disable"
    await services.directory.set_disabled(options.name, origin, disabled=disabled)
    _tell(f"{options.name} is {'disabled' if disabled else 'enabled'}.", None)


async def _reset_password(services: AccountServices, options: argparse.Namespace, origin: Origin) -> None:
    password, once = await _password(services, options, origin)
    await services.directory.reset_password(options.name, password, origin, must_change=once)
    await services.throttle.reset(options.name)
    _tell(f"{options.name} has another password.", password if once else None)


async def _invite(services: AccountServices, options: argparse.Namespace, origin: Origin) -> None:
    invitation = await services.directory.invite(options.roles, timedelta(seconds=options.ttl), origin)
    print_progress("Good once, for POST /auth/signup, where ROLLCALL_SIGNUP is invite or open:")
    print_result(invitation)


_ACTIONS: Final[Mapping[str, Action]] = {
    "add": _add,
    "list": _list,
    "set-roles": _set_roles,
    "disable": _set_disabled,
    "enable": _set_disabled,
    "reset-password": _reset_password,
    "invite": _invite,
}


def _tell(sentence: str, password: str | None) -> None:
    """Say what was done; the password alone goes to standard output."""
    print_progress(
        sentence
        if password is None
        else f"{sentence} Good for a login within {_HOURS} hours, which sets another:"
    )
    if password is not None:
        print_result(password)
