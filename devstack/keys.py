"""Secrets on disk: made once, from the system's generator, readable by their owner alone."""

from __future__ import annotations

import secrets
from pathlib import Path

from operations.errors import SetupError
from operations.terminal import print_progress, short_path
from service_kit.files import OWNER_ONLY, is_lost, make_folder, write_whole

_RANDOM_BYTES = 48
_LEAST_CHARACTERS = 32


def ensure_secret(path: Path) -> str:
    """Read the secret in `path`; when there is none, make one first.

    A file without content is what a loss of power can leave of one that was not synced. None of the
    secrets made here opens anything by itself, so another takes its place: the broker is given its cookie
    and password at each start, and the images' key makes new ids and short tickets, but reads no old ones.

    Args:
        path: The file, mode 0600, in a directory of mode 0700.

    Returns:
        The secret: 96 hexadecimal digits when made here (384 random bits).

    Raises:
        SetupError: The file cannot be read, or is too short to be a secret.
    """
    try:
        if is_lost(path):
            print_progress(
                f"{short_path(path)} is empty, as a loss of power leaves it: making another secret."
            )
        if not path.exists() or is_lost(path):
            make_folder(path.parent, mode=0o700)
            write_whole(path, secrets.token_hex(_RANDOM_BYTES))
        elif path.stat().st_mode & 0o077:
            path.chmod(OWNER_ONLY)
        secret = path.read_text().strip()
    except OSError as exc:
        raise SetupError(
            f"The secret {short_path(path)} cannot be used ({exc.strerror}): run as the user who owns it."
        ) from exc
    if len(secret) < _LEAST_CHARACTERS:
        raise SetupError(
            f"The secret {short_path(path)} has fewer than {_LEAST_CHARACTERS} characters: delete the "
            "file, and the next `./run up` makes a good one."
        )
    return secret
