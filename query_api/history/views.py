"""How events and rejected commands are shown to auditors. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from events.log.event import EVENT_TYPES
from events.log.stored import payload_of
from events.person.decider import fields_after
from events.person.fields import IMAGE_NAMES, state_names
from events.person.history import changes_between
from events.person.schema.declarations import PersonSchema, Value
from events.person.schema.lifting import former_names_in
from events.times import rfc3339

_TRACE: Final = (
    "source_address",
    "user_agent",
    "command_id",
    "correlation_id",
    "causation_id",
    "traceparent",
)


def event_view(document: Mapping[str, Any], schema: PersonSchema) -> dict[str, Any]:
    """Return an event of the log as audit search shows it: with the present names of present fields.

    Args:
        document: The event.
        schema: What a person is.
    """
    type_, data = payload_of(document, schema)
    if document.get("person_schema") != schema.version and type_ in EVENT_TYPES:
        # What this process does not know may want a scope: of a removed field, or of a newer schema.
        data = {name: value for name, value in data.items() if name in schema.by_name or name in IMAGE_NAMES}
    return {
        "event_id": document["_id"],
        "person_id": document["person_id"],
        "version": document["version"],
        "type": type_,
        "data": data,
        **_stamps(document, "applied_at"),
        "schema": document["schema"],
        "prev": document["prev"],
        "hash": document["hash"],
    }


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
        former = former_names_in(document.get("person_schema"), schema)
        entry["former_names"] = {name: former[name] for name in entry["changes"] if name in former}
        del entry["data"], entry["person_id"]
        entries.append(entry)
        before = after
    return entries
