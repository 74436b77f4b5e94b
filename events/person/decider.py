"""The rules: what a command does to a person. Pure: no I/O, no clock, no id generation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, assert_never

from events.log.event import GENESIS, Event, EventType, RecordedEvent
from events.log.upcasting import lift
from events.person.commands import (
    ChangeImage,
    Command,
    CreatePerson,
    DeletePerson,
    Reversion,
    RevertPerson,
    UpdatePerson,
    UpsertPerson,
)
from events.person.rejections import PersonExists, PersonNotFound, UnknownVersion, VersionMismatch
from events.person.schema.declarations import PersonSchema, Value
from events.person.schema.lifting import lift_values, refuse_newer


@dataclass(frozen=True, slots=True)
class PersonState:
    """A person as the events so far made them.

    Attributes:
        status: `absent` before the first event, then `active` or `deleted`.
        version: Number of events so far.
        hash: Hash of the last event.
        fields: The present fields, and where the image is; nothing once deleted.
        created_at: Applied time of the first event.
        updated_at: Applied time of the last event.
    """

    person_id: str
    status: Literal["absent", "active", "deleted"] = "absent"
    version: int = 0
    hash: str = GENESIS
    fields: Mapping[str, Value] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None


def decide(
    command: Command, state: PersonState, schema: PersonSchema, past: PersonState | None = None
) -> list[Event]:
    """Return what the command makes happen.

    One event at the most: the log's unique index on (person_id, command_id) allows no more. None if the
    command would change nothing: that is its outcome, and leaves the person at the version there is.

    Args:
        command: What is asked.
        state: The person as it is.
        schema: What a person is.
        past: The person as it was at the version that a `RevertPerson` names, if it has been there.

    Raises:
        Rejection: The rules refuse it.
        ValueError: The person has been at that version, and `past` is not it.
    """
    match command:
        case CreatePerson():
            if state.status != "absent":
                raise PersonExists(f"the id {command.person_id} is already in use")
            return [Event("person.created", command.data.model_dump(exclude_none=True))]
        case UpdatePerson():
            _require(command, state)
            return _updated(_changed(command.data.model_dump(exclude_unset=True), state))
        case UpsertPerson():
            return _upserted(command, state, schema)
        case ChangeImage():
            _require(command, state)
            image = command.data.model_dump()
            # An event names the whole image, so that each tells by itself which one there is.
            return [Event("person.image_changed", image)] if _changed(image, state) else []
        case DeletePerson():
            _require(command, state)
            return [Event("person.deleted", {})]
        case RevertPerson():
            _require(command, state)
            return _updated(_way_back(command.data, state, schema, past))
        case _:
            assert_never(command)


def _updated(changes: dict[str, Value | None]) -> list[Event]:
    return [Event("person.updated", changes)] if changes else []


def _changed(asked: Mapping[str, Value | None], state: PersonState) -> dict[str, Value | None]:
    return {name: value for name, value in asked.items() if state.fields.get(name) != value}


def _upserted(command: UpsertPerson, state: PersonState, schema: PersonSchema) -> list[Event]:
    if state.status == "active":
        return _updated(_changed(command.data.model_dump(exclude_unset=True), state))
    if state.status == "deleted":
        raise PersonExists(f"the person {command.person_id} was deleted: the id cannot be used again")
    given = command.data.model_dump(exclude_none=True)
    if schema.earlier:
        # Until it is known that there is nobody, it is no creation: so the defaults come here.
        given = dict(lift_values("person.create", command.person_schema, given, schema))
    if missing := [name for name in schema.required if name not in given]:
        raise PersonNotFound(
            f"there is no person {command.person_id}, and to create one lacks {', '.join(missing)}"
        )
    return [Event("person.created", given)]


def _way_back(
    wanted: Reversion, state: PersonState, schema: PersonSchema, past: PersonState | None
) -> dict[str, Value | None]:
    version = wanted.to_version
    if version > state.version:
        raise UnknownVersion(f"the person is at version {state.version}, and was never at {version}")
    if past is None or past.version != version:
        raise ValueError(f"{state.person_id} cannot be reverted without its version {version}")
    return {
        name: past.fields.get(name)
        for name in schema.names
        if name not in wanted.left and past.fields.get(name) != state.fields.get(name)
    }


def _require(command: Command, state: PersonState) -> None:
    if state.status != "active":
        raise PersonNotFound(f"there is no person {command.person_id}")
    expected = command.expected_versions
    if expected is not None and state.version not in expected:
        raise VersionMismatch.of(state.version, expected)


def evolve(state: PersonState, event: RecordedEvent, schema: PersonSchema | None = None) -> PersonState:
    """Return the person after one more event, in whatever schema it was written.

    Args:
        state: Before it.
        event: The event.
        schema: The person schema in whose form the fields are; None where there has been one alone.

    Raises:
        NewerSchema: This code, or its person schema, is too old to know what it means.
        UnknownSchema: It has a schema that there has never been.
    """
    data: Mapping[str, Value | None] = lift(event.type, event.schema, event.data)
    if schema is not None and event.person_schema != schema.version:
        refuse_newer(event.person_schema, schema)
        data = lift_values(event.type, event.person_schema, data, schema)
    return PersonState(
        person_id=event.person_id,
        status="deleted" if event.type == "person.deleted" else "active",
        version=event.version,
        hash=event.hash,
        fields=fields_after(state.fields, event.type, data),
        created_at=event.applied_at if event.type == "person.created" else state.created_at,
        updated_at=event.applied_at,
    )


def fields_after(
    fields: Mapping[str, Value], event_type: EventType, data: Mapping[str, Value | None]
) -> dict[str, Value]:
    """Return a person's fields after one more event.

    Args:
        fields: Before it.
        event_type: Its type.
        data: Its data.
    """
    match event_type:
        case "person.created":
            return {name: value for name, value in data.items() if value is not None}
        case "person.updated" | "person.image_changed":
            return {name: value for name, value in {**fields, **data}.items() if value is not None}
        case "person.deleted":
            return {}
        case _:
            assert_never(event_type)


def fold(person_id: str, events: Iterable[RecordedEvent], schema: PersonSchema | None = None) -> PersonState:
    """Return the person that a stream's events, in order of version, make; arguments as of `evolve`."""
    state = PersonState(person_id)
    for event in events:
        state = evolve(state, event, schema)
    return state
