"""Which values of a person must be unique, and how each is named in the collection `claims`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from events.person.rejections import ValueTaken
from events.person.schema.declarations import FieldDeclaration, PersonSchema, Value


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
        kind: Of claim, as claims call it.
        values: In the order in which the schema names their fields.
    """
    return ":".join((kind, *map(_part, values))) if len(values) > 1 else f"{kind}:{_text(values[0])}"


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _part(value: Value) -> str:
    """Return one of several values: no two sets of values have the same name."""
    text = _text(value)
    return text.replace("%", "%25").replace(":", "%3A") if "%" in text or ":" in text else text


@lru_cache(maxsize=16)
def _claimers(schema: PersonSchema) -> tuple[Callable[[Mapping[str, Value | None]], str | None], ...]:
    """Return, for each kind of claim, what names the one that some fields hold; None if they lack a value.

    Asked several times a command: what most schemas have is joined in the quickest way.
    """
    return tuple(
        _claimer(called, [schema.by_name[name] for name in schema.unique[kind]])
        for called, kind in schema.kinds.items()
    )


def _claimer(
    kind: str, fields: Sequence[FieldDeclaration]
) -> Callable[[Mapping[str, Value | None]], str | None]:
    names = [field.name for field in fields]
    plain = len(fields) == 1 or all(map(_is_unquoted, fields))
    if not (plain and all(field.type == "string" for field in fields)):

        def quoted(held: Mapping[str, Value | None]) -> str | None:
            values = [value for name in names if (value := held.get(name)) is not None]
            return claim_name(kind, values) if len(values) == len(names) else None

        return quoted
    template = ":".join((kind.replace("%", "%%"), *(f"%({name})s" for name in names)))

    def joined(held: Mapping[str, Value | None]) -> str | None:
        for name in names:
            if held.get(name) is None:
                return None
        return template % held

    return joined


def _is_unquoted(field: FieldDeclaration) -> bool:
    """Return whether no value of a field has a sign that separates values."""
    if field.format == "code":
        return not any(":" in code or "%" in code for code in field.words)
    return field.format in ("birth-date", "date", "decimal", "document-number", "uuid")


def claims_of(fields: Mapping[str, Value | None], schema: PersonSchema) -> frozenset[str]:
    """Return the names of the values that a person with these fields holds.

    Args:
        fields: The person's present fields; none for a deleted person.
        schema: Says what is unique. Who lacks one of several fields holds nothing of that kind.
    """
    if not fields:
        return frozenset()
    return frozenset([name for claimer in _claimers(schema) if (name := claimer(fields)) is not None])


def kind_of(claim: str, schema: PersonSchema) -> str | None:
    """Return the kind of a claim; None if it is of a kind that is not unique now."""
    return schema.kinds.get(claim.partition(":")[0])


def is_later(claim: str, schema: PersonSchema) -> bool:
    """Return whether a claim is of a kind that a later schema made unique.

    Such a one is reserved for everybody before that schema comes into force.
    """
    _, dot, number = claim.partition(":")[0].rpartition(".")
    return bool(dot) and number.isdecimal() and int(number) > schema.version


def taken(claim: str, schema: PersonSchema) -> ValueTaken:
    """Return the rejection for a claim that another person holds."""
    kind = schema.kinds[claim.partition(":")[0]]
    said = schema.taken[kind]
    return ValueTaken(said["en"], kind=kind, fields=schema.unique[kind], said=said)
