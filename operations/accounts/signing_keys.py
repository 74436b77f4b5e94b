"""The key pairs that sign access tokens on disk: the first one, another one, and the end of old ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from operations.errors import SetupError
from operations.terminal import print_progress, short_path
from service_kit.auth.signing import PrivateKey, key_name, made_at
from service_kit.files import OWNER_ONLY, is_lost, make_folder, write_whole

KEPT = timedelta(days=30)
"""How long a key verifies after another one took its place: longer than any token that it signed lives."""
_RSA_BITS = 3072


def ensure_signing_key(folder: Path, algorithm: str) -> None:
    """Make the first key if the folder has none; drop those whose content a loss of power has taken.

    Args:
        folder: Where it goes.
        algorithm: What it signs with: `EdDSA` or `RS256`.

    Raises:
        SetupError: The folder cannot be used.
    """
    try:
        for path in filter(is_lost, folder.glob("*.pem")):
            print_progress(
                f"{short_path(path)} is empty, as a loss of power leaves it: its tokens are refused."
            )
            path.unlink()
        if not folder.is_dir() or not any(folder.glob("*.pem")):
            add_signing_key(folder, datetime.now(UTC), algorithm)
        for path in folder.glob("*.pem"):
            if path.stat().st_mode & 0o077:
                path.chmod(OWNER_ONLY)
    except OSError as exc:
        raise _unusable(folder, exc) from exc


def add_signing_key(folder: Path, now: datetime, algorithm: str) -> Path:
    """Make a key; it is published at once, signs a minute later, and the others go on verifying.

    Keys that have been replaced for longer than `KEPT` are deleted.

    Args:
        folder: Made with mode 0700.
        now: When it is made, UTC.
        algorithm: What it signs with: `EdDSA` or `RS256`.

    Raises:
        SetupError: The folder cannot be used.
    """
    key: PrivateKey
    if algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    path = folder / key_name(now)
    try:
        make_folder(folder, mode=0o700)
        before = sorted(folder.glob("*.pem"))
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        write_whole(path, text)
        for old, successor in pairwise(before):
            replaced_at = made_at(successor.name)
            if made_at(old.name) and replaced_at and replaced_at < (now - KEPT).timestamp():
                old.unlink()
    except OSError as exc:
        raise _unusable(folder, exc) from exc
    return path


def _unusable(folder: Path, exc: OSError) -> SetupError:
    return SetupError(
        f"The signing keys in {short_path(folder)} cannot be used ({exc.strerror}): "
        "run as the user who owns them."
    )
