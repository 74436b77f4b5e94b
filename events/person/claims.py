"""Which values of a person must be unique, and how each is named in the collection `claims`."""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from events.log.commitments import jcs
from events.person.rejections import ValueTaken
from events.person.schema.declarations import PersonSchema, Value

_NONE: Final = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Claim:
    """A unique value that an event of a person takes, or that a person gives up.

    Attributes:
        name: As `ClaimNames` makes it.
        person_id: Who holds it.
        version: The event that takes it; for a release, only an older claim than this version goes.
    """

    name: str
    person_id: str
    version: int


ClaimState = Literal["made", "filling", "whole", "old"]
"""What a secret of claims is good for; each state comes after the one before.

`made` and `old`: values are freed under it, and not claimed. `filling`: they are claimed under it, too, but
not all are yet. `whole`: all are, so that they are looked up under it.
"""


@dataclass(frozen=True, slots=True)
class ClaimSecret:
    """A secret that makes names of claims.

    Attributes:
        number: Grows from each to the next, and stands in the names.
        state: What it is good for.
        secret: 32 bytes.
    """

    number: int
    state: ClaimState
    secret: bytes = field(repr=False)


class ClaimNames:
    """Names claims so that a name tells nothing of its values: `kind:number:HMAC-SHA256(secret, values)`.

    While a new secret takes the place of an old one, each value has a name under both.

    Args:
        schema: Says what is unique, and what is to be.
        secrets: All that there are; at least one is `whole`.
    """

    def __init__(self, schema: PersonSchema, secrets: Iterable[ClaimSecret]) -> None:
        known = sorted(secrets, key=lambda one: one.number)
        self.schema = schema
        self.newest = max(one.number for one in known)
        self._all = [(f":{one.number}:", one.secret) for one in known]
        claimed = [one for one in known if one.state in ("filling", "whole")]
        self._claimed = [(f":{one.number}:", one.secret) for one in claimed]
        self._complete = [(f":{one.number}:", one.secret) for one in claimed if one.state == "whole"][-1]
        self._kinds = [(called, schema.unique[kind]) for called, kind in schema.kinds.items()]
        self._kinds += schema.coming.items()

    def held(self, fields: Mapping[str, Value | None]) -> frozenset[str]:
        """Return the names that are claimed for a person with these fields.

        Args:
            fields: The person's present fields; none for a deleted person. Who lacks one of several fields
                holds nothing of that kind.
        """
        return self._names(self._values(fields), self._claimed)

    def possible(self, fields: Mapping[str, Value | None]) -> frozenset[str]:
        """Return the names that a person with these fields may hold: under every secret that is known."""
        return self._names(self._values(fields), self._all)

    def changed(
        self, before: Mapping[str, Value | None], after: Mapping[str, Value | None]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return the names that a change of a person's fields takes, and those that it gives up."""
        had, has = self._values(before), self._values(after)
        if had == has:
            return _NONE, _NONE
        return self._names(has - had, self._claimed), self._names(had - has, self._all)

    def name(self, kind: str, values: Sequence[Value]) -> str:
        """Return the name by which some values together are looked up.

        Args:
            kind: Of claim, as claims call it.
            values: In the order in which the schema names their fields.
        """
        return _name(_written(kind, values), *self._complete)

    def names(self, kind: str, values: Sequence[Value]) -> list[str]:
        """Return the names under which some values together are claimed; arguments as of `name`."""
        return [_name(_written(kind, values), *one) for one in self._claimed]

    def is_of_newer_secret(self, claim: str) -> bool:
        """Return whether a claim's secret came after all that are known here."""
        number = claim.split(":", 2)[1:2]
        return bool(number) and number[0].isdecimal() and int(number[0]) > self.newest

    def _values(self, fields: Mapping[str, Value | None]) -> set[tuple[str, bytes]]:
        """Return the values that must be unique, by what claims call their kind, as a hash takes them."""
        found = set[tuple[str, bytes]]()
        if not fields:
            return found
        for called, names in self._kinds:
            values = [value for name in names if (value := fields.get(name)) is not None]
            if len(values) == len(names):
                found.add(_written(called, values))
        return found

    def _names(
        self, values: Iterable[tuple[str, bytes]], secrets: Sequence[tuple[str, bytes]]
    ) -> frozenset[str]:
        return frozenset([_name(one, *secret) for one in values for secret in secrets])


def _written(kind: str, values: Sequence[Value]) -> tuple[str, bytes]:
    return kind, jcs([kind, *values])


def _name(written: tuple[str, bytes], number: str, secret: bytes) -> str:
    kind, text = written
    return kind + number + hmac.digest(secret, text, "sha256").hex()


def kind_of(claim: str, schema: PersonSchema) -> str | None:
    """Return the kind of a claim; None if it is of a kind that is not unique now."""
    return schema.kinds.get(claim.partition(":")[0])


def coming_kind(claim: str, schema: PersonSchema) -> str | None:
    """Return the kind of a claim, as claims call it, if it is only to be unique: nobody is refused for it."""
    called = claim.partition(":")[0]
    return called if called in schema.coming else None


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
