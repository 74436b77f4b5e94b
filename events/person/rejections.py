"""The rejections: why the rules refuse a command. A part of the tree in `events.errors`; final.

RollcallError
└── Rejection
    ├── PersonNotFound          no such person, or deleted
    ├── PersonExists            the id is taken, also by a deleted person
    ├── PersonErased            the person was erased: nothing can be done about the id any more
    ├── PersonHeld              a hold forbids erasing
    ├── HoldNotFound            no such hold
    ├── VersionMismatch         If-Match named another version
    ├── UnknownVersion          the person has not been at the version that is wanted back
    ├── ImageExpired            an image was not applied before the sweep of unused ones came
    ├── ValueTaken              a unique value belongs to another person
    ├── IdempotencyKeyReused    the key came before, with other content
    ├── Superseded              it comes out of the dead letters, and a later change has overtaken it
    └── Dropped                 an operator gave it up while its person was parked
"""

from collections.abc import Collection, Mapping
from typing import Final, Self

from events.errors import RollcallError
from events.person.schema.declarations import PersonSchema

_NAMED: Final = 5


class Rejection(RollcallError):
    """The rules refuse a command.

    Args:
        detail: One sentence for the person who reads the answer or the log.
        version: The person's, where it is the reason.
    """

    code = "rejected"

    def __init__(self, detail: str, version: int | None = None) -> None:
        super().__init__(detail)
        self.version = version


class PersonNotFound(Rejection):
    """No such person, or the person was deleted."""

    code = "person-not-found"


class PersonExists(Rejection):
    """The person's id was used before."""

    code = "person-exists"


class PersonErased(Rejection):
    """The person was erased."""

    code = "person-erased"


class PersonHeld(Rejection):
    """A hold forbids erasing the person."""

    code = "person-held"

    @classmethod
    def by(cls, holds: Mapping[str, str]) -> Self:
        """Return the rejection for a person with holds, named in it.

        Args:
            holds: The reason of each, by its reference; at least one.
        """
        named = ", ".join(f"{one} ({reason})" for one, reason in sorted(holds.items())[:_NAMED])
        return cls(f"a hold forbids erasing the person: {named}")


class HoldNotFound(Rejection):
    """The person has no such hold."""

    code = "hold-not-found"


class VersionMismatch(Rejection):
    """The person is not at the version that the client expected."""

    code = "version-mismatch"

    @classmethod
    def of(cls, version: int, expected: Collection[int]) -> Self:
        """Return the rejection for a person at another version than any of those expected."""
        others = ", ".join(map(str, sorted(expected)[:_NAMED])) or "one that is named by a strong ETag"
        return cls(f"the person is at version {version}, not {others}", version)


class UnknownVersion(Rejection):
    """The person has not yet been at the version to which it shall go back."""

    code = "unknown-version"


class ImageExpired(Rejection):
    """The command waited so long that its image was taken for one that nobody wants."""

    code = "image-expired"


class ValueTaken(Rejection):
    """A value that must be unique belongs to another person: `duplicate-` and the kind of claim.

    Args:
        detail: As of any rejection.
        version: None.
        kind: Of claim.
        fields: Those whose values together are another person's.
        said: The sentence by language.
    """

    def __init__(
        self,
        detail: str,
        version: int | None = None,
        *,
        kind: str,
        fields: tuple[str, ...],
        said: Mapping[str, str],
    ) -> None:
        super().__init__(detail, version)
        self.code = taken_code(kind)  # type: ignore[misc]
        self.fields = fields
        self.said = said


def taken_code(kind: str) -> str:
    """Return the code of the rejection for a claim of a kind that another person holds."""
    return f"duplicate-{kind.replace('_', '-')}"


class IdempotencyKeyReused(Rejection):
    """The same key came before, with other content or another `If-Match`."""

    code = "idempotency-key-reused"


class Superseded(Rejection):
    """An operator handed the command in again after a later one of its person was applied."""

    code = "superseded"


class Dropped(Rejection):
    """An operator gave the command up while its person was parked."""

    code = "dropped"


REJECTIONS: Final[dict[str, type[Rejection]]] = {
    kind.code: kind
    for kind in (
        PersonNotFound,
        PersonExists,
        PersonErased,
        PersonHeld,
        HoldNotFound,
        VersionMismatch,
        UnknownVersion,
        ImageExpired,
        IdempotencyKeyReused,
        Superseded,
        Dropped,
    )
}
"""By code, those that any schema knows."""


def rejection_of(code: str, detail: str, version: int | None, schema: PersonSchema) -> Rejection:
    """Return a rejection that is on record.

    Args:
        code: Its code.
        detail: Its sentence.
        version: The person's, where it is the reason.
        schema: Says what is unique. A kind that is no more has no fields.
    """
    if code in REJECTIONS:
        return REJECTIONS[code](detail, version)
    for kind, fields in schema.unique.items():
        if taken_code(kind) == code:
            return ValueTaken(detail, kind=kind, fields=fields, said=schema.taken[kind])
    return ValueTaken(detail, kind=code.removeprefix("duplicate-"), fields=(), said={})
