"""Makes the file of key-encryption keys: each an id and 64 hexadecimal digits on a line; the first one wraps.

Standard library only: `./run env` makes such a line before anything is installed.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from operations.errors import SetupError
from operations.terminal import short_path
from service_kit.files import OWNER_ONLY, make_folder, write_whole

_KEK_BYTES: Final = 32
_SUFFIX_BYTES: Final = 4


def new_line(now: datetime) -> str:
    """Return a fresh key-encryption key as a line of the file.

    Its id says the day on which it was made, and is no other's: a key that takes the place of a lost one is
    never mistaken for it.

    Args:
        now: When it is made, UTC.
    """
    return f"{now:%Y%m%d}-{secrets.token_hex(_SUFFIX_BYTES)} {secrets.token_hex(_KEK_BYTES)}"


def ensure_kek_file(path: Path) -> None:
    """Make the file with one key, unless it is there; close it to others if it is.

    One that is there and empty is left as it is, and the services say so: what a lost key has wrapped opens
    with no other.

    Args:
        path: The file, mode 0600, in a folder of mode 0700.

    Raises:
        SetupError: It cannot be made or closed.
    """
    try:
        if not path.exists():
            make_folder(path.parent, mode=0o700)
            write_whole(path, new_line(datetime.now(UTC)) + "\n")
        elif path.stat().st_mode & 0o077:
            path.chmod(OWNER_ONLY)
    except OSError as exc:
        raise SetupError(
            f"The key-encryption keys in {short_path(path)} cannot be used ({exc.strerror}): run as the user "
            "who owns them."
        ) from exc
