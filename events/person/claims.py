"""Which values of a person must be unique, and how each is named in the collection `claims`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from events.person.rejections import ValueTaken
from events.person.schema.declarations import PersonSchema, Value


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


def claim_name(kind: str, values: Sequence[Value]) -> str:
    """Return the name of the claim on some values together.

    Args:
        kind: Of claim.
        values: In the order in which the schema names their fields.
    """
    return ":".join((kind, *map(_part, values))) if len(values) > 1 else f"{kind}:{_text(values[0])}"


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _part(value: Value) -> str:
    """Return one of several values: no two sets of values have the same name."""
    text = _text(value)
    return text.replace("%", "%25").replace(":", "%3A") if "%" in text or ":" in text else text


def claims_of(fields: Mapping[str, Value | None], schema: PersonSchema) -> frozenset[str]:
    """Return the names of the values that a person with these fields holds.

    Args:
        fields: The person's present fields; none for a deleted person.
        schema: Says what is unique. Who lacks one of several fields holds nothing of that kind.
    """
    if not fields:
        return frozenset()
    held = []
    for kind, names in schema.unique.items():
        values = [value for name in names if (value := fields.get(name)) is not None]
        if len(values) == len(names):
            held.append(claim_name(kind, values))
    return frozenset(held)


def kind_of(claim: str) -> str:
    """Return the kind of a claim."""
    return claim.partition(":")[0]


def taken(claim: str, schema: PersonSchema) -> ValueTaken:
    """Return the rejection for a claim that another person holds."""
    kind = kind_of(claim)
    said = schema.taken[kind]
    return ValueTaken(said["en"], kind=kind, fields=schema.unique[kind], said=said)
