"""How the read model may differ from the log, and how that is said, without personal values. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from operations.rebuild.folding import Folded
from service_kit.read_model import PROJECTION, projection_name

Kind = Literal[
    "missing",
    "orphan",
    "changed",
    "stale",
    "outdated",
    "ahead",
    "newer",
    "unreadable",
    "claim_missing",
    "claim_taken",
    "claim_stray",
    "milestone_missing",
    "milestone_stray",
]
TEXTS: Final[Mapping[str, str]] = {
    "missing": "the read model lacks the person",
    "orphan": "the read model has a person of whom the log knows nothing: the last copy; left alone",
    "changed": "the document differs from the log",
    "stale": "the document is older than the log",
    "outdated": f"the document is in an older form than projection {projection_name(PROJECTION)}",
    "ahead": "the document is newer than the log, which has lost events or was never written; left alone",
    "newer": f"the document is in a newer form than projection {projection_name(PROJECTION)}; left alone",
    "unreadable": "the log cannot be folded; the document is left alone",
    "claim_missing": "a value of the person's is not reserved",
    "claim_taken": "a value of the person's is reserved for another person; left alone",
    "claim_stray": "a value is reserved that the person has not",
    "milestone_missing": "a milestone is missing: reading earlier versions takes longer",
    "milestone_stray": "a milestone is kept that is not what the log says",
}
LEFT_ALONE: Final = frozenset({"ahead", "newer", "unreadable", "claim_taken", "orphan"})
"""What a rebuild does not put right; orphans, only when it is told to remove them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in the read model that is not as the log says.

    Attributes:
        kind: What it is.
        person_id: Whose.
        fields: Names of the fields that differ; of a claim, the kind of value.
        reason: More on it.
    """

    kind: Kind
    person_id: str
    fields: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def sentence(self) -> str:
        """The difference as one line; the id is shown with its odd characters escaped."""
        named = f": {', '.join(self.fields)}" if self.fields else ""
        reason = f" ({self.reason})" if self.reason else ""
        person_id = self.person_id.encode("unicode_escape").decode()
        return f"person {person_id}: {TEXTS[self.kind]}{named}{reason}"

    def as_json(self) -> dict[str, Any]:
        """The difference as an object, without what it has not."""
        return {name: value for name, value in asdict(self).items() if value}


def difference(folded: Folded, seen: Mapping[str, Any] | None) -> Difference | None:
    """Return how a document of `people` differs from what it should be; None if it does not.

    Args:
        folded: What the person's events come to.
        seen: The document that is there, if one is.
    """
    person_id, wanted = folded.person_id, folded.document
    if folded.problem is not None:
        return Difference("unreadable", person_id, reason=folded.problem)
    if wanted is None:
        return None if seen is None else Difference("orphan", person_id)
    if seen is None:
        return Difference("missing", person_id)
    if seen == wanted:
        return None
    names = tuple(sorted(name for name in wanted.keys() | seen.keys() if _differs(name, wanted, seen)))
    projection = wanted["projection"]
    if _number(seen.get("projection")) > projection:
        return Difference("newer", person_id, names)
    version = seen.get("version")
    if _number(version) > folded.version:
        return Difference("ahead", person_id, reason=f"version {version}, of {folded.version}")
    if _number(version) == folded.version:
        kind: Kind = "outdated" if _number(seen.get("projection")) < projection else "changed"
        return Difference(kind, person_id, names)
    return Difference("stale", person_id, names)


def _differs(name: str, wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    absent = object()
    return bool(wanted.get(name, absent) != seen.get(name, absent))


def _number(value: object) -> float:
    """Return a version or projection; less than any for what is none."""
    return value if isinstance(value, int | float) else -1
