"""A position in the feed: an offset in the stream, and the id of the event there. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self
from uuid import UUID

_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PATTERN: Final = f"-1|[0-9]{{1,18}}(?:-{_UUID})?"
"""A position as text, for a regular expression; -1 is the one before the very first event."""
_EVENT_ID: Final = re.compile(_UUID)
_POSITION: Final = re.compile(PATTERN)
MARGIN: Final = timedelta(hours=1)
"""How far clocks may differ, and how late an event may be announced, for `since` to reach back to it."""


def event_id_of(value: object) -> str:
    """Return an announcement's id; empty if it is none of ours, which names nothing."""
    return value if isinstance(value, str) and _EVENT_ID.fullmatch(value) else ""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the feed.

    Attributes:
        offset: Where in the stream.
        event_id: Which event stands there; empty if nobody said.
    """

    offset: int
    event_id: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the position that a text names, with its event or without.

        Raises:
            ValueError: It is no position.
        """
        if not _POSITION.fullmatch(text):
            raise ValueError("is no position, which is an offset, a hyphen and the event's id")
        if text == "-1":
            return cls(-1)
        offset, _, event_id = text.partition("-")
        return cls(int(offset), event_id)

    def __str__(self) -> str:
        return f"{self.offset}-{self.event_id}" if self.event_id else str(self.offset)

    @property
    def since(self) -> datetime | None:
        """A time from which on the log has all that the feed brought after the event; None if it has no name.

        Version 7 UUIDs begin with their milliseconds: https://www.rfc-editor.org/rfc/rfc9562#section-5.7.
        """
        if not self.event_id or self.event_id[14] != "7":
            return None
        try:
            made = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=UUID(self.event_id).int >> 80)
        except OverflowError:  # after the year 9999: a client made it up
            return None
        return made - MARGIN
