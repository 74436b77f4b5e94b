"""The one form of a person that both APIs answer with and the read model keeps."""

from typing import Any

from events.person.decider import PersonState
from events.person.schema.declarations import PersonSchema
from events.times import rfc3339


def person_view(state: PersonState, schema: PersonSchema) -> dict[str, Any]:
    """Return an active person as a `PersonView`'s fields, absent ones null."""
    if state.created_at is None or state.updated_at is None:
        raise ValueError(f"{state.person_id} has no events to show")
    view: dict[str, Any] = {"id": state.person_id, "version": state.version}
    for name in schema.names:
        view[name] = state.fields.get(name)
    view["image_url"] = state.fields.get("image_url")
    view["thumbnail_url"] = state.fields.get("thumbnail_url")
    view["created_at"] = rfc3339(state.created_at)
    view["updated_at"] = rfc3339(state.updated_at)
    return view
