"""The events of accounts: their types, the streams that they are in, their form. Pure.

A stream's id with a colon in it is no person's, whose ids are UUIDs: so no command can name such a stream,
and what folds people never sees one.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any, Final, Literal, get_args

from events.log.event import EVENT_SCHEMA, RecordedEvent, recorded

AccountEventType = Literal[
    "account.created",
    "account.roles_set",
    "account.disabled",
    "account.enabled",
    "account.password_changed",
    "account.password_reset",
    "account.invited",
    "account.logged_in",
    "account.logged_out",
    "account.login_failed",
    "account.locked",
    "account.refresh_reused",
    "account.token_issued",
]
ACCOUNT_EVENT_TYPES: Final[tuple[AccountEventType, ...]] = get_args(AccountEventType)

ANONYMOUS: Final = "anonymous"
"""Who asks without saying who."""
ROLLCALL: Final = "rollcall"
"""Who tidies up: the workers."""
LOCAL: Final = "local"
"""Who imports, exports and tries out on the machine itself, unless another name is given."""
SYSTEM_ACTORS: Final = frozenset({ANONYMOUS, ROLLCALL, LOCAL, "operator", "system"})
"""Names that no account may have, since the log's actors would not be told apart."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._+@\-]{0,252}[a-z0-9]")

STREAM_KINDS: Final = ("account", "address", "invitation", "token")
"""What the id of a stream of accounts begins with, before a colon; in order."""
_STREAM: Final = re.compile(rf"({'|'.join(STREAM_KINDS)}):[\w.:/+@\-]{{1,254}}", re.ASCII)


def account_name(text: str) -> str:
    """Return an account's name as it is compared and kept: NFKC, lower case, without space around it.

    Raises:
        ValueError: It is not 2 to 254 of the letters a-z, digits and, inside, `. _ + @ -`.
    """
    name = unicodedata.normalize("NFKC", text).strip().lower()
    if not _NAME.fullmatch(name):
        raise ValueError("must be 2 to 254 letters (a-z), digits or, inside, any of . _ + @ -")
    return name


def new_account_name(text: str) -> str:
    """Return the name of an account that is to be made, as `account_name` does.

    Raises:
        ValueError: It is no name, or one under which the system itself acts.
    """
    name = account_name(text)
    if name in SYSTEM_ACTORS:
        raise ValueError("is a name under which the system itself acts")
    return name


def address_key(address: str | None) -> str:
    """Return what stands for all addresses of one client: of IPv6 the network of 64 bits that it has."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return "unknown"
    if found.version == 6:
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ip_network((int(found), 64), strict=False))
    return str(found)


def account_stream(name: str) -> str:
    """Return the id of an account's stream."""
    return f"account:{name}"


def address_stream(address: str | None) -> str:
    """Return the id of the stream with what failed from an address and belongs to no account."""
    return f"address:{address_key(address)}"


def invitation_stream(invitation_id: str) -> str:
    """Return the id of an invitation's stream."""
    return f"invitation:{invitation_id}"


def token_stream(token_id: str) -> str:
    """Return the id of the stream of a token that an operator made."""
    return f"token:{token_id}"


def is_stream(text: str) -> bool:
    """Return whether a text may be the id of a stream of accounts."""
    return _STREAM.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Origin:
    """Who does something with an account, and from where.

    Attributes:
        actor: The account's name, `operator:…` at a command line, or `ANONYMOUS`.
        correlation_id: As the request gave it, or None.
        traceparent: W3C Trace Context, or None.
        source_address: The client's address, or None.
        user_agent: The client's program, or None.
    """

    actor: str
    correlation_id: str | None = None
    traceparent: str | None = None
    source_address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class AccountFact:
    """What happened to an account, before it has its place in the log.

    Attributes:
        stream: The id of the stream that it belongs to.
        type: Past tense.
        data: Texts; never a password, a token, or another secret.
        fact_id: UUID version 7, the same at each try; its `command_id` in the log.
        occurred_at: UTC, milliseconds.
        origin: Who did it.
    """

    stream: str
    type: AccountEventType
    data: Mapping[str, str | None]
    fact_id: str
    occurred_at: datetime
    origin: Origin


def record_fact(
    fact: AccountFact, *, event_id: str, version: int, applied_at: datetime, prev: str
) -> RecordedEvent:
    """Return the event as the log will hold it, sealed; arguments as for `events.log.event.record`."""
    origin = fact.origin
    content: dict[str, Any] = {
        "event_id": event_id,
        "person_id": fact.stream,
        "version": version,
        "type": fact.type,
        "schema": EVENT_SCHEMA,
        "data": {**fact.data, **_from_where(origin)},
        "command_id": fact.fact_id,
        "actor": origin.actor,
        "accepted_at": fact.occurred_at,
        "applied_at": applied_at,
        "correlation_id": origin.correlation_id or fact.fact_id,
        "causation_id": None,
        "traceparent": origin.traceparent,
        "prev": prev,
    }
    return recorded(content)


def _from_where(origin: Origin) -> dict[str, str]:
    """Return what is known of where a request came from: of accounts, it stays readable."""
    known = {"source_address": origin.source_address, "user_agent": origin.user_agent}
    return {name: value for name, value in known.items() if value is not None}
