"""Owns the request headers that steer a command, and reads them strictly; changes nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers

from events.errors import InvalidFields
from events.imports import CORRELATION

MAX_WAIT_SECONDS: Final = 30

_ETAG: Final = re.compile(r'"(\d{1,9})"')
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_CAUSATION: Final = re.compile(r"[\w.:/@+\-]{1,128}", re.ASCII)
# An import is counted by its correlation id: nobody else may write under it.
_CORRELATION: Final = re.compile(rf"(?!{CORRELATION}){_CAUSATION.pattern}", re.ASCII)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the headers of one request ask for.

    Attributes:
        wait: Seconds to wait for the outcome (RFC 7240), at most `MAX_WAIT_SECONDS`; None: do not.
        expected_version: From `If-Match`.
        idempotency_key: Makes a repeated request the same command.
        correlation_id: From `X-Correlation-Id`; kept in the log.
        causation_id: From `X-Causation-Id`: the event or message that the client reacts to; kept in the log.
        traceparent: W3C Trace Context, carried on; a malformed one is dropped, as that standard says.
        user_agent: Cut to 255 characters.
    """

    wait: int | None
    expected_version: int | None
    idempotency_key: str | None
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    user_agent: str | None


def read_preferences(headers: Headers) -> Preferences:
    """Return what the headers ask for.

    Raises:
        InvalidFields: `If-Match`, `Idempotency-Key`, `X-Correlation-Id` or `X-Causation-Id` is malformed.
            Ignoring one of these would do something else than was asked.
    """
    given = dict(headers.raw)
    traceparent = _text(given, b"traceparent")
    agent = _text(given, b"user-agent")
    return Preferences(
        wait=_wait(", ".join(headers.getlist("prefer"))) if b"prefer" in given else None,
        expected_version=_expected_version(_text(given, b"if-match")),
        idempotency_key=_matching("Idempotency-Key", _text(given, b"idempotency-key"), _KEY),
        correlation_id=_matching("X-Correlation-Id", _text(given, b"x-correlation-id"), _CORRELATION),
        causation_id=_matching("X-Causation-Id", _text(given, b"x-causation-id"), _CAUSATION),
        traceparent=traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None,
        user_agent=agent[:255] if agent else None,
    )


def _text(given: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = given.get(name)
    return None if value is None else value.decode("latin-1")


def _wait(prefer: str) -> int | None:
    for preference in re.split(r"[,;]", prefer):
        name, _, value = preference.partition("=")
        value = value.strip().strip('"')
        if name.strip().lower() == "wait" and value.isascii() and value.isdigit():
            # The first one counts (RFC 7240, section 2); 0 asks not to wait.
            return min(int(value[:9]), MAX_WAIT_SECONDS) or None
    return None


def _expected_version(value: str | None) -> int | None:
    if value is None or value.strip() == "*":
        return None
    if match := _ETAG.fullmatch(value.strip()):
        return int(match[1])
    reason = 'must be one version in quotes, "3" say, or *'
    raise InvalidFields("a header is not valid", [{"field": "If-Match", "reason": reason}])


def _matching(name: str, value: str | None, pattern: re.Pattern[str]) -> str | None:
    if value is None or pattern.fullmatch(value):
        return value
    raise InvalidFields("a header is not valid", [{"field": name, "reason": f"must match {pattern.pattern}"}])
