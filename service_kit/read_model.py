"""The documents of people and rejections in MongoDB; those of events are in `events.log.stored`. Pure."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from events.log.stored import BESIDE, OPENED
from events.person.commands import Command, Envelope
from events.person.decider import PersonState
from events.person.fields import IMAGE_NAMES, state_names
from events.person.outcomes import UNCHANGED, UNREADABLE
from events.person.rejections import IdempotencyKeyReused, Rejection
from events.person.schema.declarations import PersonSchema
from events.person.search import search_keys
from events.person.views import person_view
from events.times import rfc3339

FORM: Final = 2
"""Number of the form that documents of `people` have here. Whoever changes that form raises it, and rolls it
out by `rollcall rebuild` (docs/adr/0022)."""
_FORMS: Final = 10_000
_MAJORS: Final = 100
_SHAPES: Final = 1_000_000


def projection_number(form: int, unicode_version: str = unicodedata.unidata_version) -> int:
    """Return a projection's number: higher for a newer form, and of one form for a newer Unicode.

    Names are folded by the tables that Python brings: with other tables, other keys may come of the same
    names (docs/adr/0051).

    Args:
        form: Number of the form.
        unicode_version: Of those tables, `15.1.0` say; that of this process if none is named.
    """
    major, minor, *_ = map(int, unicode_version.split("."))
    return form * _FORMS + major * _MAJORS + minor


def projection_name(number: int) -> str:
    """Return a projection's number as people are told it: `2 (Unicode 15.1, schema 3)`, say."""
    shape, number = divmod(number, _SHAPES)
    form, unicode_version = divmod(number, _FORMS)
    major, minor = divmod(unicode_version, _MAJORS)
    schema = f", schema {shape}" if shape else ""
    return f"{form} (Unicode {major}.{minor}{schema})"


PROJECTION: Final = projection_number(FORM)
"""Number of the projection that is written and read here."""


def projection_of(schema: PersonSchema, number: int | None = None) -> int:
    """Return the number of a projection of a person schema: a schema that wants a rebuild makes another one.

    Args:
        schema: The schema.
        number: Of the projection without it; that of this process if none is named.
    """
    return schema.shape * _SHAPES + (PROJECTION if number is None else number)


def person_document(state: PersonState, schema: PersonSchema) -> dict[str, Any]:
    """Return a person as the collection `people` keeps it, with the number of that form.

    An active one is the view that the APIs show, so that reading it costs no conversion, with the head
    of its stream and what it is sorted and searched by. A deleted one is a tombstone: nothing personal; so is
    an erased one, which says that, too.
    """
    holds: dict[str, Any] = {"holds": dict(state.holds)} if state.holds else {}
    if state.status != "active":
        return {
            "_id": state.person_id,
            "version": state.version,
            "hash": state.hash,
            "projection": projection_of(schema),
            "deleted": True,
            **({"erased": True} if state.status == "erased" else holds),
        }
    view = person_view(state, schema)
    document: dict[str, Any] = {"_id": view.pop("id"), **view, "hash": state.hash}
    document["projection"] = projection_of(schema)
    # Of no use to those who read it, but part of the head of the stream.
    document["image_id"] = state.fields.get("image_id")
    document["keys"] = search_keys(schema).of(view)
    return document | holds


def person_changes(before: PersonState, after: PersonState, schema: PersonSchema) -> dict[str, Any]:
    """Return the fields of a person's document in `people` that differ after some updates.

    Args:
        before: An active person, as the document has it.
        after: The same person, still active.
        schema: What a person is.
    """
    changed: dict[str, Any] = {
        name: after.fields.get(name)
        for name in state_names(schema)
        if after.fields.get(name) != before.fields.get(name)
    }
    keys = search_keys(schema)
    if not keys.keyed.isdisjoint(changed):
        changed["keys"] = keys.of(after.fields)
    changed["version"], changed["hash"] = after.version, after.hash
    if after.updated_at is not None:
        changed["updated_at"] = rfc3339(after.updated_at)
    return changed


def is_current(document: Mapping[str, Any], schema: PersonSchema) -> bool:
    """Return whether a document of `people` has the form that is written and read here."""
    return document.get("projection") == projection_of(schema)


def state_of(document: Mapping[str, Any], schema: PersonSchema) -> PersonState:
    """Return the person in a document of `people` in the form of here: the head of the stream."""
    common: dict[str, Any] = {
        "person_id": document["_id"],
        "version": document["version"],
        "hash": document["hash"],
    }
    if document.get("erased"):
        return PersonState(status="erased", **common)
    common["holds"] = document.get("holds", {})
    if document.get("deleted"):
        return PersonState(status="deleted", **common)
    fields = {name: value for name in schema.always_stored if (value := document[name]) is not None}
    # Documents that are older than images, or than a field, lack them.
    for name in (*schema.sometimes_stored, *IMAGE_NAMES):
        if (value := document.get(name)) is not None:
            fields[name] = value
    return PersonState(
        status="active",
        fields=fields,
        created_at=datetime.fromisoformat(document["created_at"]),
        updated_at=datetime.fromisoformat(document["updated_at"]),
        **common,
    )


def rejection_document(command: Command, rejection: Rejection, time: datetime) -> dict[str, Any]:
    """Return a rejected command as the collection `rejections` keeps it.

    Args:
        command: What was asked; its personal data is not kept.
        rejection: Why it was rejected.
        time: When, UTC.
    """
    document = {**_eventless_document(command, time), "code": rejection.code, "detail": rejection.detail}
    if isinstance(rejection, IdempotencyKeyReused):
        del document[BESIDE]  # it stands beside the command that had it first
    return document if rejection.version is None else {**document, "version": rejection.version}


def unchanged_document(command: Command, version: int, time: datetime) -> dict[str, Any]:
    """Return a command that would change nothing as the collection `rejections` keeps it.

    Args:
        command: What was asked.
        version: The person's.
        time: When that was decided, UTC.
    """
    return {**_eventless_document(command, time), "code": UNCHANGED, "version": version}


def unreadable_document(envelope: Envelope, reason: str, time: datetime) -> dict[str, Any]:
    """Return a command that no worker can read as the collection `rejections` keeps it.

    Args:
        envelope: What can be read of it.
        reason: Why it cannot be read.
        time: When that was found, UTC.
    """
    return {**_eventless_document(envelope, time), "code": UNREADABLE, "detail": reason}


def _eventless_document(command: Envelope, time: datetime) -> dict[str, Any]:
    document = {
        "_id": command.command_id,
        "command_id": command.command_id,
        "person_id": command.person_id,
        "type": command.type,
        "actor": command.actor,
        "accepted_at": command.accepted_at,
        "rejected_at": time,
        "correlation_id": command.correlation_id,
    }
    more = {
        name: value
        for name in (*OPENED, "causation_id", "traceparent", BESIDE)
        if (value := getattr(command, name)) is not None
    }
    return document | more
