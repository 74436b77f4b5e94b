"""What a verification can find, and how it is said."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal[
    "altered",
    "damaged",
    "missing",
    "doubled",
    "replaced",
    "unlinked",
    "truncated",
    "forgotten",
    "unerased",
    "removed",
    "rewritten",
    "unreadable",
    "checkpoint",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was: of a stream, its first bad version.

    Attributes:
        kind: What happened to it.
        text: The same for people to read, without the place.
        person_id: Whose stream, if it is known.
        version: The first bad version of that stream.
        event_id: The event that stands there, if one does.
        line: Number of the line in the export, from 1.
        checkpoint: Number of the checkpoint that shows it, or that is bad itself.
    """

    kind: Kind
    text: str
    person_id: str | None = None
    version: int | None = None
    event_id: str | None = None
    line: int | None = None
    checkpoint: int | None = None

    @property
    def sentence(self) -> str:
        """The finding with its place, as one line; what was read is shown with its odd characters escaped."""
        places = []
        if self.person_id is not None:
            places.append(f"person {shown(self.person_id)}")
        if self.version is not None:
            places.append(f"version {self.version}")
        if self.person_id is None and self.line is not None:
            places.append(f"line {self.line}")
        if self.kind == "checkpoint" and self.checkpoint is not None:
            places.append(f"checkpoint {self.checkpoint}")
        said = f"{', '.join(places)}: {self.text}" if places else self.text
        notes = []
        if self.event_id is not None:
            notes.append(f"event {shown(self.event_id)}")
        if self.person_id is not None and self.line is not None:
            notes.append(f"line {self.line}")
        return f"{said} ({', '.join(notes)})" if notes else said

    def as_json(self) -> dict[str, Any]:
        """Return what is known of it, JSON-ready."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def result(count: int) -> str:
    """Return what so many findings come to, as the end of a sentence."""
    if not count:
        return "nothing was altered"
    return f"{count:,} finding{'s' * (count != 1)}"


def shown(text: str) -> str:
    """Return a text from the log so that it cannot pass for a line, or a terminal's command, of ours."""
    escaped = text if text.isprintable() else ascii(text)[1:-1]
    return escaped if len(escaped) <= 100 else f"{escaped[:100]}…"
