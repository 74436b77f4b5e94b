"""Owns the one form of a time: UTC, whole milliseconds (what BSON keeps), RFC 3339 with a Z."""

from datetime import UTC, datetime
from functools import lru_cache


def parse_rfc3339(text: str) -> datetime:
    """Return the time that a client wrote, in our form; a blank before the offset is a lost plus.

    Raises:
        ValueError: It is no time, has no offset, or lies outside the years 1 to 9999.
    """
    time = datetime.fromisoformat(text.replace(" ", "+"))
    if time.tzinfo is None:
        raise ValueError("must have an offset, Z say")
    try:
        return to_milliseconds(time)
    except OverflowError as exc:
        raise ValueError("lies outside the years 1 to 9999") from exc


def to_milliseconds(time: datetime) -> datetime:
    """Return the time in UTC, cut to whole milliseconds."""
    time = time.astimezone(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


@lru_cache(maxsize=2048)
def rfc3339(time: datetime) -> str:
    """Return an aware UTC time as `2026-01-31T08:00:00.000Z`; remembered, since each is asked thrice."""
    return time.isoformat(timespec="milliseconds")[:-6] + "Z"
