"""Exports access records: the views that pages show, as lines of NDJSON or rows of CSV."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from events.cells import csv_lines, neutralised
from query_api.accesses.answers import Access
from query_api.accesses.queries import AccessReads, Wanted
from query_api.exports.event_lines import CSV
from service_kit.mongo.connection import MemberAddress

COLUMNS: Final = tuple(Access.model_fields)
HEADER: Final = csv_lines([COLUMNS])
_JSON: Final = ("filters", "values", "people")
_FOREIGN: Final = ("subject", "address", "purpose")
Show = Callable[[Mapping[str, Any]], dict[str, Any]]


class AccessBatches:
    """The accesses that are wanted, batch by batch, as an export takes them.

    Args:
        reads: Finds them.
        wanted: Which.
        show: Makes of each what the caller sees.
    """

    def __init__(self, reads: AccessReads, wanted: Wanted, show: Show) -> None:
        self._batches = reads.batches(wanted)
        self._show = show
        self.address: MemberAddress | None = None

    async def next(self) -> Sequence[dict[str, Any]] | None:
        """Return some more; None once there are no more."""
        async for batch, some in self._batches:
            self.address = batch["member"]
            return [self._show(view) for _, view in some]
        return None

    async def close(self) -> None:
        """Stop reading."""
        closing: Any = self._batches
        if isinstance(self._batches, AsyncIterator) and hasattr(closing, "aclose"):
            await closing.aclose()


def lines_of(media_type: str) -> Callable[[Sequence[Mapping[str, Any]]], bytes]:
    """Return what writes accesses in a form."""
    return _csv if media_type == CSV else _ndjson


def _ndjson(views: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(view, option=orjson.OPT_APPEND_NEWLINE) for view in views)


def _csv(views: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows (RFC 4180); lists and values are JSON in one cell, and no cell begins a formula."""
    rows = []
    for view in views:
        row = dict(view)
        for name in _JSON:
            row[name] = orjson.dumps(row[name]).decode()
        for name in _FOREIGN:
            row[name] = row[name] and neutralised(row[name])
        rows.append([row[name] for name in COLUMNS])
    return csv_lines(rows)
