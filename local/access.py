"""Tokens for the person at this machine: read the key, sign, nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr, ValidationError

from local.errors import SetupError
from local.places import Places
from local.say import shown
from service_kit.settings import MIN_SECRET_BYTES, Settings
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
        places: Where the key is that `up` made.
        environ: `ROLLCALL_JWT_…` settings win over that key.
        subject: Who acts.
        scopes: Some of `service_kit.tokens.SCOPES`.
        ttl_seconds: The token's life.
        name: The actor's name for people to read.
        key_file: The private key, where the services know only the public one.

    Raises:
        SetupError: There is no key, or it cannot sign; says what to do.
    """
    chosen = key_file or Path(environ.get("ROLLCALL_JWT_KEY_FILE") or places.jwt_key).absolute()
    try:
        settings = Settings(amqp_url=_UNUSED, jwt_key_file=chosen, jwks_url=None)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = "".join(f"ROLLCALL_{str(part).upper()}: " for part in first["loc"][:1])
        raise SetupError(f"A setting is wrong: {where}{first['msg']}.") from None
    key = _read(chosen)
    if settings.jwt_algorithm == "HS256":
        if len(key) < MIN_SECRET_BYTES:
            raise SetupError(
                f"The token key {shown(chosen)} is shorter than {MIN_SECRET_BYTES} bytes: use a longer one."
            )
    elif "PRIVATE KEY" not in key:
        raise SetupError(
            f"{shown(chosen)} is no private key, and {settings.jwt_algorithm} signs with one: "
            "name it with --key-file, or ask the issuer of your tokens."
        )
    return issue_token(
        key=key,
        algorithm=settings.jwt_algorithm,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        subject=subject,
        scopes=scopes,
        ttl_seconds=ttl_seconds,
        name=name,
    )


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
    except FileNotFoundError:
        raise SetupError(
            f"There is no token key at {shown(path)} yet: run `./run up` first, which makes one."
        ) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise SetupError(f"The token key {shown(path)} cannot be read: {exc}.") from exc
