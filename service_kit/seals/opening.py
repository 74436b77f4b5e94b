"""Opens events of the log where their documents are read, so that all code beyond sees their values. Pure.

What is on record of commands without an event is sealed here, too, since it has no hash and no proof.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from events.errors import Damaged
from events.log.commitments import commitment, jcs, root_of
from events.log.event import ATTRIBUTES
from events.person.schema.declarations import Value
from service_kit.seals.person_key import PersonKey

ERASED: Final = None
"""What stands for the key of an erased person."""
Key = PersonKey | None


def open_document(document: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """Return an event's document with its sealed values in it; of an erased person, with `erased` instead.

    Args:
        document: Of the log, with `sealed`; or on record of a command without an event.
        key: The person's, or `ERASED`.

    Raises:
        Damaged: The values are not those that were sealed; names the event, and no value.
    """
    names = document.get("sealed_fields")
    if not names:
        return dict(document)
    if key is ERASED:
        return {**document, "erased": True}
    values = opened_values(document, key)
    opened = {**document, "data": {**document.get("data", {})}}
    for name in names:
        attribute = ATTRIBUTES.get(name)
        if attribute is None:
            opened["data"][name] = values[name]
        else:
            opened[attribute] = values[name]
    return opened


def opened_values(document: Mapping[str, Any], key: PersonKey) -> Mapping[str, Value | None]:
    """Return the sealed values of an event by name.

    Args:
        document: Of the log, with at least one sealed name.
        key: The person's.

    Raises:
        Damaged: As of `open_document`.
    """
    names: Sequence[str] = document["sealed_fields"]
    try:
        values = key.open(_bound_to(document), document.get("sealed") or b"")
    except Damaged as exc:
        raise _damaged(document, exc.detail) from None
    if list(values) != list(names):
        raise _damaged(document, "other values were sealed than it names")
    return values


def prove_values(document: Mapping[str, Any], key: PersonKey) -> Mapping[str, Value | None]:
    """Return the sealed values of an event, proved: they are those that its hash commits to.

    Args:
        document: As of `opened_values`.
        key: The person's.

    Raises:
        Damaged: They are not.
    """
    values = opened_values(document, key)
    names = document["sealed_fields"]
    salts = key.salts(document["_id"], len(names))
    root = root_of(
        (name, commitment(salt, name, values[name])) for name, salt in zip(names, salts, strict=True)
    )
    if root != document["values"]:
        raise _damaged(document, "the values are not those that it commits to")
    return values


def _damaged(document: Mapping[str, Any], how: str) -> Damaged:
    what = f"version {document['version']}" if "hash" in document else f"the command {document['command_id']}"
    return Damaged(f"{what} of {document['person_id']} is damaged: {how}")


def _bound_to(document: Mapping[str, Any]) -> str:
    """Return what the sealed values are bound to: an event's hash, or the id of a command without one."""
    bound: str = document.get("hash") or document["command_id"]
    return bound


def seal_attributes(document: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """Return what is on record of a command without an event, with who asked from where sealed.

    Args:
        document: With those attributes in the clear.
        key: The person's; without one they are left out.
    """
    secret = {name: document[one] for name, one in ATTRIBUTES.items() if document.get(one) is not None}
    kept = {name: value for name, value in document.items() if name not in ATTRIBUTES.values()}
    if key is None or not secret:
        return kept
    sealed = key.seal(_bound_to(kept), jcs(secret))
    return {**kept, "sealed_fields": list(secret), "sealed": sealed}
