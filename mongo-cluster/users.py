"""Makes the users: an administrator, and for each service one that can do no more than the service does."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deployment import AUTHENTICATION_FAILED, Access, Client
from pymongo.errors import OperationFailure

from events.access.batch import ACCESS_HEADS, ACCESSES
from events.log.stored import ACCOUNT_EVENTS, SCHEMA_EVENTS
from service_kit.mongo.collections import keys_database
from service_kit.seals.wrapping import ACCESS_KEYS, KEYS, LABELS, SECRETS, TRANSPORT

_READ: Final = ("find",)
_NOTE: Final = ("insert",)
_APPEND: Final = ("find", "insert")
_KEEP: Final = ("find", "insert", "update", "remove")
_GUARD: Final = ("find", "insert", "update")
_STORE: Final = ("find", "insert", "remove")
_CLEAR: Final = ("find", "remove")
_TRIM: Final = ("find", "update", "remove")
_COUNT: Final = ("find", "update")
# A service looks whether its indexes are there before it works.
_LOOK: Final = ("listIndexes",)
# What a password is kept for; by itself MongoDB would also keep a form of SHA-1 over MD5.
_KEPT: Final = {"mechanisms": ["SCRAM-SHA-256"]}


GRANTS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "rollcall-worker": {
        "events": _APPEND,
        SCHEMA_EVENTS: _APPEND,
        "people": _KEEP,
        "milestones": _KEEP,
        "claims": _KEEP,
        "erasures": _GUARD,
        "rejections": _GUARD,
        "parked": _KEEP,
        "feed_marks": _GUARD,
        "feed_gaps": _GUARD,
        "attempts": _KEEP,
        "images.files": _CLEAR,
        "images.chunks": _CLEAR,
        "imports": _COUNT,
        "import_errors": _COUNT,
        "lags": _KEEP,
        "rounds": _GUARD,
        # Only what is older than the retention, and was signed.
        ACCESSES: _TRIM,
        ACCESS_HEADS: _CLEAR,
    },
    # Accounts and their events, images that nobody has yet, how far imports are: nothing of people, but what
    # a person is.
    "rollcall-command": {
        ACCOUNT_EVENTS: _APPEND,
        SCHEMA_EVENTS: _READ,
        "accounts": _GUARD,
        "invitations": _GUARD,
        "refresh_families": _GUARD,
        "login_failures": _KEEP,
        "images.files": _STORE,
        "images.chunks": _STORE,
        "imports": _GUARD,
        "import_errors": _KEEP,
        # Whom it refused what.
        ACCESSES: _NOTE,
    },
    "rollcall-query": {
        **dict.fromkeys(
            (
                *("events", ACCOUNT_EVENTS, SCHEMA_EVENTS, "people", "milestones", "claims"),
                *("rejections", "parked"),
                *("images.files", "images.chunks", "imports", "import_errors", "lags"),
                # For who verifies the log.
                *("feed_marks", "feed_gaps"),
                "erasures",
            ),
            _READ,
        ),
        "spent_tickets": _NOTE,
        ACCESSES: _APPEND,
        # For who makes checkpoints.
        ACCESS_HEADS: _APPEND,
    },
}
"""What each user may do with each collection. Nobody here can change or drop what is in the log, nor can
one that is stolen make a user, an index or a collection."""

KEY_GRANTS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "rollcall-worker": dict.fromkeys(LABELS, _GUARD),
    "rollcall-command": {TRANSPORT: _READ, ACCESS_KEYS: _NOTE},
    "rollcall-query": {KEYS: _READ, TRANSPORT: _READ, SECRETS: _READ, ACCESS_KEYS: _APPEND},
}
"""What each user may do in the database of keys. Nobody may remove: to destroy a key is to take it out of its
row, which stays, so that none can be made in its place."""


@dataclass(frozen=True)
class Passwords:
    """The passwords of the users to make; None for one that is not wanted.

    Attributes:
        admin: Of `admin`, who may do everything.
        services: Of each service's user.
    """

    admin: str | None
    services: Mapping[str, str | None]


def ensure_users(
    client: Client,
    uri: str,
    database: str,
    passwords: Passwords,
    access: Access,
    closed: Collection[str] = (),
) -> list[str]:
    """Create the roles and users that are missing, and set rights and passwords that are others.

    Args:
        client: Of the whole deployment, as someone who may make users.
        uri: The deployment's connection string.
        database: The services' database: their users belong to it.
        passwords: Whom to make.
        access: How the deployment is reached.
        closed: Collections into which no service may write for the moment.

    Returns:
        A line for each change; passwords are never in it.
    """
    changes = []
    keys = keys_database(database)
    root, homes = [{"role": "root", "db": "admin"}], (database, keys)
    users = [("admin", "admin", root, passwords.admin)]
    users += [
        (database, name, [{"role": name, "db": home} for home in homes], password)
        for name, password in passwords.services.items()
    ]
    for home, name, roles, password in users:
        if password is None:
            continue
        if name in GRANTS:
            changes += _ensure_role(client, database, name, _privileges(database, GRANTS[name], closed))
            changes += _ensure_role(client, keys, name, _privileges(keys, KEY_GRANTS[name]))
        found = client[home].command({"usersInfo": name})["users"]
        if not found:
            client[home].command({"createUser": name, "pwd": password, "roles": roles, **_KEPT})
            changes.append(f"created user {name}")
            continue
        if not _are_same(found[0]["roles"], roles):
            client[home].command({"updateUser": name, "roles": roles})
            changes.append(f"changed the roles of user {name}")
        if not _opens(access.open_as(uri, name, password, home), home):
            client[home].command({"updateUser": name, "pwd": password, **_KEPT})
            changes.append(f"changed the password of user {name}")
    return changes


def _are_same(found: Sequence[Mapping[str, str]], wanted: Sequence[Mapping[str, str]]) -> bool:
    return sorted((one["db"], one["role"]) for one in found) == sorted(
        (one["db"], one["role"]) for one in wanted
    )


def _privileges(
    database: str, grants: Mapping[str, Sequence[str]], closed: Collection[str] = ()
) -> list[dict[str, Any]]:
    granted = {
        collection: _READ if collection in closed else actions for collection, actions in grants.items()
    }
    return [
        {"resource": {"db": database, "collection": collection}, "actions": sorted({*actions, *_LOOK})}
        for collection, actions in granted.items()
    ]


def _ensure_role(client: Client, database: str, name: str, wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    found = client[database].command({"rolesInfo": name, "showPrivileges": True})["roles"]
    if not found:
        client[database].command({"createRole": name, "privileges": wanted, "roles": []})
        return [f"created role {name} of {database}"]
    if _comparable(found[0]["privileges"]) != _comparable(wanted) or found[0]["roles"]:
        client[database].command({"updateRole": name, "privileges": wanted, "roles": []})
        return [f"changed the rights of role {name} of {database}"]
    return []


def _comparable(privileges: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    return {
        (one["resource"].get("db"), one["resource"].get("collection"), *sorted(one["actions"]))
        for one in privileges
    }


def _opens(trying: Client, database: str) -> bool:
    """Return whether a user has the password that a client tries: nobody can read it."""
    with trying:
        try:
            trying[database].command("ping")
        except OperationFailure as exc:
            if exc.code == AUTHENTICATION_FAILED:
                return False
            raise
    return True
