"""Tokens for the person at this machine: read the key, sign, nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from local.errors import SetupError
from local.places import Places
from local.say import shown
from service_kit.settings import MIN_SECRET_BYTES, Settings
from service_kit.signing import KeyRing
from service_kit.tokens import SCOPES, issue_token

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# Settings want addresses of servers; signing a token contacts none.
_UNUSED = SecretStr("amqp://unused:unused@unused")


def new_token(
    places: Places,
    environ: Mapping[str, str],
    *,
    subject: str,
    scopes: Sequence[str] = SCOPES,
    ttl_seconds: int = 12 * 3600,
    name: str | None = None,
    key_file: Path | None = None,
) -> str:
    """Sign a token that the services of this environment accept.

    Args:
        places: Where the keys are that `up` made.
        environ: `ROLLCALL_JWT_…` and `ROLLCALL_SIGNING_KEYS` win over those keys.
        subject: Who acts.
        scopes: Some of `service_kit.tokens.SCOPES`.
        ttl_seconds: The token's life.
        name: The actor's name for people to read.
        key_file: The private key, where the services know only the public one.

    Raises:
        SetupError: There is no key, or it cannot sign; says what to do.
    """
    if key_file or environ.get("ROLLCALL_JWT_KEY_FILE"):
        key, kid, settings = _key_of_file((key_file or Path(environ["ROLLCALL_JWT_KEY_FILE"])).absolute())
    else:
        folder = Path(environ.get("ROLLCALL_SIGNING_KEYS") or places.signing_keys).absolute()
        key, kid, settings = _key_of_ring(folder)
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
    )


_Signing = tuple[Any, str | None, Settings]
"""A key, its id if it has one, and the settings that it goes with."""


def _key_of_ring(folder: Path) -> _Signing:
    """Return the key of the folder that signs now."""
    if not folder.is_dir():
        raise SetupError(
            f"There are no signing keys at {shown(folder)} yet: run `./run up` first, which makes one."
        )
    settings = _settings(signing_keys=folder)
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
    settings = _settings(jwt_key_file=path)
    key = _read(path)
    if settings.jwt_algorithm == "HS256":
        if len(key) < MIN_SECRET_BYTES:
            raise SetupError(
                f"The token key {shown(path)} is shorter than {MIN_SECRET_BYTES} bytes: use a longer one."
            )
    elif "PRIVATE KEY" not in key:
        raise SetupError(
            f"{shown(path)} is no private key, and {settings.jwt_algorithm} signs with one: "
            "name it with --key-file, or ask the issuer of your tokens."
        )
    return key, None, settings


def _settings(**source: Path) -> Settings:
    """Return the settings of tokens, with one source of keys."""
    sources: dict[str, Any] = {"jwt_key_file": None, "jwks_url": None, "signing_keys": None, **source}
    try:
        return Settings(amqp_url=_UNUSED, **sources)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = "".join(f"ROLLCALL_{str(part).upper()}: " for part in first["loc"][:1])
        raise SetupError(f"A setting is wrong: {where}{first['msg']}.") from None


def seconds(text: str) -> int:
    """A length of time such as `90s`, `15m`, `12h`, `7d`, in seconds.

    Raises:
        ValueError: It is none, or is zero.
    """
    match = re.fullmatch(r"([1-9]\d{0,8})([smhd])", text.strip())
    if not match:
        raise ValueError(f"{text!r} is no length of time: write 90s, 15m, 12h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def known_scopes(text: str) -> tuple[str, ...]:
    """The scopes in a list separated by spaces or commas, each once.

    Raises:
        ValueError: One is unknown, or there is none.
    """
    wanted = tuple(dict.fromkeys(text.replace(",", " ").split()))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        wrong = f"{', '.join(unknown)} is no scope" if unknown else "no scope is named"
        raise ValueError(f"{wrong}: choose from {' '.join(SCOPES)}")
    return wanted


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SetupError(f"The token key {shown(path)} cannot be read: {exc}.") from exc
