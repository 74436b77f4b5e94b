"""Lifts the payload of an event of an older schema to the newest form. Pure.

The log is never rewritten: an event keeps the number of the schema that it was written in, and its hash
covers the payload as it was. What gives meaning to events (folding, histories, subscribers) lifts their
payload here; what proves or copies them does not.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from events.errors import NewerSchema, UnknownSchema
from events.log.event import EVENT_SCHEMA
from events.person.schema.declarations import Value

Payload = dict[str, Value | None]
Upcaster = Callable[[Mapping[str, Any]], Payload]
"""Returns the payload in the form of the next number. Pure and total over what that schema allowed."""

UPCASTERS: Final[dict[tuple[str, int], Upcaster]] = {}
"""By an event's type and the number that it was written in. Raising `EVENT_SCHEMA` to N wants an entry for
N - 1; a type whose payload stays the same in N needs none."""


def lift(event_type: str, schema: int, data: Any) -> Payload:
    """Return an event's data in the form of the newest schema.

    Args:
        event_type: Its type.
        schema: The number of the schema that it was written in.
        data: As it was written.

    Raises:
        NewerSchema: This code is older than the event.
        UnknownSchema: No schema of ours has that number, or it is that of before values were sealed.
    """
    if schema == EVENT_SCHEMA:
        return data  # type: ignore[no-any-return]
    refuse_newer_event(schema)
    if schema not in {number for _, number in UPCASTERS}:
        if schema == 1:
            raise UnknownSchema(
                "an event has schema 1, with values in the clear: such a log is not read any more"
            )
        raise UnknownSchema(f"an event has schema {schema!r}, which no version of Rollcall wrote")
    for number in range(schema, EVENT_SCHEMA):
        upcaster = UPCASTERS.get((event_type, number))
        if upcaster is not None:
            data = upcaster(data)
    return data  # type: ignore[no-any-return]


def refuse_newer_event(schema: object) -> None:
    """Refuse an event of a newer schema, before anything is made of it.

    Args:
        schema: The number of the schema that it was written in.

    Raises:
        NewerSchema: This code is older than the event.
    """
    if type(schema) is int and schema > EVENT_SCHEMA:
        raise NewerSchema(
            f"an event has schema {schema}, and this version of Rollcall knows those up to {EVENT_SCHEMA}: "
            "upgrade it"
        )
