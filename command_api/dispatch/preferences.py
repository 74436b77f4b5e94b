"""Reads the request headers that steer a command, strictly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.datastructures import Headers

from events.errors import InvalidFields
from events.imports.states import CORRELATION
from service_kit.http.conditions import expected_tags, versions_in

MAX_WAIT_SECONDS: Final = 30

KEY: Final = re.compile(r"[!-~]{1,255}")
"""What an idempotency key is."""
CAUSATION: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")
"""What the id of an event or message is. It stays in the log, so no e-mail address is one."""
# An import is counted by its correlation id: nobody else may write under it.
_CORRELATION: Final = re.compile(rf"(?!{CORRELATION}){CAUSATION.pattern}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the headers of one request ask for.

    Attributes:
        wait: Seconds to wait for the outcome (RFC 7240), at most `MAX_WAIT_SECONDS`; None: do not.
        expected_versions: From `If-Match`; empty if no version can match, None if any may.
        idempotency_key: Makes a repeated request the same command.
        correlation_id: From `X-Correlation-Id`; kept in the log.
        causation_id: From `X-Causation-Id`: the event or message that the client reacts to; kept in the log.
        traceparent: W3C Trace Context, carried on; a malformed one is dropped, as that standard says.
        user_agent: Cut to 255 characters.
        accept_language: In which languages the client wants to be told what is wrong.
    """

    wait: int | None
    expected_versions: frozenset[int] | None
    idempotency_key: str | None
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    user_agent: str | None
    accept_language: str | None

    def refuse_condition(self) -> None:
        """Refuse `If-Match` where there is nothing yet that has a version.

        Raises:
            InvalidFields: It names versions.
        """
        if self.expected_versions is not None:
            reason = "does not go with this request: there is no version yet"
            raise InvalidFields("a header is not valid", [{"field": "If-Match", "reason": reason}])


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
        expected_versions=versions_in(expected_tags(headers)) if b"if-match" in given else None,
        idempotency_key=_key(_text(given, b"idempotency-key")),
        correlation_id=_matching("X-Correlation-Id", _text(given, b"x-correlation-id"), _CORRELATION),
        causation_id=_matching("X-Causation-Id", _text(given, b"x-causation-id"), CAUSATION),
        traceparent=traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None,
        user_agent=agent[:255] if agent else None,
        accept_language=_text(given, b"accept-language"),
    )


async def _of(request: Request) -> Preferences:
    return read_preferences(request.headers)


Preferred = Annotated[Preferences, Depends(_of)]
"""What the headers of a typed route's request ask for."""


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


def _key(value: str | None) -> str | None:
    if value is None or KEY.fullmatch(value):
        return value
    reason = "must be 1 to 255 visible ASCII characters, without spaces"
    raise InvalidFields("a header is not valid", [{"field": "Idempotency-Key", "reason": reason}])


def _matching(name: str, value: str | None, pattern: re.Pattern[str]) -> str | None:
    if value is None or pattern.fullmatch(value):
        return value
    if value.startswith(CORRELATION):
        reason = f"must not begin with {CORRELATION}, which imports begin with"
    else:
        reason = "must be 1 to 128 letters (A-Z, a-z), digits or any of . _ : -"
    raise InvalidFields("a header is not valid", [{"field": name, "reason": reason}])
