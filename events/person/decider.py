"""The rules: what a command does to a person. Pure: no I/O, no clock, no id generation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, assert_never

from events.log.event import CODE_TYPES, GENESIS, Event, EventType, RecordedEvent
from events.log.upcasting import lift
from events.person.commands import (
    ChangeImage,
    Command,
    CreatePerson,
    DeletePerson,
    ErasePerson,
    HoldPerson,
    LiftHold,
    Reversion,
    RevertPerson,
    UpdatePerson,
    UpsertPerson,
)
from events.person.rejections import (
    HoldNotFound,
    PersonErased,
    PersonExists,
    PersonHeld,
    PersonNotFound,
    UnknownVersion,
    VersionMismatch,
)
from events.person.schema.declarations import PersonSchema, Value
from events.person.schema.lifting import lift_values, refuse_newer

Status = Literal["absent", "active", "deleted", "erased"]


@dataclass(frozen=True, slots=True)
class PersonState:
    """A person as the events so far made them.

    Attributes:
        status: `absent` before the first event, then `active`, `deleted` or, in the end, `erased`.
        version: Number of events so far.
        hash: Hash of the last event.
        fields: The present fields, and where the image is; nothing once deleted.
        holds: What forbids erasing: the reason of each hold, by its reference.
        awaited: Whether commands wait of one who is absent, so that something is known after all.
        created_at: Applied time of the first event.
        updated_at: Applied time of the last event.
    """

    person_id: str
    status: Status = "absent"
    version: int = 0
    hash: str = GENESIS
    fields: Mapping[str, Value] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    holds: Mapping[str, str] = field(default_factory=dict)
    awaited: bool = False


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
    if state.status == "erased":
        raise PersonErased(f"the person {command.person_id} was erased: the id cannot be used again")
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
        case HoldPerson(data=hold):
            _require_known(command, state)
            held = state.holds.get(hold.reference) == hold.reason
            return [] if held else [Event("person.held", hold.model_dump())]
        case LiftHold(data=lifting):
            _require_known(command, state)
            reason = state.holds.get(lifting.reference)
            if reason is None:
                raise HoldNotFound(f"there is no hold {lifting.reference}")
            return [Event("person.hold_lifted", {"reason": reason, "reference": lifting.reference})]
        case ErasePerson(data=erasure):
            if not state.awaited:
                _require_known(command, state)
            # What came out of the journal was done before: a hold that a backup brought back came too late.
            if state.holds and not erasure.from_journal:
                raise PersonHeld.by(state.holds)
            return [Event("person.erased", {"reason": erasure.reason})]
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
    _require_version(command, state)


def _require_known(command: Command, state: PersonState) -> None:
    """Refuse a command about one who never was; who was deleted is in the log still."""
    if state.status == "absent":
        raise PersonNotFound(f"there is no person {command.person_id}")
    _require_version(command, state)


def _require_version(command: Command, state: PersonState) -> None:
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
    if schema is not None and event.person_schema != schema.version and event.type not in CODE_TYPES:
        refuse_newer(event.person_schema, schema)
        data = lift_values(event.type, event.person_schema, data, schema)
    return PersonState(
        person_id=event.person_id,
        status=status_after(state.status, event.type),
        version=event.version,
        hash=event.hash,
        fields=fields_after(state.fields, event.type, data),
        created_at=event.applied_at if event.type == "person.created" else state.created_at,
        updated_at=event.applied_at,
        holds=holds_after(state.holds, event.type, data),
    )


def status_after(status: Status, event_type: EventType) -> Status:
    """Return a person's status after one more event; arguments as of `fields_after`."""
    match event_type:
        case "person.created" | "person.updated" | "person.image_changed":
            return "active"
        case "person.deleted":
            return "deleted"
        case "person.held" | "person.hold_lifted":
            return status
        case "person.erased":
            return "erased"
        case _:
            assert_never(event_type)


def holds_after(
    holds: Mapping[str, str], event_type: EventType, data: Mapping[str, Value | None]
) -> Mapping[str, str]:
    """Return the holds on a person after one more event; arguments as of `fields_after`."""
    match event_type:
        case "person.held":
            return {**holds, str(data["reference"]): str(data["reason"])}
        case "person.hold_lifted":
            return {one: reason for one, reason in holds.items() if one != data["reference"]}
        case "person.erased":
            return {}
        case _:
            return holds


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
        case "person.held" | "person.hold_lifted":
            return dict(fields)
        case "person.deleted" | "person.erased":
            return {}
        case _:
            assert_never(event_type)


def fold(person_id: str, events: Iterable[RecordedEvent], schema: PersonSchema | None = None) -> PersonState:
    """Return the person that a stream's events, in order of version, make; arguments as of `evolve`."""
    state = PersonState(person_id)
    for event in events:
        state = evolve(state, event, schema)
    return state
