"""Every error that Rollcall raises on purpose; none knows of HTTP, AMQP or MongoDB.

RollcallError
├── events.person.rejections the rules refuse a command: drawn there
├── MalformedMessage        bytes that are no command of ours: poison
├── InvalidRequest          the client's request cannot be understood or is not allowed to be so
│   ├── MalformedBody           not JSON, or no form
│   ├── BodyTooLarge
│   ├── TargetTooLong           path and query
│   ├── HeadersTooLarge
│   ├── NotAcceptable           none of the forms that the client takes
│   ├── UnsupportedMediaType
│   ├── InvalidFields           it can be read, but is not what the route takes
│   └── ImportConflict          an import's id was used for another one
├── AccessError
│   ├── Unauthenticated         no token, or one that proves nothing
│   └── Forbidden               a good token without the scope
├── events.accounts.errors  what goes wrong with accounts: drawn there
├── events.images.errors    what goes wrong with images: drawn there
├── events.feed.errors      what goes wrong with the feed: drawn there
├── TooManyRequests         more than the client's quota
├── NotFound                nothing here, perhaps not yet
├── UnknownSchema           an event of a schema that there has never been
├── Damaged                 sealed values that do not open, or are not what the event committed to
└── Unavailable             a part is away; the same request may succeed later
    ├── BrokerUnavailable
    │   └── OutdatedQueue       a queue has the arguments of another version
    ├── StoreUnavailable
    │   ├── Outdated            the read model has documents of an older projection
    │   ├── LogBehindFeed       the feed knows of events that the log lacks
    │   ├── KeyTrouble          a key that should be there is not, or does not open
    │   └── NewerSchema         an event or command that this process is too old to read
    ├── SearchTooLong           a search took all the time that it has
    └── Busy                    too much of it is asked for at once
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


class TargetTooLong(InvalidRequest):
    """Path and query are longer than they may be."""

    code = "target-too-long"


class HeadersTooLarge(InvalidRequest):
    """The header fields are longer than they may be."""

    code = "headers-too-large"


class NotAcceptable(InvalidRequest):
    """The route answers in none of the media types that `Accept` names."""

    code = "not-acceptable"


class UnsupportedMediaType(InvalidRequest):
    """The body's content type, charset or coding is not one that the route reads.

    Args:
        detail: One sentence on the whole.
        codings: The content codings that the route reads, if that is what is wrong.
    """

    code = "unsupported-media-type"

    def __init__(self, detail: str, codings: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.codings = tuple(codings)


class InvalidFields(InvalidRequest):
    """The body, a parameter or a header has values that are not allowed."""

    code = "invalid-fields"


class ImportConflict(InvalidRequest):
    """An import's id was used for another import, or by somebody else."""

    code = "import-conflict"


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


class TooManyRequests(RollcallError):
    """The client has sent more than its quota.

    Args:
        detail: One sentence.
        policy: Which quota that is.
        retry_after: Seconds until the next request is taken.
    """

    code = "too-many-requests"

    def __init__(self, detail: str, policy: str = "", retry_after: int = 1) -> None:
        super().__init__(detail)
        self.policy = policy
        self.retry_after = retry_after


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


class UnknownSchema(RollcallError):
    """An event has a schema which no version of Rollcall wrote, or that of before values were sealed."""

    code = "unknown-schema"


class Damaged(RollcallError):
    """Sealed values do not open with their key, or are not what their event committed to: not erased."""

    code = "damaged"


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


class OutdatedQueue(BrokerUnavailable):
    """A queue was declared by another version, with other arguments; it is to be replaced."""


class StoreUnavailable(Unavailable):
    """MongoDB is away or did not answer in time."""

    code = "store-unavailable"


class Outdated(StoreUnavailable):
    """The read model has documents in an older form than this code needs."""

    code = "read-model-outdated"


class LogBehindFeed(StoreUnavailable):
    """The feed knows of events that the log lacks: it was restored from an older copy."""


class KeyTrouble(StoreUnavailable):
    """A key that should be there is not, or does not open: never the sign of an erased person."""

    code = "key-trouble"


class NewerSchema(StoreUnavailable):
    """An event or a command is newer than this process: one that is up to date can read it."""

    code = "newer-schema"


class SearchTooLong(Unavailable):
    """A search or a count was not done in the time that it has; one that finds fewer may be."""

    code = "search-too-long"


class Busy(Unavailable):
    """More of something costly is asked for at once than this process does."""

    code = "busy"
