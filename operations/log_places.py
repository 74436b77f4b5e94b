"""Says which streams belong into which collection of the log, and where in its index nothing should be."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bson.max_key import MaxKey
from bson.min_key import MinKey

from events.accounts.event import STREAM_KINDS
from events.log.applied_schema import SCHEMA_STREAM
from events.log.stored import ACCOUNT_EVENTS, EVENTS, SCHEMA_EVENTS

_KINDS: Final = {ACCOUNT_EVENTS: STREAM_KINDS, SCHEMA_EVENTS: (SCHEMA_STREAM.partition(":")[0],)}
BESIDE_PEOPLE: Final = tuple(_KINDS)
"""The collections of the log beside that of people. Their streams' ids begin with a kind and a colon."""
Places = Sequence[tuple[Any, Any]]
"""Parts of the index by stream: from an id on, up to another."""


def _others(kinds: Sequence[str]) -> Places:
    """Return the places of the texts between those that begin with some kinds, which are in order."""
    # The semicolon follows the colon.
    begins, ends = (f"{kind};" for kind in kinds), (f"{kind}:" for kind in kinds)
    return tuple(zip(("", *begins), (*ends, {}), strict=True))


# Before all texts, and after them.
_NOT_TEXT: Final[Places] = ((MinKey(), ""), ({}, MaxKey()))
STRAY_PLACES: Final[tuple[tuple[str, Places, str], ...]] = (
    (EVENTS, _NOT_TEXT, "it belongs to no person"),
    (ACCOUNT_EVENTS, _NOT_TEXT, "it belongs to no account"),
    (ACCOUNT_EVENTS, _others(_KINDS[ACCOUNT_EVENTS]), "it stands among the events of accounts, and is none"),
    (SCHEMA_EVENTS, _NOT_TEXT, "it belongs to no schema"),
    (SCHEMA_EVENTS, _others(_KINDS[SCHEMA_EVENTS]), "it stands among the events of schemas, and is none"),
)
"""By collection, the places where nothing should be, and what is said of an event that is there."""


def is_of(collection: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return what says whether an event in a collection beside people's belongs there: else it is a stray."""
    kinds = _KINDS[collection]
    return lambda document: str(document.get("person_id")).partition(":")[0] in kinds
