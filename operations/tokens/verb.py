"""The verb that prints a token: one line on standard output, and nothing else there."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from operations.addresses import known_roles
from operations.terminal import print_result, user_name
from operations.tokens.access import new_token, seconds

T = TypeVar("T")


def add_token(parser: argparse.ArgumentParser) -> None:
    """Options of `token`."""
    roles = known_roles()
    parser.add_argument("--sub", type=_named, help="who acts, as the log will say (default: your user name)")
    parser.add_argument(
        "--scopes",
        type=checked(roles.known_scopes),
        default=roles.scopes,
        metavar="LIST",
        help=f"some of: {' '.join(roles.scopes)} (default: all)",
    )
    parser.add_argument("--name", help="the name of who acts, for people to read")
    parser.add_argument(
        "--ttl",
        type=checked(seconds),
        default="12h",
        metavar="TIME",
        help="how long it is valid: 90s, 15m, 12h (default: 12h); ROLLCALL_JWT_MAX_LIFE at most",
    )
    parser.add_argument(
        "--key-file", type=Path, metavar="PATH", help="a private key, instead of the one of `up`"
    )


def token(options: argparse.Namespace) -> int:
    """Print a token."""
    print_result(
        new_token(
            os.environ,
            subject=options.sub or user_name(),
            scopes=options.scopes,
            ttl_seconds=options.ttl,
            name=options.name,
            key_file=options.key_file,
        )
    )
    return 0


def checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return `read`, with its own words in the usage error.

    Args:
        read: Converts an argument; raises ValueError with what is wrong.
    """

    def convert(text: str) -> T:
        try:
            return read(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from None

    return convert


def _named(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("name who acts")
    return text.strip()
