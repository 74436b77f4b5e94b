"""RabbitMQ users as definitions: who may connect, with what rights; writes no file, makes no password."""

from __future__ import annotations

import base64
import hashlib
import secrets

VHOST = "/"
_OWN = r"commands(\..+)?|events(\..+)?|workers|amq\.gen-.+"
CONFIGURE = rf"^({_OWN})$"
"""Exchanges and queues that a service may declare: the topology, and reply queues that the broker names."""
WRITE = rf"^({_OWN}|amq\.default)$"
"""What it may publish to and bind queues of; replies go through the default exchange."""
READ = CONFIGURE
"""What it may consume, and bind queues to."""


def user_definitions(user: str, password: str) -> dict[str, object]:
    """Return the definitions of one user who may do what the services do, and no more.

    The user has no tag, so no management; every service and the local node's tests get by with these
    rights. What an operator does needs none of them: `rabbitmqctl` has the node's cookie. A subscriber
    that declares queues of its own outside `events.…` needs a user of its own.

    Args:
        user: Name, the same that clients connect with.
        password: Plain text; only its salted hash is in the answer.

    Returns:
        `users`, `vhosts` and `permissions`, as `load_definitions` and `rabbitmqctl import_definitions`
        read them. The salt is new each time; importing it again changes nothing for clients.
    """
    rights = {"configure": CONFIGURE, "write": WRITE, "read": READ}
    hashed = {
        "password_hash": password_hash(password, secrets.token_bytes(4)),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
    }
    return {
        "users": [{"name": user, **hashed, "tags": []}],
        "vhosts": [{"name": VHOST}],
        "permissions": [{"user": user, "vhost": VHOST, **rights}],
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
