"""The verb that writes `.env`: the secrets that docker-compose.yml needs, made afresh and printed nowhere.

A program by itself, too: `./run env` runs it on the system's Python, with nothing installed.
"""

from __future__ import annotations

import argparse
import base64
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from local.definitions import password_hash
from local.errors import SetupError
from local.keys import write_private
from local.places import Places
from local.say import say, shown

_HEADER = """\
# Secrets of docker-compose.yml, made by `./run env`. Keep a copy in a safe place: without them the data
# of a cluster that has run cannot be opened. Never commit this file.
"""
_NEXT = """\
Wrote {path}, readable by you alone. Then:
    docker compose up --detach --wait
    docker compose exec -T command-api-1 python -m cli token --sub NAME"""


def add_env(parser: argparse.ArgumentParser) -> None:
    """Options of `env`."""
    parser.add_argument(
        "--force", action="store_true", help="make new secrets although there are some; those are kept aside"
    )


def env(options: argparse.Namespace) -> int:
    """Write `.env` beside docker-compose.yml."""
    write_env(Places.find().root / ".env", force=options.force)
    return 0


def write_env(path: Path, *, force: bool) -> None:
    """Write the file, and say what to do next.

    Args:
        path: The file; made with mode 0600.
        force: Whether one that is there is put aside as `.env.before`.

    Raises:
        SetupError: It is there already, or cannot be written.
    """
    try:
        if path.exists():
            if not force:
                raise SetupError(
                    f"{shown(path)} is there, and a cluster that has run with it opens with no other: "
                    "`./run env --force` makes another all the same."
                )
            path.rename(path.with_name(f"{path.name}.before"))
        lines = [f"{name}={value}\n" for name, value in variables().items()]
        write_private(path, _HEADER + "".join(lines))
    except OSError as exc:
        raise SetupError(f"{shown(path)} cannot be written ({exc.strerror}).") from exc
    say(_NEXT.format(path=shown(path)))


def variables() -> dict[str, str]:
    """Return every variable that docker-compose.yml uses, the secrets fresh from the system's generator.

    Passwords are of letters, digits, `-` and `_`, so that a connection string holds them as they are.
    """
    broker = secrets.token_urlsafe(32)
    return {
        "ROLLCALL_PORT": "8080",
        # Of the characters that a key file may have, and at most 1024 of them.
        "ROLLCALL_MONGO_KEY": base64.b64encode(secrets.token_bytes(96)).decode(),
        "ROLLCALL_MONGO_ADMIN_PASSWORD": secrets.token_urlsafe(32),
        "ROLLCALL_MONGO_WORKER_PASSWORD": secrets.token_urlsafe(32),
        "ROLLCALL_MONGO_COMMAND_PASSWORD": secrets.token_urlsafe(32),
        "ROLLCALL_MONGO_QUERY_PASSWORD": secrets.token_urlsafe(32),
        "ROLLCALL_RABBITMQ_PASSWORD": broker,
        "ROLLCALL_RABBITMQ_PASSWORD_HASH": password_hash(broker, secrets.token_bytes(4)),
        "ROLLCALL_ERLANG_COOKIE": secrets.token_hex(32),
        "ROLLCALL_JWT_KEY": secrets.token_hex(48),
    }


def main(argv: Sequence[str]) -> int:
    """Run the verb by itself.

    Args:
        argv: Its options.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="./run env", description="Write .env for docker-compose.yml.")
    add_env(parser)
    try:
        return env(parser.parse_args(argv))
    except SetupError as exc:
        say(str(exc))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
