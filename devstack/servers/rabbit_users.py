"""The users of a broker on this machine: a password of each, in a file beside the broker's data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from devstack.keys import ensure_secret
from service_kit.broker.users import OPERATOR, RIGHTS, user_definitions


def amqp_url(directory: Path, hosts: Sequence[str], user: str = OPERATOR) -> str:
    """Return the address of some nodes, with user and password; the password is made on first use.

    Args:
        directory: Where they keep their passwords.
        hosts: Each node's `host:port`.
        user: One of `RIGHTS`.
    """
    return f"amqp://{user}:{_password(directory, user)}@{','.join(hosts)}/"


def definitions(directory: Path) -> str:
    """Return what a node loads at each start: all users, with their rights.

    Args:
        directory: Where it keeps their passwords.
    """
    passwords = {user: _password(directory, user) for user in RIGHTS}
    return json.dumps(user_definitions(passwords), indent=2)


def _password(directory: Path, user: str) -> str:
    return ensure_secret(directory / ("password" if user == OPERATOR else f"password-{user}"))
