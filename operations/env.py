"""The verb that writes `.env`: the secrets that docker-compose.yml needs, made afresh and printed nowhere.

A program by itself, too: `./run env` runs it on the system's Python, with nothing installed.
"""

from __future__ import annotations

import argparse
import base64
import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from operations.errors import SetupError
from operations.keys.kek_file import new_line
from operations.terminal import print_progress, short_path
from service_kit.broker.users import password_hash
from service_kit.files import is_lost, write_whole

ROOT = Path(__file__).resolve().parents[1]
_HEADER = """\
# Secrets of docker-compose.yml, made by `./run env`. Keep a copy in a safe place: without them the data
# of a cluster that has run cannot be opened. Never commit this file.
"""
# The DER header that precedes the 32 bytes of the key.
_ED25519 = bytes.fromhex("302e020100300506032b657004220420")
_NEXT = """\
Wrote {path}, readable by you alone. Then:
    docker compose up --detach --wait
    docker compose exec -T command-api-1 python -m operations accounts add admin --roles admin"""


def add_env(parser: argparse.ArgumentParser) -> None:
    """Options of `env`."""
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--force", action="store_true", help="make new secrets although there are some; those are kept aside"
    )
    ways.add_argument(
        "--add", action="store_true", help="add what this version needs and the file lacks, after an upgrade"
    )


def env(options: argparse.Namespace) -> int:
    """Write `.env` beside docker-compose.yml, or add to it."""
    if options.add:
        add_to_env(ROOT / ".env")
    else:
        write_env(ROOT / ".env", force=options.force)
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
        if path.exists() and not is_lost(path):
            if not force:
                raise SetupError(
                    f"{short_path(path)} is there, and a cluster that has run with it opens with no other: "
                    "`./run env --add` adds what this version needs, `./run env --force` makes another."
                )
            path.rename(path.with_name(f"{path.name}.before"))
        lines = [f"{name}={value}\n" for name, value in variables().items()]
        write_whole(path, _HEADER + "".join(lines))
    except OSError as exc:
        raise SetupError(f"{short_path(path)} cannot be written ({exc.strerror}).") from exc
    print_progress(_NEXT.format(path=short_path(path)))


def add_to_env(path: Path) -> None:
    """Add the variables that a file of an earlier version lacks, and leave the others as they are.

    Raises:
        SetupError: There is no such file, or it cannot be read or written.
    """
    try:
        text = path.read_text(encoding="utf-8")
        known = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
        missing = {name: value for name, value in variables(known).items() if name not in known}
        if missing:
            lines = [f"{name}={value}\n" for name, value in missing.items()]
            write_whole(path, "".join([text.rstrip("\n"), "\n", *lines]))
    except (OSError, UnicodeDecodeError) as exc:
        why = getattr(exc, "strerror", None) or type(exc).__name__
        raise SetupError(f"{short_path(path)} cannot be added to ({why}).") from exc
    print_progress(f"Added to {short_path(path)}: {', '.join(missing) or 'nothing'}.")


def variables(known: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return every variable that docker-compose.yml uses, the secrets fresh from the system's generator.

    Args:
        known: Those that there are; what is made of one of them is made of that value.

    Passwords are of letters, digits, `-` and `_`, so that a connection string holds them as they are.
    """
    names = [f"ROLLCALL_RABBITMQ_{service}_PASSWORD" for service in ("COMMAND", "QUERY", "WORKER")]
    brokers = {name: known.get(name) or secrets.token_urlsafe(32) for name in names}
    return {
        "ROLLCALL_BIND": "127.0.0.1",
        "ROLLCALL_PORT": "8080",
        "ROLLCALL_TRUSTED_PROXIES": "",
        "ROLLCALL_PERSON_SCHEMA": "events/person/schema/default.json",
        "ROLLCALL_SIGNUP": "closed",
        "ROLLCALL_ROLES": "",
        "ROLLCALL_CORS_ORIGINS": "",
        "ROLLCALL_ERASE_DELETED_AFTER": "",
        "ROLLCALL_RATE_ADDRESS": "5000/10",
        "ROLLCALL_RATE_SUBJECT": "2000/10",
        # Of the characters that a key file may have, and at most 1024 of them.
        "ROLLCALL_MONGO_KEY": base64.b64encode(secrets.token_bytes(96)).decode(),
        "ROLLCALL_MONGO_ADMIN_PASSWORD": secrets.token_urlsafe(32),
        "ROLLCALL_MONGO_WORKER_PASSWORD": secrets.token_urlsafe(32),
        "ROLLCALL_MONGO_COMMAND_PASSWORD": secrets.token_urlsafe(32),
        "ROLLCALL_MONGO_QUERY_PASSWORD": secrets.token_urlsafe(32),
        **brokers,
        **{f"{name}_HASH": password_hash(value, secrets.token_bytes(4)) for name, value in brokers.items()},
        "ROLLCALL_ERLANG_COOKIE": secrets.token_hex(32),
        # Both are published, so the next one can sign at any time.
        "ROLLCALL_SIGNING_KEY": signing_key(),
        "ROLLCALL_SIGNING_KEY_NEXT": signing_key(),
        # What it wraps opens with no other: a copy of it belongs in a safe place of its own.
        "ROLLCALL_KEK": new_line(datetime.now(UTC)),
        "ROLLCALL_IMAGES_KEY": secrets.token_hex(48),
        "ROLLCALL_TICKETS_KEY": secrets.token_hex(48),
    }


def signing_key() -> str:
    """Return a fresh Ed25519 private key: PKCS #8 (RFC 8410, section 7) in base64, on one line."""
    return base64.b64encode(_ED25519 + secrets.token_bytes(32)).decode()


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
        print_progress(str(exc))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
