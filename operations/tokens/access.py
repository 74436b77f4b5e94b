"""Tokens for the person at this machine: read the key, put the token on record, sign."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operations.addresses import known_roles, signing_keys, token_settings
from operations.errors import SetupError
from operations.terminal import short_path
from operations.tokens.record import record_token
from service_kit.auth.signing import KeyRing
from service_kit.auth.tokens import issue_token
from service_kit.ids import new_id
from service_kit.settings import MIN_SECRET_BYTES, Settings

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def new_token(
    environ: Mapping[str, str],
    *,
    subject: str,
    scopes: Sequence[str] | None = None,
    ttl_seconds: int = 12 * 3600,
    name: str | None = None,
    key_file: Path | None = None,
) -> str:
    """Sign a token that the services of this environment accept; the log tells of it.

    Args:
        environ: `ROLLCALL_JWT_KEY_FILE`, or `ROLLCALL_SIGNING_KEYS`, name the key; `ROLLCALL_MONGO_URI` says
            where the log and the person schema are; `ROLLCALL_ROLES`, which scopes there are beside its.
        subject: Who acts.
        scopes: What it allows; None for all that is known.
        ttl_seconds: The token's life.
        name: The actor's name for people to read.
        key_file: The private key, where the services know only the public one.

    Raises:
        SetupError: There is no key, it cannot sign, the services would not take a token of such a life, or it
            cannot be put on record; says what to do.
    """
    if key_file or environ.get("ROLLCALL_JWT_KEY_FILE"):
        key, kid, settings = _key_of_file((key_file or Path(environ["ROLLCALL_JWT_KEY_FILE"])).absolute())
    else:
        key, kid, settings = _key_of_ring(signing_keys(environ))
    if ttl_seconds > settings.jwt_max_life:
        raise SetupError(
            f"The services take tokens that are good for {settings.jwt_max_life} seconds at most: ask for "
            "less, or set ROLLCALL_JWT_MAX_LIFE for them."
        )
    scopes = known_roles(environ).scopes if scopes is None else scopes
    token_id = new_id()
    record_token(environ, token_id, subject, scopes, ttl_seconds)
    return issue_token(
        key=key,
        kid=kid,
        algorithm=settings.jwt_algorithm,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        subject=subject,
        scopes=scopes,
        ttl_seconds=ttl_seconds,
        name=name,
        token_id=token_id,
    )


_Signing = tuple[Any, str | None, Settings]
"""A key, its id if it has one, and the settings that it goes with."""


def _key_of_ring(folder: Path) -> _Signing:
    """Return the key of the folder that signs now."""
    if not folder.is_dir():
        raise SetupError(
            f"There are no signing keys at {short_path(folder)} yet: run `./run up` first, which makes one."
        )
    settings = token_settings(signing_keys=folder)
    # What `up` makes is for EdDSA, whatever the default is for keys of another kind.
    algorithm = "EdDSA" if settings.jwt_algorithm == "HS256" else settings.jwt_algorithm
    settings = settings.model_copy(update={"jwt_algorithm": algorithm})
    try:
        signer = KeyRing(folder, algorithm).signer
    except SystemExit as exc:
        raise SetupError(f"No token can be signed: {str(exc).removeprefix('cannot start: ')}.") from None
    return signer.private, signer.kid, settings


def _key_of_file(path: Path) -> _Signing:
    """Return the HS256 secret, or the private key, in a file."""
    settings = token_settings(jwt_key_file=path)
    key = _read(path)
    if settings.jwt_algorithm == "HS256":
        if len(key) < MIN_SECRET_BYTES:
            raise SetupError(
                f"The token key {short_path(path)} is shorter than {MIN_SECRET_BYTES} bytes: "
                "use a longer one."
            )
    elif "PRIVATE KEY" not in key:
        raise SetupError(
            f"{short_path(path)} is no private key, and {settings.jwt_algorithm} signs with one: "
            "name it with --key-file, or ask the issuer of your tokens."
        )
    return key, None, settings


def seconds(text: str) -> int:
    """A length of time such as `90s`, `15m`, `12h`, `7d`, in seconds.

    Raises:
        ValueError: It is none, or is zero.
    """
    match = re.fullmatch(r"([1-9]\d{0,8})([smhd])", text.strip())
    if not match:
        raise ValueError(f"{text!r} is no length of time: write 90s, 15m, 12h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        why = getattr(exc, "strerror", None) or type(exc).__name__
        raise SetupError(f"The token key {short_path(path)} cannot be read ({why}).") from exc
