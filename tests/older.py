"""A log in a schema that is older than any there was: 0, where a person's name was one field."""

from collections.abc import Mapping
from typing import Any

from events.log.event import GENESIS, RecordedEvent
from events.log.upcasting import Payload, Upcaster
from tests.chained import event


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
    first = {
        "document_type": "passport",
        "document_id": f"OLD{person_id[-12:].upper()}",
        "name": "Ana Ríos",
        "birth_date": "1990-12-10",
        "gender": "female",
        "email": "ana@example.com",
        "phone": "+573001234567",
    }
    created = event(person_id, 1, GENESIS, schema=0, data=first)
    named = event(person_id, 2, created.hash, schema=0, data={"name": "Zoé Ñu"})
    moved = event(person_id, 3, named.hash, data={"address": "Calle 9"})
    return [created, named, moved]
