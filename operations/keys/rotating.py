"""Wraps every key anew under the current key-encryption key while services work; may be cut off anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from events.errors import KeyTrouble
from service_kit.mongo.key_rows import KeyRows, WrappedRow
from service_kit.seals.kek import Keks
from service_kit.seals.wrapping import LABELS, bound_to

_ROUNDS: Final = 5
"""Looks at a collection: what was wrapped under another key meanwhile is found by the next one."""


@dataclass
class Rotation:
    """What came of it.

    Attributes:
        rewrapped: How many keys of each collection are under the current key now.
        closed: For each collection, a row that does not open, and why; there may be more.
    """

    rewrapped: Counter[str] = field(default_factory=Counter)
    closed: dict[str, tuple[str, str]] = field(default_factory=dict)


async def rotate(rows: KeyRows, keks: Keks, progress: Callable[[int], None]) -> Rotation:
    """Re-wrap what is wrapped under another key than the current one.

    Nothing is kept of how far it is: a row shows by itself under which key it is wrapped, so another run
    goes on where one was cut off, and two at once do no harm.

    Args:
        rows: The keys.
        keks: The current key, and those under which the others are wrapped.
        progress: Is given how many were re-wrapped so far.

    Raises:
        StoreUnavailable: MongoDB is away.
    """
    result = Rotation()
    for collection in LABELS:
        for _ in range(_ROUNDS):
            before = result.rewrapped[collection]
            async for batch in rows.under_others(collection, keks.current):
                await _rewrap(rows, keks, batch, result)
                progress(result.rewrapped.total())
            if result.rewrapped[collection] == before:
                break
    return result


async def _rewrap(rows: KeyRows, keks: Keks, batch: list[WrappedRow], result: Rotation) -> None:
    old, new = [], []
    for row in batch:
        try:
            new.append(_under_current(row, keks))
            old.append(row)
        except KeyTrouble as exc:
            result.closed.setdefault(row.collection, (row.row_id, exc.detail))
    result.rewrapped[batch[0].collection] += await rows.replace(old, new)


def _under_current(row: WrappedRow, keks: Keks) -> WrappedRow:
    bound = bound_to(row.collection, row.row_id)
    kek, key = keks.wrap(keks.unwrap(row.kek, row.key, bound), bound)
    return replace(row, kek=kek, key=key)
