"""Secrets on disk: made once, from the system's generator, readable by their owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from local.errors import SetupError
from local.say import shown

_RANDOM_BYTES = 48
_LEAST_CHARACTERS = 32


def ensure_secret(path: Path) -> str:
    """Read the secret in `path`; when there is none, make one first.

    Args:
        path: The file, mode 0600, in a directory of mode 0700.

    Returns:
        The secret: 96 hexadecimal digits when made here (384 random bits).

    Raises:
        SetupError: The file cannot be read, or is too short to be a secret.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, secrets.token_hex(_RANDOM_BYTES))
        elif path.stat().st_mode & 0o077:
            path.chmod(0o600)
        secret = path.read_text().strip()
    except OSError as exc:
        raise SetupError(
            f"The secret {shown(path)} cannot be used ({exc.strerror}): run as the user who owns it."
        ) from exc
    if len(secret) < _LEAST_CHARACTERS:
        raise SetupError(
            f"The secret {shown(path)} has fewer than {_LEAST_CHARACTERS} characters: delete the "
            "file, and the next `./run up` makes a good one."
        )
    return secret


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        os.fchmod(descriptor, 0o600)
    fresh.replace(path)
