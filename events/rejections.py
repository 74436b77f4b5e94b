"""Owns what the rules may say against a command, a part of the tree in `events.errors`; recorded, final.

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
    ├── Superseded              it comes out of the dead letters, and a later change has overtaken it
    └── Dropped                 an operator gave it up while its person was parked
"""

from typing import Final

from events.errors import RollcallError


class Rejection(RollcallError):
    """The rules refuse a command."""

    code = "rejected"


class PersonNotFound(Rejection):
    """No such person, or the person was deleted."""

    code = "person-not-found"


class PersonExists(Rejection):
    """The person's id was used before."""

    code = "person-exists"


class VersionMismatch(Rejection):
    """The person is not at the version that the client expected."""

    code = "version-mismatch"


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


class DuplicateEmail(ValueTaken):
    """Another person has this e-mail address."""

    code = "duplicate-email"


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
        Superseded,
        Dropped,
    )
}
