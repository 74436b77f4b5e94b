"""How events and rejected commands are shown to auditors. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from events.log.event import ATTRIBUTES, EVENT_TYPES
from events.log.stored import payload_of
from events.person.decider import fields_after
from events.person.fields import IMAGE_NAMES, state_names
from events.person.history import changes_between
from events.person.schema.declarations import PersonSchema, Value
from events.person.schema.lifting import former_names_in, lift_values
from events.times import rfc3339
from service_kit.person_view import PersonView

_ORIGIN: Final = ("source_address", "user_agent")
_TRACE: Final = (
    *_ORIGIN,
    "command_id",
    "correlation_id",
    "causation_id",
    "traceparent",
)


def event_view(document: Mapping[str, Any], schema: PersonSchema) -> dict[str, Any]:
    """Return an event of the log as audit search shows it: with the present names of present fields.

    Args:
        document: The event, opened; of an erased person, it names what nobody can open.
        schema: What a person is.
    """
    type_, data = payload_of(document, schema)
    erased = _erased(document, schema)
    if document.get("person_schema") != schema.version and type_ in EVENT_TYPES:
        # What this process does not know may want a scope: of a removed field, or of a newer schema.
        data = {name: value for name, value in data.items() if name in schema.by_name or name in IMAGE_NAMES}
        erased = [name for name in erased if name in schema.by_name or name in IMAGE_NAMES]
    # An erased value is not the default of a field that is required by now.
    data = {name: value for name, value in data.items() if name not in erased}
    origin: Mapping[str, Any] = document
    if type_ not in EVENT_TYPES:
        # Of accounts and the schema nothing is sealed, and its data says from where it was done.
        origin = {**document, **{name: data.get(name) for name in _ORIGIN}}
        data = {name: value for name, value in data.items() if name not in _ORIGIN}
    return {
        "event_id": document["_id"],
        "person_id": document["person_id"],
        "version": document["version"],
        "type": type_,
        "data": data,
        "erased": erased,
        **_stamps(origin, "applied_at"),
        "schema": document["schema"],
        "prev": document["prev"],
        "hash": document["hash"],
    }


def _erased(document: Mapping[str, Any], schema: PersonSchema) -> list[str]:
    """Return the present names of the fields whose values nobody can open any more."""
    if "erased" not in document:
        return []
    names = dict.fromkeys(name for name in document["sealed_fields"] if name not in ATTRIBUTES)
    # As of a change: of a person who is new, all fields with a default would be among them.
    return sorted(lift_values("person.updated", document.get("person_schema"), names, schema))


def event_views(documents: Iterable[Mapping[str, Any]], schema: PersonSchema) -> list[dict[str, Any]]:
    """Return events of the log, each as `event_view` does."""
    return [event_view(document, schema) for document in documents]


def rejection_view(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a refused command as a history shows it; what it would have changed is not kept."""
    return {
        "status": "rejected",
        "type": document["type"],
        "reason": document["code"],
        "detail": document["detail"],
        **_stamps(document, "rejected_at"),
    }


def _stamps(document: Mapping[str, Any], decided: str) -> dict[str, Any]:
    """Return who, when and from where, of an event or a refused command."""
    return {
        "actor": {"subject": document["actor"], "name": document.get("actor_name")},
        "accepted_at": rfc3339(document["accepted_at"]),
        decided: rfc3339(document[decided]),
        **{name: document.get(name) for name in _TRACE},
    }


def history_entries(
    stream: Sequence[Mapping[str, Any]], fields: Mapping[str, Value], schema: PersonSchema
) -> list[dict[str, Any]]:
    """Return some events of one person as a history shows them: with what each changed.

    Args:
        stream: Documents of consecutive events, in order of version.
        fields: The person's fields before the first of them.
        schema: What a person is.
    """
    entries = []
    before, names = dict(fields), state_names(schema)
    for document in stream:
        after = fields_after(before, *payload_of(document, schema))
        entry = {
            "status": "applied",
            **event_view(document, schema),
            "changes": changes_between(before, after, names),
        }
        for name in entry["erased"]:
            entry["changes"].pop(name, None)
        former = former_names_in(document.get("person_schema"), schema)
        named = (*entry["changes"], *entry["erased"])
        entry["former_names"] = {name: former[name] for name in named if name in former}
        del entry["data"], entry["person_id"]
        entries.append(entry)
        before = after
    return entries


def seen_event(item: dict[str, Any], parts: Sequence[str], view: PersonView) -> dict[str, Any]:
    """Return an event as a caller sees it.

    Args:
        item: The event.
        parts: Where it has something by field.
        view: What the caller sees.
    """
    if not view.hidden:
        return item
    seen = {**item, **{part: view.of_values(item[part]) for part in parts if part in item}}
    if item.get("erased"):
        seen["erased"] = list(view.shown(item["erased"]))
    return seen
