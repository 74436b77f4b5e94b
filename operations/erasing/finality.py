"""Says whether an erasure is final: whether anything is left by which an old copy could be opened. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_MADE: Final = re.compile(r"(\d{4})(\d{2})(\d{2})-")


@dataclass(frozen=True)
class Remains:
    """What is there of all that keys and entries of before could be in.

    Attributes:
        keks: The ids of the key-encryption keys in the file, and of those that rows are wrapped under.
        transport_days: The days, `2026-11-29`, of the transport keys that are there.
        access_months: The months, `2026-11`, of the keys of access records that are there.
        oplogs: By member, the time of the oldest oplog entry; None where it could not be looked at.
    """

    keks: Collection[str]
    transport_days: Collection[str]
    access_months: Collection[str]
    oplogs: Mapping[str, datetime | None]


def left_from_before(erased_at: datetime, remains: Remains) -> Iterator[str]:
    """Yield what keeps an erasure from being final, each as a phrase.

    A key-encryption key of the same day counts as older, and so does one whose id does not begin with the day
    on which it was made.

    Args:
        erased_at: When the person was erased.
        remains: What is there.
    """
    day = f"{erased_at:%Y-%m-%d}"
    if keks := [one for one in sorted(remains.keks) if _day_of(one) <= day]:
        yield f"key-encryption key {', '.join(keks)}"
    if days := [one for one in remains.transport_days if one <= day]:
        yield f"transport keys from {min(days)} to {max(days)}"
    if months := [one for one in remains.access_months if one <= day[:7]]:
        yield f"access keys from {min(months)} to {max(months)}"
    for member, oldest in sorted(remains.oplogs.items()):
        if oldest is None:
            yield f"the oplog of {member}, which cannot be looked at"
        elif oldest <= erased_at:
            yield f"the oplog of {member}, which begins at {oldest:%Y-%m-%dT%H:%M:%SZ}"


def _day_of(kek: str) -> str:
    """Return the day on which a key was made, by its id; one that does not say it is as old as can be."""
    made = _MADE.match(kek)
    return "-".join(made.groups()) if made else ""
