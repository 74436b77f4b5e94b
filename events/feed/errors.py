"""Errors of the feed, a part of the tree in `events.errors`.

RollcallError
└── PositionGone            the stream of events does not have what comes after a position
"""

from events.errors import RollcallError
from events.feed.position import Position
from events.times import rfc3339


class PositionGone(RollcallError):
    """The stream of events does not have all that comes after a position.

    Args:
        reason: Why not; the detail goes on with what to do.
        position: The one that is gone.

    Attributes:
        event_id: The event at the position; empty if the position does not name it.
        next: Where the query API has the log's events since then; all, if there is no telling.
    """

    code = "position-gone"

    def __init__(self, reason: str, position: Position) -> None:
        since = position.since
        bound = "" if since is None else f"from={rfc3339(since)}&"
        self.event_id = position.event_id
        self.next = f"/events?type=person.*&{bound}sort=applied_at&consistency=strong"
        super().__init__(
            f"{reason}: take a new snapshot; or follow from now on, and take the log's events since then: "
            f"GET {self.next}, in pages or as an export (Accept: application/x-ndjson)"
        )
