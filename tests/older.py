"""A log of today as a later version reads it: one to which a person's name was one field, in this schema."""

from collections.abc import Mapping
from typing import Any

import pytest

from events.log import upcasting
from events.log.event import EVENT_SCHEMA, GENESIS, RecordedEvent
from events.log.upcasting import Payload, Upcaster
from tests.chained import event


def split(data: Mapping[str, Any]) -> Payload:
    """Return a payload with the name in two fields."""
    payload = dict(data)
    if name := payload.pop("name", None):
        payload["first_name"], _, payload["last_name"] = name.partition(" ")
    return payload


NEWEST = EVENT_SCHEMA + 1
"""The number of the schema that the later version writes."""
UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("person.created", EVENT_SCHEMA): split,
    ("person.updated", EVENT_SCHEMA): split,
}
"""What `events.log.upcasting.UPCASTERS` has there."""


def read_as_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have events read as that version reads them."""
    monkeypatch.setattr(upcasting, "EVENT_SCHEMA", NEWEST)
    for key, upcaster in UPCASTERS.items():
        monkeypatch.setitem(upcasting.UPCASTERS, key, upcaster)


def older_stream(person_id: str) -> list[RecordedEvent]:
    """Return three events, sealed, the first two with the name in one field."""
    first = {
        "document_type": "passport",
        "document_id": f"OLD{person_id[-12:].upper()}",
        "name": "Ana Ríos",
        "birth_date": "1990-12-10",
        "gender": "female",
        "email": "ana@example.com",
        "phone": "+573001234567",
    }
    created = event(person_id, 1, GENESIS, data=first)
    named = event(person_id, 2, created.hash, data={"name": "Zoé Ñu"})
    moved = event(person_id, 3, named.hash, data={"address": "Calle 9"})
    return [created, named, moved]
