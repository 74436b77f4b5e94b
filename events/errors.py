"""Owns every error that Rollcall raises on purpose; knows nothing of HTTP, AMQP or MongoDB.

RollcallError
├── Rejection               the rules refuse a command; recorded, final
│   ├── PersonNotFound          no such person, or deleted
│   ├── PersonExists            the id is taken, also by a deleted person
│   ├── VersionMismatch         If-Match named another version
│   ├── UnknownVersion          the person has not been at the version that is wanted back
│   ├── ImageExpired            an image was not applied before the sweep of unused ones came
│   └── ValueTaken              a unique value belongs to another person
│       ├── DuplicateDocument
│       └── DuplicateEmail
├── MalformedMessage        bytes that are no command of ours: poison
├── InvalidRequest          the client's request cannot be understood or is not allowed to be so
│   ├── MalformedBody           not JSON, or no form
│   ├── BodyTooLarge
│   ├── NotAcceptable           none of the forms that the client takes
│   ├── UnsupportedMediaType
│   ├── InvalidFields           it can be read, but is not what the route takes
│   └── TicketUsed              another picture was uploaded with the ticket before
├── AccessError
│   ├── Unauthenticated         no token, or one that proves nothing
│   └── Forbidden               a good token without the scope
├── NotFound                nothing here, perhaps not yet
├── ImagesOff               images are kept nowhere here
├── PositionGone            the stream of events does not have what comes after a position
└── Unavailable             a part is away; the same request may succeed later
    ├── BrokerUnavailable
    ├── StoreUnavailable
    └── ImagesUnavailable
"""

from collections.abc import Sequence
from typing import ClassVar


class RollcallError(Exception):
    """Base of the tree.

    Args:
        detail: One sentence for the person who reads the answer or the log.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


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


class MalformedMessage(RollcallError):
    """A message that no retry can make readable."""

    code = "malformed-message"


class InvalidRequest(RollcallError):
    """The request cannot be carried out as it is written.

    Args:
        detail: One sentence on the whole.
        errors: What is wrong, field by field: `field`, `reason`.
    """

    code = "invalid-request"

    def __init__(self, detail: str, errors: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class MalformedBody(InvalidRequest):
    """The body is not JSON, or no form where a form is wanted."""

    code = "malformed-body"


class BodyTooLarge(InvalidRequest):
    """The body is over the route's limit."""

    code = "body-too-large"


class NotAcceptable(InvalidRequest):
    """The route answers in none of the media types that `Accept` names."""

    code = "not-acceptable"


class UnsupportedMediaType(InvalidRequest):
    """The body's content type is not one that the route reads."""

    code = "unsupported-media-type"


class InvalidFields(InvalidRequest):
    """The body, a parameter or a header has values that are not allowed."""

    code = "invalid-fields"


class TicketUsed(InvalidRequest):
    """An upload ticket is good for one picture, and another one came before."""

    code = "ticket-used"


class AccessError(RollcallError):
    """The caller may not do this."""

    code = "access-denied"


class Unauthenticated(AccessError):
    """There is no token, or it proves nothing."""

    code = "unauthenticated"


class Forbidden(AccessError):
    """The token is good but lacks a scope.

    Args:
        detail: One sentence.
        scope: The scope that the route wants.
    """

    code = "forbidden"

    def __init__(self, detail: str, scope: str) -> None:
        super().__init__(detail)
        self.scope = scope


class NotFound(RollcallError):
    """There is nothing at this address.

    Args:
        detail: One sentence.
        retry_after: Seconds after which it may be there, if that is likely.
    """

    code = "not-found"

    def __init__(self, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ImagesOff(RollcallError):
    """No store of images is set up."""

    code = "images-off"


class PositionGone(RollcallError):
    """The stream of events does not have all that comes after a position."""

    code = "position-gone"


class Unavailable(RollcallError):
    """A part of the system is away.

    Args:
        detail: One sentence, naming the part.
        retry_after: Seconds to wait before the next try.
    """

    code = "unavailable"

    def __init__(self, detail: str, retry_after: int = 2) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class BrokerUnavailable(Unavailable):
    """RabbitMQ is away, blocked, full, or did not confirm in time."""

    code = "broker-unavailable"


class StoreUnavailable(Unavailable):
    """MongoDB is away or did not answer in time."""

    code = "store-unavailable"


class ImagesUnavailable(Unavailable):
    """The store of images is away, too slow, or answers what cannot be true."""

    code = "images-unavailable"


REJECTIONS: dict[str, type[Rejection]] = {
    kind.code: kind
    for kind in (
        PersonNotFound,
        PersonExists,
        VersionMismatch,
        UnknownVersion,
        ImageExpired,
        DuplicateDocument,
        DuplicateEmail,
    )
}
