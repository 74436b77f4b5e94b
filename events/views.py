"""Owns how a person is shown: the one form that both APIs answer with and the read model keeps."""

from collections.abc import Mapping
from typing import Any

from events.decider import PersonState
from events.person import FIELD_NAMES
from events.text import fold
from events.times import rfc3339


def name_keys(person: Mapping[str, Any]) -> dict[str, str]:
    """Return what a person is sorted by under `last_name` and `first_name`: folded, the other name second.

    Args:
        person: Anything with the fields of a person.
    """
    first, last = fold(person["first_name"]), fold(person["last_name"])
    return {"last_name": f"{last}\0{first}", "first_name": f"{first}\0{last}"}


def person_view(state: PersonState) -> dict[str, Any]:
    """Return an active person as a `PersonView`'s fields, absent ones null."""
    if state.created_at is None or state.updated_at is None:
        raise ValueError(f"{state.person_id} has no events to show")
    view: dict[str, Any] = {"id": state.person_id, "version": state.version}
    for name in FIELD_NAMES:
        view[name] = state.fields.get(name)
    view["image_url"] = state.fields.get("image_url")
    view["thumbnail_url"] = state.fields.get("thumbnail_url")
    view["created_at"] = rfc3339(state.created_at)
    view["updated_at"] = rfc3339(state.updated_at)
    return view
