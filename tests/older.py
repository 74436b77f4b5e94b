"""A log in a schema that is older than any there was: 0, where a person's name was one field."""

from collections.abc import Mapping
from typing import Any

from events.log.event import GENESIS, RecordedEvent
from events.log.upcasting import Payload, Upcaster
from tests.chained import event
from tests.unit.events.test_decider import FIELDS


def split(data: Mapping[str, Any]) -> Payload:
    """Return a payload with the name in two fields."""
    payload = dict(data)
    if name := payload.pop("name", None):
        payload["first_name"], _, payload["last_name"] = name.partition(" ")
    return payload


UPCASTERS: dict[tuple[str, int], Upcaster] = {("person.created", 0): split, ("person.updated", 0): split}
"""What `events.log.upcasting.UPCASTERS` would then have."""


def older_stream(person_id: str) -> list[RecordedEvent]:
    """Return three events, sealed: the first two in schema 0, the last one in the newest."""
    fields = {name: value for name, value in FIELDS.items() if name not in ("first_name", "last_name")}
    first = {**fields, "document_id": f"OLD{person_id[-12:].upper()}", "name": "Ana Ríos"}
    created = event(person_id, 1, GENESIS, schema=0, data=first)
    named = event(person_id, 2, created.hash, schema=0, data={"name": "Zoé Ñu"})
    moved = event(person_id, 3, named.hash, data={"address": "Calle 9"})
    return [created, named, moved]
