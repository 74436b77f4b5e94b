"""What of an event is for clients without `audit:read`: the values that are still so. Pure.

Why the hashes are withheld: whoever knows all else of an event finds a short value that is left out by trying
(docs/adr/0057).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from events.person.schema.declarations import PersonSchema
from events.person.schema.lifting import former_names_in

WITHHELD: Final = ("sourceaddress", "useragent", "prevhash", "hash", "values")
"""Attributes of an announcement that only those get who may read histories."""

IsFormer = Callable[[str, object], bool]
"""Says of a field and its value in an event whether the person has another one by now."""


def fields_of(body: bytes) -> frozenset[str]:
    """Return the names of the fields that an announcement sets."""
    data = orjson.loads(body).get("data")
    return frozenset(data) if isinstance(data, dict) else frozenset()


def without_former(body: bytes, is_former: IsFormer) -> tuple[bytes, set[str]]:
    """Return an announcement without former values and withheld attributes, and the fields that are left.

    Args:
        body: The announcement, whole or not.
        is_former: Says which values to leave out.
    """
    content = orjson.loads(body)
    given = content.get("data")
    data = given if isinstance(given, dict) else {}
    left = {name: value for name, value in data.items() if not is_former(name, value)}
    kept = {name: value for name, value in content.items() if name not in WITHHELD}
    return orjson.dumps({**kept, "data": left}), set(left)


@dataclass(frozen=True, slots=True)
class HiddenFields:
    """What of every event is for callers with more scopes.

    Attributes:
        names: Of the fields, as the schema in force calls them.
        schema: The schema in force.
    """

    names: frozenset[str]
    schema: PersonSchema

    def taken_out_of(self, body: bytes) -> bytes:
        """Return an announcement without them, however they were called when it was made."""
        content = orjson.loads(body)
        former = former_names_in(content.get("personschema"), self.schema)
        names = self.names | {former[name] for name in self.names if name in former}
        for part in ("data", "sealedfields"):
            given = content.get(part)
            if isinstance(given, dict):
                content[part] = {name: value for name, value in given.items() if name not in names}
            elif isinstance(given, list):
                content[part] = [name for name in given if name not in names]
        return orjson.dumps(content)


def compared_with(person: Mapping[str, Any] | None, version: int) -> IsFormer:
    """Return what tells the former values of one event.

    Args:
        person: The event's person in the read model, which was read after the event was announced; None if
            it is not there.
        version: The event's.
    """
    if person is None or "deleted" in person or not version:
        return lambda _name, _value: True
    if version > person["version"]:
        return lambda _name, _value: False  # a lagging read model does not know of it yet
    return lambda name, value: person.get(name) != value
