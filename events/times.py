"""The one form of a time: UTC, whole milliseconds (what BSON keeps), RFC 3339 with a Z."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_DATE_AND_TIME: Final = re.compile(r"(\d{4}-?\d{2}-?\d{2})[Tt ](.*)", re.ASCII)
_LEAP_SECOND: Final = re.compile(r"(\d{2}:\d{2}):60", re.ASCII)


def parse_rfc3339(text: str) -> datetime:
    """Return the time that a client wrote, in our form, in any spelling that RFC 3339 allows.

    Those are: `T` and `Z` in lower case too, a blank for `T`, any number of digits of a second, a leap second
    (the first moment of the next minute here). A blank before the offset is a plus that a URL lost.

    Raises:
        ValueError: It is no time, has no offset, or lies outside the years 1 to 9999.
    """
    match = _DATE_AND_TIME.fullmatch(text)
    if match is None:
        raise _no_time()
    clock = match[2].upper().replace(" ", "+")
    leap = _LEAP_SECOND.match(clock)
    if leap:
        clock = f"{leap[1]}:59{clock[leap.end() :]}"
    try:
        time = datetime.fromisoformat(f"{match[1]}T{clock}")
    except ValueError:
        raise _no_time() from None
    if time.tzinfo is None:
        raise ValueError("must have an offset, Z say")
    try:
        if leap:
            time = time.replace(microsecond=0) + timedelta(seconds=1)
        return to_milliseconds(time)
    except OverflowError as exc:
        raise ValueError("lies outside the years 1 to 9999") from exc


def _no_time() -> ValueError:
    return ValueError("is no time as RFC 3339 has it: 2026-01-31T08:00:00Z, say")


def to_milliseconds(time: datetime) -> datetime:
    """Return the time in UTC, cut to whole milliseconds."""
    time = time.astimezone(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


@lru_cache(maxsize=2048)
def rfc3339(time: datetime) -> str:
    """Return an aware UTC time as `2026-01-31T08:00:00.000Z`; remembered, since each is asked thrice."""
    return time.isoformat(timespec="milliseconds")[:-6] + "Z"
