"""The record of an import: who asked for what, how far it is, how it ended. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from command_api.imports.formats import ImportFormat
from command_api.imports.headings import Header
from command_api.imports.options import ImportQuery
from events.errors import ImportConflict
from events.imports.states import Mode, State

EMPTY_DIGEST: Final = sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is asked for; the same id with another order is refused.

    Attributes:
        import_id: Its id.
        actor: Subject of who asked.
        mode: Whether people may be changed.
        dry_run: Whether rows are only checked.
        media_type: Of the file.
        delimiter: Between its cells, if it is CSV.
        columns: The field of each of its columns, null for one that is let go, if it is CSV; else the
            chosen names; None for all.
    """

    import_id: str
    actor: str
    mode: Mode
    dry_run: bool
    media_type: str
    delimiter: str | None
    columns: tuple[str | None, ...] | None

    @classmethod
    def of(
        cls, import_id: str, actor: str, query: ImportQuery, form: ImportFormat, header: Header | None
    ) -> "ImportRequest":
        """Return the order that a request makes."""
        chosen = None if query.chosen is None else tuple(sorted(query.chosen))
        return cls(
            import_id,
            actor,
            query.mode,
            query.dry_run,
            form.media_type,
            header.delimiter if header else None,
            header.names if header else chosen,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is for sure: of these rows each is confirmed by the broker, or on record as refused.

    Attributes:
        read: Rows.
        accepted: Of them, those that became commands, or that would.
        refused: Of them, those that are not valid.
        digest: SHA-256 over their bytes, hexadecimal.
    """

    read: int = 0
    accepted: int = 0
    refused: int = 0
    digest: str = EMPTY_DIGEST


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """An import as it is kept.

    Attributes:
        order: What was asked for.
        owner: The request that reads it, or read it last.
        state: Where it is.
        whole: Whether the file was read to its end.
        progress: How far it is.
        begun_at: UTC.
        applied: Counted by workers once they had decided all of it.
    """

    order: ImportRequest
    owner: str
    state: State
    whole: bool
    progress: Progress
    begun_at: datetime
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fresh(
        cls, order: ImportRequest, owner: str, now: datetime, more: Mapping[str, Any]
    ) -> "ImportRecord":
        """Return the record of an import that begins.

        Args:
            order: What is asked for.
            owner: Names the request.
            now: The time, UTC.
            more: What else is worth keeping.
        """
        return cls(order, owner, "reading", whole=False, progress=Progress(), begun_at=now, more=more)

    def document(self) -> dict[str, Any]:
        """Return it as the collection `imports` keeps it."""
        order = asdict(self.order)
        return {
            "_id": order.pop("import_id"),
            **order,
            "columns": None if self.order.columns is None else list(self.order.columns),
            "owner": self.owner,
            "state": self.state,
            "whole": self.whole,
            **asdict(self.progress),
            "begun_at": self.begun_at,
            "updated_at": self.begun_at,
            "settled": False,
            "expires_at": None,
            "applied": 0,
            "undone": 0,
            **self.more,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "ImportRecord":
        """Return the import in a document of `imports`."""
        columns = document["columns"]
        return cls(
            ImportRequest(
                document["_id"],
                document["actor"],
                document["mode"],
                document["dry_run"],
                document["media_type"],
                document["delimiter"],
                None if columns is None else tuple(columns),
            ),
            document["owner"],
            document["state"],
            document["whole"],
            Progress(document["read"], document["accepted"], document["refused"], document["digest"]),
            document["begun_at"],
        )


def require_same(known: ImportRequest, asked: ImportRequest) -> None:
    """Return if an import may go on as it is asked for.

    Raises:
        ImportConflict: It was begun by somebody else, or as something else.
    """
    if known.actor != asked.actor:
        raise ImportConflict("this import was begun by somebody else: choose another id")
    mine, theirs = asdict(asked), asdict(known)
    if other := [name for name in mine if mine[name] != theirs[name]]:
        raise ImportConflict(f"this import was begun with another {', '.join(other)}: choose another id")
