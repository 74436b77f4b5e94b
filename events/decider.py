"""Owns the rules: what a command does to a person. Pure: no I/O, no clock, no id generation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, assert_never

from events.commands import Command, CreatePerson, DeletePerson, UpdatePerson
from events.errors import PersonExists, PersonNotFound, VersionMismatch
from events.facts import GENESIS, Event, RecordedEvent


@dataclass(frozen=True, slots=True)
class PersonState:
    """A person as the events so far made them.

    Attributes:
        status: `absent` before the first event, then `active` or `deleted`.
        version: Number of events so far.
        hash: Hash of the last event.
        fields: The present fields; nothing once deleted.
        created_at: Applied time of the first event.
        updated_at: Applied time of the last event.
    """

    person_id: str
    status: Literal["absent", "active", "deleted"] = "absent"
    version: int = 0
    hash: str = GENESIS
    fields: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None


def decide(command: Command, state: PersonState) -> list[Event]:
    """Return what the command makes happen.

    Exactly one event: the log's unique index on (person_id, command_id) allows no more. An update
    that changes nothing is still a fact, with empty data, so that each command has its trace.

    Raises:
        Rejection: The rules refuse it.
    """
    match command:
        case CreatePerson():
            if state.status != "absent":
                raise PersonExists(f"the id {command.person_id} is already in use")
            return [Event("person.created", command.data.model_dump(exclude_none=True))]
        case UpdatePerson():
            _require(command, state)
            asked = command.data.model_dump(exclude_unset=True)
            changed = {k: v for k, v in asked.items() if state.fields.get(k) != v}
            return [Event("person.updated", changed)]
        case DeletePerson():
            _require(command, state)
            return [Event("person.deleted", {})]
        case _:
            assert_never(command)


def _require(command: Command, state: PersonState) -> None:
    if state.status != "active":
        raise PersonNotFound(f"there is no person {command.person_id}")
    if command.expected_version is not None and command.expected_version != state.version:
        raise VersionMismatch(f"the person is at version {state.version}, not {command.expected_version}")


def evolve(state: PersonState, event: RecordedEvent) -> PersonState:
    """Return the person after one more event."""
    common: dict[str, Any] = {
        "person_id": event.person_id,
        "version": event.version,
        "hash": event.hash,
        "updated_at": event.applied_at,
    }
    match event.type:
        case "person.created":
            return PersonState(
                status="active",
                fields={k: v for k, v in event.data.items() if v is not None},
                created_at=event.applied_at,
                **common,
            )
        case "person.updated":
            merged = {**state.fields, **event.data}
            return PersonState(
                status="active",
                fields={k: v for k, v in merged.items() if v is not None},
                created_at=state.created_at,
                **common,
            )
        case "person.deleted":
            return PersonState(status="deleted", created_at=state.created_at, **common)
        case _:
            assert_never(event.type)


def fold(person_id: str, events: Iterable[RecordedEvent]) -> PersonState:
    """Return the person that a stream's events, in order of version, make."""
    state = PersonState(person_id)
    for event in events:
        state = evolve(state, event)
    return state
