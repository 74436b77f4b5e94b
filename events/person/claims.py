"""Which values of a person must be unique, and how each is named in the collection `claims`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from events.person.rejections import DuplicateDocument, DuplicateEmail, ValueTaken
from events.person.schema import UNIQUE

_TAKEN: Final[dict[str, tuple[type[ValueTaken], str]]] = {
    "document": (DuplicateDocument, "another person has this document"),
    "email": (DuplicateEmail, "another person has this e-mail address"),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A unique value that an event of a person takes, or that a person gives up.

    Attributes:
        name: As `claims_of` names it.
        person_id: Who holds it.
        version: The event that takes it; for a release, only an older claim than this version goes.
    """

    name: str
    person_id: str
    version: int


# Filled in for each person several times a command: quicker than joining the values.
_NAMES: Final = {kind: ":".join((kind, *[f"%({name})s" for name in names])) for kind, names in UNIQUE.items()}
_WITHOUT_EMAIL: Final = tuple(name for kind, name in _NAMES.items() if kind != "email")
_ALL: Final = tuple(_NAMES.values())


def document_claim(document_type: str, document_id: str) -> str:
    """Return the name of the claim on a document."""
    return _NAMES["document"] % {"document_type": document_type, "document_id": document_id}


def claims_of(fields: Mapping[str, str], *, unique_email: bool) -> frozenset[str]:
    """Return the names of the values that a person with these fields holds.

    Args:
        fields: The person's present fields; none for a deleted person.
        unique_email: Whether e-mail addresses are unique too.
    """
    if not fields:
        return frozenset()
    return frozenset([name % fields for name in (_ALL if unique_email else _WITHOUT_EMAIL)])


def taken(claim: str) -> ValueTaken:
    """Return the rejection for a claim that another person holds."""
    kind, detail = _TAKEN[claim.partition(":")[0]]
    return kind(detail)
