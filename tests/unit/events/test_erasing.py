"""Holds and erasures: what is decided, what it leaves of a person, and what is clear in its event."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from events.log.event import RecordedEvent, hash_of, record
from events.log.stored import event_document, event_of, payload_of
from events.person.commands import (
    DeletePerson,
    ErasePerson,
    Erasure,
    Hold,
    HoldPerson,
    LiftHold,
    Lifting,
    decode_command,
    encode_command,
)
from events.person.decider import PersonState, decide, evolve
from events.person.rejections import HoldNotFound, PersonErased, PersonHeld, PersonNotFound, VersionMismatch
from service_kit.milestones import Milestone, milestone_document, milestone_of
from service_kit.read_model import person_document, state_of
from service_kit.seals.person_key import PersonKey
from tests.default_schema import SCHEMA, CreatePerson, PersonChanges, PersonFields, UpdatePerson

ID = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
KEY = PersonKey(bytes(64))
FIELDS = {
    "document_type": "passport",
    "document_id": "AB123",
    "first_name": "Ana",
    "last_name": "Ríos",
    "birth_date": "1990-12-10",
    "gender": "female",
    "email": "ana@example.com",
    "phone": "+573001234567",
}


def stamp(number: int, **more):
    command_id = f"0199b1f0-7a10-7c55-8f2b-{number:012d}"
    base = {"command_id": command_id, "person_id": ID, "accepted_at": NOW, "actor": "ada"}
    return {**base, "correlation_id": command_id, "user_agent": "tests", **more}


def create(number: int = 1):
    return CreatePerson(data=PersonFields(**FIELDS), **stamp(number))


def update(number: int, **changes):
    return UpdatePerson(data=PersonChanges(**changes), **stamp(number))


def delete(number: int):
    return DeletePerson(**stamp(number))


def hold(number: int, reference: str = "2026-114", reason: str = "litigation"):
    return HoldPerson(data=Hold(reason=reason, reference=reference), **stamp(number))


def lift(number: int, reference: str = "2026-114"):
    return LiftHold(data=Lifting(reference=reference), **stamp(number))


def erase(number: int, *, from_journal: bool = False, **more):
    return ErasePerson(data=Erasure(reason="asked", from_journal=from_journal), **stamp(number, **more))


def given(*commands, state: PersonState | None = None) -> tuple[PersonState, list[RecordedEvent]]:
    state, log = state or PersonState(ID), []
    for number, command in enumerate(commands):
        for event in decide(command, state, SCHEMA):
            stamps = {"event_id": f"e{number}", "version": state.version + 1, "prev": state.hash}
            at = NOW + timedelta(seconds=number)
            log.append(record(event, command, schema=SCHEMA, key=KEY, applied_at=at, **stamps))
            state = evolve(state, log[-1], SCHEMA)
    return state, log


def test_an_erased_person_has_nothing_left_and_the_event_says_why_in_the_clear():
    state, log = given(create(), erase(2))
    assert (state.status, dict(state.fields), state.version) == ("erased", {}, 2)
    document = event_document(log[-1])
    assert document["data"] == {"reason": "asked"}
    assert document["sealed_fields"] == [] and "sealed" not in document
    assert hash_of(event_of(document)) == document["hash"]


@pytest.mark.parametrize(
    "later", [create(9), update(9, address="Calle 1"), delete(9), hold(9), lift(9), erase(9)]
)
def test_nothing_can_be_done_about_an_erased_person(later):
    state, _ = given(create(), erase(2))
    with pytest.raises(PersonErased):
        decide(later, state, SCHEMA)


def test_a_deleted_person_can_be_held_and_erased():
    state, _ = given(create(), delete(2), hold(3))
    assert (state.status, dict(state.holds)) == ("deleted", {"2026-114": "litigation"})
    with pytest.raises(PersonHeld):
        decide(erase(4), state, SCHEMA)
    state, _ = given(lift(4), erase(5), state=state)
    assert state.status == "erased"


def test_each_hold_must_be_lifted_before_an_erase():
    state, _ = given(create(), hold(2, "A"), hold(3, "B", "contract"), lift(4, "A"))
    with pytest.raises(PersonHeld, match=r"B \(contract\)"):
        decide(erase(5), state, SCHEMA)
    assert given(lift(5, "B"), erase(6), state=state)[0].status == "erased"


def test_what_the_journal_says_was_done_is_done_again_whatever_holds_a_backup_brought_back():
    state, _ = given(create(), hold(2))
    assert given(erase(3, from_journal=True), state=state)[0].status == "erased"


def test_the_same_hold_again_changes_nothing_and_another_reason_is_a_change():
    state, _ = given(create(), hold(2))
    assert decide(hold(3), state, SCHEMA) == []
    state, log = given(hold(3, reason="contract"), state=state)
    assert (dict(state.holds), len(log)) == ({"2026-114": "contract"}, 1)


def test_a_hold_that_is_not_there_cannot_be_lifted():
    with pytest.raises(HoldNotFound):
        decide(lift(2), given(create())[0], SCHEMA)


@pytest.mark.parametrize("command", [hold(1), lift(1), erase(1)])
def test_who_never_was_is_neither_held_nor_erased(command):
    with pytest.raises(PersonNotFound):
        decide(command, PersonState(ID), SCHEMA)


def test_an_id_of_which_only_commands_wait_is_erased_as_version_1():
    state, log = given(erase(1), state=PersonState(ID, awaited=True))
    assert (state.status, log[0].version) == ("erased", 1)


def test_an_erase_that_expects_another_version_is_refused():
    with pytest.raises(VersionMismatch):
        decide(erase(2, expected_versions={7}), given(create())[0], SCHEMA)


def test_the_reason_and_reference_of_a_hold_are_clear_and_who_asked_from_where_is_sealed():
    document = event_document(given(create(), hold(2))[1][-1])
    assert document["data"] == {"reason": "litigation", "reference": "2026-114"}
    assert document["sealed_fields"] == ["@user_agent"]
    assert payload_of(document, SCHEMA)[1] == document["data"]


def test_a_hold_leaves_the_fields_as_they_were():
    before, _ = given(create())
    assert given(hold(2), state=before)[0].fields == before.fields


@pytest.mark.parametrize(
    "commands", [[create(), hold(2)], [create(), hold(2), delete(3)], [create(), erase(2)]]
)
def test_the_read_model_keeps_holds_and_that_a_person_was_erased(commands):
    state, _ = given(*commands)
    document = person_document(state, SCHEMA)
    known = state_of(document, SCHEMA)
    assert (known.status, known.version, known.holds) == (state.status, state.version, state.holds)
    assert "holds" not in person_document(given(create())[0], SCHEMA)
    if state.status == "erased":
        assert document.keys() == {"_id", "version", "hash", "projection", "deleted", "erased"}


def test_a_milestone_keeps_holds():
    state, _ = given(create(), hold(2))
    assert milestone_of(milestone_document(Milestone(state, NOW))).state.holds == state.holds


@pytest.mark.parametrize("command", [hold(1), lift(1), erase(1, from_journal=True)])
def test_a_command_comes_off_the_wire_as_it_went_on(command):

    assert decode_command(orjson.dumps(encode_command(command)), SCHEMA).data == command.data
