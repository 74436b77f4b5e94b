"""The rejections: why the rules refuse a command. A part of the tree in `events.errors`; final.

RollcallError
└── Rejection
    ├── PersonNotFound          no such person, or deleted
    ├── PersonExists            the id is taken, also by a deleted person
    ├── VersionMismatch         If-Match named another version
    ├── UnknownVersion          the person has not been at the version that is wanted back
    ├── ImageExpired            an image was not applied before the sweep of unused ones came
    ├── ValueTaken              a unique value belongs to another person
    │   ├── DuplicateDocument
    │   └── DuplicateEmail
    ├── IdempotencyKeyReused    the key came before, with other content
    ├── Superseded              it comes out of the dead letters, and a later change has overtaken it
    └── Dropped                 an operator gave it up while its person was parked
"""

from collections.abc import Collection
from typing import ClassVar, Final, Self

from events.errors import RollcallError
from events.person.schema import UNIQUE

_NAMED: Final = 5


class Rejection(RollcallError):
    """The rules refuse a command.

    Args:
        detail: One sentence for the person who reads the answer or the log.
        version: The person's, where it is the reason.

    Attributes:
        fields: Those whose values are the reason.
    """

    code = "rejected"
    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, detail: str, version: int | None = None) -> None:
        super().__init__(detail)
        self.version = version


class PersonNotFound(Rejection):
    """No such person, or the person was deleted."""

    code = "person-not-found"


class PersonExists(Rejection):
    """The person's id was used before."""

    code = "person-exists"


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
    """A value that must be unique belongs to another person."""

    code = "value-taken"


class DuplicateDocument(ValueTaken):
    """Another person has this document type and number."""

    code = "duplicate-document"
    fields = UNIQUE["document"]


class DuplicateEmail(ValueTaken):
    """Another person has this e-mail address."""

    code = "duplicate-email"
    fields = UNIQUE["email"]


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
        VersionMismatch,
        UnknownVersion,
        ImageExpired,
        DuplicateDocument,
        DuplicateEmail,
        IdempotencyKeyReused,
        Superseded,
        Dropped,
    )
}
