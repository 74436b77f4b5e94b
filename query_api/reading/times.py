"""Reads the times that filters name: a moment with its offset, or a day and a time of some zone."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal
from zoneinfo import ZoneInfo

from pydantic_core import PydanticCustomError

from events.times import parse_rfc3339, to_milliseconds

Operator = Literal["gte", "gt", "lte", "lt"]
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WITH_OFFSET: Final = re.compile(r".{8,10}[Tt ].*(?:[Zz]|[+\- ][0-9]{2}:?[0-9]{2})")
_OFFSET: Final = re.compile(r"([+\- ])([0-9]{2}):?([0-9]{2})")
_SIGNS: Final = {"+": 1, " ": 1, "-": -1}
"""A blank is a plus that a URL lost."""


@lru_cache(maxsize=256)
def zone_of(text: str) -> tzinfo:
    """Return the time zone that a client names: `America/Bogota`, in any case, `-05:00`, `UTC`.

    Raises:
        ValueError: There is none of that name.
    """
    if text.upper() in ("UTC", "Z"):
        return UTC
    if match := _OFFSET.fullmatch(text):
        hours, minutes = int(match[2]), int(match[3])
        if hours < 24 and minutes < 60:
            return timezone(_SIGNS[match[1]] * timedelta(hours=hours, minutes=minutes))
    elif name := _zones().get(_zone_key(text)):
        return ZoneInfo(name)
    if near := _near_zone(text):
        raise PydanticCustomError(
            "unknown_time_zone", "is no time zone: did you mean {zone}?", {"zone": near}
        )
    raise PydanticCustomError(
        "unknown_time_zone", "is no time zone: write America/Bogota, -05:00 or UTC, for example"
    )


def _zone_key(name: str) -> str:
    """Return what the name of a zone is compared by."""
    return name.casefold().replace(" ", "_")


@lru_cache
def _zones() -> Mapping[str, str]:
    """Return the names of the zones by their keys, the same on every machine."""
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return {_zone_key(name): name for name in names}


@lru_cache(maxsize=256)
def _near_zone(text: str) -> str | None:
    """Return the zone that was probably meant, by its name or by its last part, the city."""
    known = {key.rpartition("/")[2]: name for key, name in _zones().items()} | dict(_zones())
    near = get_close_matches(_zone_key(text), known, 1, 0.8)
    return known[near[0]] if near else None


def span_of(text: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the moment that a client names, twice; of a day, its first moment and that of the day after.

    Args:
        text: RFC 3339; or a day, or a time without an offset.
        zone: Where that day or time is.

    Raises:
        ValueError: It is none of those, or lies outside the years 1 to 9999.
    """
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return _midnight(day, zone), _end_of(day, zone)
        if _WITH_OFFSET.fullmatch(text):
            moment = parse_rfc3339(text)
        else:
            moment = to_milliseconds(parse_rfc3339(f"{text}Z").replace(tzinfo=zone))
    except (ValueError, OverflowError) as exc:
        if isinstance(exc, OverflowError) or isinstance(exc.__cause__, OverflowError):
            raise PydanticCustomError("time_out_of_range", "lies outside the years 1 to 9999") from exc
        raise PydanticCustomError(
            "no_time", "must be a time as 2026-01-31T08:00:00Z, or a day as 2026-01-31"
        ) from exc
    return moment, moment


def _end_of(day: date, zone: tzinfo) -> datetime:
    """Return the first moment of the day after; for the last day of all, which means no end, that of time."""
    if day == date.max:
        return to_milliseconds(datetime.max.replace(tzinfo=UTC))
    return _midnight(day + timedelta(days=1), zone)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return to_milliseconds(datetime.combine(day, time(), zone))


def bound(text: str, operator: Operator, zone: tzinfo) -> tuple[str, datetime]:
    """Return MongoDB's operator and value for a bound; a day is meant as a whole.

    Args:
        text: As for `span_of`.
        operator: What a client asks for: `lte` of a day includes that day.
        zone: As for `span_of`.
    """
    start, end = span_of(text, zone)
    if start == end:
        return f"${operator}", start
    return {"gte": ("$gte", start), "gt": ("$gte", end), "lte": ("$lt", end), "lt": ("$lt", start)}[operator]
