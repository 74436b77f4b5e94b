"""Remembers how far a subscriber has come, in a file that is never half written."""

from pathlib import Path

from service_kit.files import write_whole


class SavedPosition:
    """The position of the last event that was handled: its offset in the stream, a hyphen, its id.

    Args:
        path: Where it is kept; its directory exists.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def load(self) -> str | None:
        """Return the position; None before the first. One that an older version kept is an offset alone."""
        try:
            return self._path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None

    def save(self, position: str) -> None:
        """Keep a position: after this, also across a loss of power."""
        write_whole(self._path, position)
