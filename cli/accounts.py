"""The verbs that make and change accounts, and add a signing key; a password is never an argument."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from cli.tokens import checked
from command_api.accounts.building import Desk, open_desk
from command_api.accounts.directory import INVITATION_LIFE
from command_api.accounts.passwords import one_time_password
from command_api.accounts.store import Account
from events.accounts import Origin, account_name
from events.errors import RollcallError
from local.access import seconds
from local.errors import SetupError
from local.places import Places
from local.say import say, show, shown
from local.signing_keys import add_signing_key
from local.status import running_mongo_uri
from service_kit import mongo
from service_kit.roles import known_roles
from service_kit.settings import Settings

FIRST: Final = "admin"
_UNUSED: Final = SecretStr("amqp://unused:unused@unused")
Action = Callable[[Desk, argparse.Namespace, Origin], Awaitable[None]]


def add_accounts(parser: argparse.ArgumentParser) -> None:
    """Options of `accounts`."""
    words = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def verb(name: str, summary: str, *options: str) -> None:
        own = words.add_parser(name, help=summary, description=summary)
        for option in options:
            _OPTIONS[option](own)

    verb("add", "make an account, and print its one-time password", "name", "roles", "stdin")
    verb("list", "show all accounts")
    verb("set-roles", "give an account these roles and no others", "name", "roles")
    verb("disable", "let an account do nothing from its next refresh on", "name")
    verb("enable", "let a disabled account log in again", "name")
    verb("reset-password", "give an account a one-time password, and print it", "name", "stdin")
    verb("invite", "print an invitation to make an account", "roles", "ttl")
    verb("rotate-key", "add a signing key; the others go on verifying")


_OPTIONS: Final[Mapping[str, Callable[[argparse.ArgumentParser], Any]]] = {
    "name": lambda parser: parser.add_argument("name", type=checked(account_name), metavar="NAME"),
    "roles": lambda parser: parser.add_argument(
        "--roles", type=checked(known_roles), required=True, metavar="LIST", help="viewer, editor, …"
    ),
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
        say(f"Wrote {shown(path)}: it is published at once, and signs in a minute.")
        return 0
    action = _ACTIONS[options.action]
    _run(database(os.environ), lambda desk: action(desk, options, _me()))
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
    made: list[str] = []

    async def make(desk: Desk) -> None:
        if not await desk.directory.store.all():
            password = one_time_password()
            origin = Origin("operator:up")
            await desk.directory.create(FIRST, password, ("admin",), origin, must_change=True)
            made.append(password)

    _run(database(environment), make)
    return made[0] if made else None


def _run(settings: Settings, work: Callable[[Desk], Awaitable[None]]) -> None:
    """Do some work with accounts, and close what it needed.

    Raises:
        SetupError: It is refused, or MongoDB is away.
    """

    async def run() -> None:
        client = mongo.connect(settings, "rollcall-accounts")
        desk = open_desk(client, settings.mongo_db, lambda: datetime.now(UTC))
        try:
            await work(desk)
        finally:
            desk.directory.hasher.close()
            await mongo.close(client)

    try:
        asyncio.run(run())
    except RollcallError as exc:
        reasons = "".join(f" ({one['reason']})" for one in getattr(exc, "errors", ()))
        raise SetupError(f"{exc.detail[:1].upper()}{exc.detail[1:]}{reasons}.") from exc


def database(environ: Mapping[str, str]) -> Settings:
    """Return the settings of accounts: what the environment says, or the database that `up` runs.

    Raises:
        SetupError: There is none.
    """
    uri = environ.get("ROLLCALL_MONGO_URI") or running_mongo_uri(Places.find())
    if not uri:
        raise SetupError("No accounts are known here: start with `./run up`, or set ROLLCALL_MONGO_URI.")
    name = environ.get("ROLLCALL_MONGO_DB") or "rollcall"
    return Settings(mongo_uri=SecretStr(uri), amqp_url=_UNUSED, mongo_db=name)


def signing_keys() -> Path:
    """Return the folder of the keys that sign."""
    return Path(os.environ.get("ROLLCALL_SIGNING_KEYS") or Places.find().signing_keys).absolute()


def _me() -> Origin:
    return Origin(f"operator:{getpass.getuser()}", user_agent="rollcall accounts")


async def _password(desk: Desk, options: argparse.Namespace) -> tuple[str, bool]:
    """Return a password, and whether it is good for one login."""
    if not options.stdin:
        return one_time_password(), True
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    await desk.directory.check(password, options.name, "password")
    return password, False


async def _add(desk: Desk, options: argparse.Namespace, origin: Origin) -> None:
    password, once = await _password(desk, options)
    await desk.directory.create(options.name, password, options.roles, origin, must_change=once)
    _tell(f"Made {options.name} ({' '.join(options.roles)}).", password if once else None)


async def _list(desk: Desk, _options: argparse.Namespace, _origin: Origin) -> None:
    found = [await desk.directory.told(account) for account in await desk.directory.store.all()]
    for account in found:
        show(f"{account.name}\t{' '.join(account.roles)}\t{_state(account)}")


def _state(account: Account) -> str:
    if account.disabled:
        return "disabled"
    return "one-time password" if account.must_change else "active"


async def _set_roles(desk: Desk, options: argparse.Namespace, origin: Origin) -> None:
    await desk.directory.set_roles(options.name, options.roles, origin)
    _tell(f"{options.name} has the roles {' '.join(options.roles)} from the next refresh on.", None)


async def _set_disabled(desk: Desk, options: argparse.Namespace, origin: Origin) -> None:
    disabled = options.action == "disable"
    await desk.directory.set_disabled(options.name, origin, disabled=disabled)
    _tell(f"{options.name} is {'disabled' if disabled else 'enabled'}.", None)


async def _reset_password(desk: Desk, options: argparse.Namespace, origin: Origin) -> None:
    password, once = await _password(desk, options)
    await desk.directory.reset_password(options.name, password, origin, must_change=once)
    await desk.gate.reset(options.name)
    _tell(f"{options.name} has another password.", password if once else None)


async def _invite(desk: Desk, options: argparse.Namespace, origin: Origin) -> None:
    invitation = await desk.directory.invite(options.roles, timedelta(seconds=options.ttl), origin)
    say("Good once, for POST /auth/signup, where ROLLCALL_SIGNUP is invite or open:")
    show(invitation)


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
    say(sentence if password is None else f"{sentence} Good for the first login, which sets another:")
    if password is not None:
        show(password)
