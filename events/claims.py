"""Owns which values of a person must be unique and how each is named in the collection `claims`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from events.rejections import DuplicateDocument, DuplicateEmail, ValueTaken

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


def document_claim(document_type: str, document_id: str) -> str:
    """Return the name of the claim on a document."""
    return f"document:{document_type}:{document_id}"


def claims_of(fields: Mapping[str, str], *, unique_email: bool) -> frozenset[str]:
    """Return the names of the values that a person with these fields holds.

    Args:
        fields: The person's present fields; none for a deleted person.
        unique_email: Whether e-mail addresses are unique too.
    """
    if not fields:
        return frozenset()
    claims = {document_claim(fields["document_type"], fields["document_id"])}
    if unique_email:
        claims.add(f"email:{fields['email']}")
    return frozenset(claims)


def taken(claim: str) -> ValueTaken:
    """Return the rejection for a claim that another person holds."""
    kind, detail = _TAKEN[claim.partition(":")[0]]
    return kind(detail)
