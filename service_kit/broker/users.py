"""RabbitMQ users as definitions: who may connect, with what rights; writes no file, makes no password.

https://www.rabbitmq.com/docs/access-control#authorisation: `configure` makes and deletes, `write` publishes
to an exchange and binds a queue, `read` consumes a queue and binds to an exchange. Whoever may write to the
default exchange reaches every queue by its name, the commands' too: only workers may, who decide them all.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

VHOST = "/"
OPERATOR = "rollcall"
COMMAND_USER = "rollcall-command"
QUERY_USER = "rollcall-query"
WORKER_USER = "rollcall-worker"
SUBSCRIBER_USER = "rollcall-subscriber"

_NAMES = r"commands(\..+)?|events(\..+)?|workers"
_REPLIES = r"amq\.gen-.+"
_DEAD = r"commands\.dead|events\.[\w-]+\.dead"
_NOTHING = "^$"


@dataclass(frozen=True)
class Rights:
    """What a user may do, as regular expressions of the names of exchanges and queues."""

    configure: str = _NOTHING
    write: str = _NOTHING
    read: str = _NOTHING


def _any_of(*patterns: str) -> str:
    return f"^({'|'.join(patterns)})$"


def subscriber_rights(name: str) -> Rights:
    """Return what a subscriber needs: its own queues, and the events, in its queue or from the stream.

    Args:
        name: The subscriber's, or a regular expression of several.
    """
    own = rf"events\.({name})(\.dead)?"
    return Rights(_any_of(own), _any_of(own), _any_of(own, "events", r"events\.again", r"events\.log"))


RIGHTS: Mapping[str, Rights] = {
    # The verbs of operators, and tests, do what all services do.
    OPERATOR: Rights(
        _any_of(_NAMES, _REPLIES), _any_of(_NAMES, _REPLIES, r"amq\.default"), _any_of(_NAMES, _REPLIES)
    ),
    # It hands in commands, takes replies, and looks after dead letters.
    COMMAND_USER: Rights(
        _any_of(_REPLIES, _DEAD), _any_of("commands", r"events\.again"), _any_of(_REPLIES, _DEAD)
    ),
    # It follows the events.
    QUERY_USER: Rights(read=_any_of(r"events\.log")),
    # It makes exchanges and queues, takes commands, announces events, and replies by the default exchange.
    WORKER_USER: Rights(_any_of(_NAMES), _any_of(_NAMES, r"amq\.default"), _any_of(_NAMES)),
    # Any subscriber on a machine of its own; elsewhere each has a user and a name of its own.
    SUBSCRIBER_USER: subscriber_rights(r"(?!(log|again|images)(\.|$))[\w-]+"),
}
"""The users that there are where Rollcall sets a broker up. None has a tag, so no management: what an
operator does there needs none of them, since `rabbitmqctl` has the node's cookie."""


def user_definitions(passwords: Mapping[str, str]) -> dict[str, object]:
    """Return the definitions of users.

    Args:
        passwords: Of each, by its name in `RIGHTS`; only their salted hashes are in the answer.

    Returns:
        `users`, `vhosts` and `permissions`, as `load_definitions` and `rabbitmqctl import_definitions`
        read them. The salts are new each time; importing it again changes nothing for clients.
    """
    return {
        "users": [
            {
                "name": user,
                "password_hash": password_hash(password, secrets.token_bytes(4)),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
            for user, password in passwords.items()
        ],
        "vhosts": [{"name": VHOST}],
        "permissions": [permission(user) for user in passwords],
    }


def permission(user: str) -> dict[str, str]:
    """Return what one of the users may do, as definitions have it."""
    rights = RIGHTS[user]
    return {
        "user": user,
        "vhost": VHOST,
        "configure": rights.configure,
        "write": rights.write,
        "read": rights.read,
    }


def password_hash(password: str, salt: bytes) -> str:
    """Return a password as RabbitMQ stores it.

    See https://www.rabbitmq.com/docs/passwords#computing-password-hash: base64 of the salt followed by
    SHA-256 of salt and password. So cheap a hash is safe for long random passwords alone.

    Args:
        password: Plain text.
        salt: Four random bytes.

    Raises:
        ValueError: The salt is not four bytes long.
    """
    if len(salt) != 4:
        raise ValueError("RabbitMQ's salt is four bytes long")
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
