"""The form of an event of schema 2, and its sealed values: commitments, their root, and values laid open."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from verifier.canonical import Unreadable, canonical
from verifier.findings import shown

SCHEMA: Final = 2
"""The number of the events that this program knows."""
MEMBERS: Final = frozenset(
    {
        *("event_id", "person_id", "version", "type", "schema", "person_schema", "command_id", "actor"),
        *("accepted_at", "applied_at", "correlation_id", "causation_id", "traceparent", "prev"),
        *("data", "sealed_fields", "values"),
    }
)
"""What the hash covers: these, all of them, nothing else."""
BESIDE: Final = ("hash", "opened")
"""What a line of an export has beside them; the second may be absent."""
NOT_OPENED: Final = object()
_SALT: Final = re.compile("[0-9a-f]{32}")
_HASH: Final = re.compile("[0-9a-f]{64}")


class Judgement(NamedTuple):
    """What an event is like apart from its hash.

    Attributes:
        fault: Why its values cannot be those that were sealed, or its form is none; None if all is good.
        proved: How many values are laid open, and are those that were sealed.
        withheld: How many sealed values have a commitment in their place.
    """

    fault: str | None = None
    proved: int = 0
    withheld: int = 0


def commitment(salt: str, name: str, value: object) -> str:
    """Return what stands for a value: the SHA-256 of its salt, its name and itself, hexadecimal."""
    return hashlib.sha256(canonical([salt, name, value])).hexdigest()


def root(commitments: Iterable[tuple[str, str]]) -> str:
    """Return what stands for all sealed values of an event, hexadecimal.

    Args:
        commitments: The names, ascending, each with its commitment.
    """
    return hashlib.sha256(canonical([list(pair) for pair in commitments])).hexdigest()


NONE_SEALED: Final = root(())
"""`values` of an event in which nothing is sealed."""


def is_older(content: Mapping[str, Any]) -> bool:
    """Return whether an event is of schema 1, whose values were in the clear and under the hash."""
    schema = content.get("schema")
    return type(schema) is int and schema == 1 and "sealed_fields" not in content


def judge(content: Mapping[str, Any], opened: object = NOT_OPENED) -> Judgement:
    """Return whether an event has the form of its schema, and its opened values are those that were sealed.

    Args:
        content: All that the event has but its hash and `opened`; whether the hash is right is not asked.
        opened: For each sealed name the salt and value, or the commitment; or `NOT_OPENED`.
    """
    try:
        names = _names(content)
        if opened is NOT_OPENED:
            return Judgement()
        return _prove(names, opened, content["values"])
    except Unreadable as exc:
        return Judgement(str(exc))


def _names(content: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the sealed values.

    Raises:
        Unreadable: The event has not the form of its schema.
    """
    if content.get("schema") != SCHEMA:
        raise Unreadable(
            f"it is of schema {shown(str(content.get('schema')))}, and this program knows {SCHEMA}"
        )
    if content.keys() != MEMBERS:
        more, less = _listed(content.keys() - MEMBERS), _listed(MEMBERS - content.keys())
        raise Unreadable(f"it has what no event has: {more}" if more else f"it lacks {less}")
    names, data, values = content["sealed_fields"], content["data"], content["values"]
    if not isinstance(data, dict) or not isinstance(names, list):
        raise Unreadable("its data or its sealed_fields are none")
    if not _in_order(names):
        raise Unreadable("its sealed_fields are not names in order, each once")
    if not data.keys().isdisjoint(names):
        raise Unreadable(f"{_listed(data.keys() & set(names))} is sealed and in the clear")
    if not isinstance(values, str) or not _HASH.fullmatch(values):
        raise Unreadable("its values are no hash")
    if not names and values != NONE_SEALED:
        raise Unreadable("it has values, and no names of them")
    return names


def _in_order(names: Sequence[Any]) -> bool:
    try:
        # An empty name would be the first one.
        return "".join(names).isascii() and sorted(set(names)) == names and names[:1] != [""]
    except TypeError:
        return False


def _prove(names: Sequence[str], opened: object, values: str) -> Judgement:
    if not isinstance(opened, dict):
        raise Unreadable("what is opened is no object")
    if added := _listed(opened.keys() - set(names)):
        raise Unreadable(f"it opens what was not sealed: {added}")
    if hidden := _listed(set(names) - opened.keys()):
        raise Unreadable(f"it hides what was sealed: {hidden}")
    made = root((name, _committed(name, opened[name])) for name in names)
    withheld = sum(entry.keys() == {"commitment"} for entry in opened.values())
    if made != values:
        raise Unreadable(f"its opened values are not those that were sealed: {_listed(names)}")
    return Judgement(None, len(names) - withheld, withheld)


def _committed(name: str, entry: object) -> str:
    """Return the commitment of a sealed name, made from its value or given in its place."""
    if isinstance(entry, dict):
        if entry.keys() == {"commitment"} and _is(_HASH, entry["commitment"]):
            return entry["commitment"]  # type: ignore[no-any-return]
        if entry.keys() == {"salt", "value"} and _is(_SALT, entry["salt"]):
            return commitment(entry["salt"], name, entry["value"])
    raise Unreadable(f"{shown(name)} has neither a salt and a value nor a commitment")


def _is(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(shown, sorted(names)))
