"""The rules, given some events, when a command comes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.commands import CreatePerson, DeletePerson, UpdatePerson
from events.decider import PersonState, decide, evolve, fold
from events.errors import PersonExists, PersonNotFound, Rejection, VersionMismatch
from events.facts import GENESIS, RecordedEvent, record, seal
from events.person import OPTIONAL_FIELDS, PersonChanges, PersonFields

ID = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
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
    return {**base, "correlation_id": command_id, **more}


def create(number: int = 1, **fields):
    return CreatePerson(data=PersonFields(**FIELDS, **fields), **stamp(number))


def update(number: int, expected_version=None, **changes):
    return UpdatePerson(data=PersonChanges(**changes), **stamp(number, expected_version=expected_version))


def delete(number: int, expected_version=None):
    return DeletePerson(**stamp(number, expected_version=expected_version))


def apply(*commands) -> tuple[PersonState, list[RecordedEvent]]:
    state, log = PersonState(ID), []
    for number, command in enumerate(commands):
        try:
            (event,) = decide(command, state)
        except Rejection:
            continue
        recorded = record(
            event,
            command,
            event_id=f"e{number}",
            version=state.version + 1,
            applied_at=NOW + timedelta(seconds=number),
            prev=state.hash,
        )
        state = evolve(state, recorded)
        log.append(recorded)
    return state, log


def test_a_create_of_nobody_makes_a_person():
    state, (event,) = apply(create(occupation="Baker"))
    assert (event.type, event.version, event.prev) == ("person.created", 1, GENESIS)
    assert state.fields == {**FIELDS, "occupation": "Baker"}
    assert (state.status, state.version, state.created_at) == ("active", 1, NOW)


def test_an_id_is_used_once_even_after_deletion():
    for given_ in ((create(),), (create(), delete(2))):
        with pytest.raises(PersonExists):
            decide(create(9), apply(*given_)[0])


def test_an_update_states_only_what_changes():
    state, log = apply(
        create(occupation="Baker"), update(2, first_name="Ana", last_name="Paz", occupation=None)
    )
    assert log[1].data == {"last_name": "Paz", "occupation": None}
    assert state.fields == {**FIELDS, "last_name": "Paz"}


def test_an_update_that_changes_nothing_is_a_fact_all_the_same():
    state, log = apply(create(), update(2, first_name="Ana"))
    assert (log[1].data, state.version) == ({}, 2)


@pytest.mark.parametrize("command", [update(5, gender="male"), delete(5)])
def test_nobody_cannot_be_changed(command):
    for given_ in ((), (create(), delete(2))):
        with pytest.raises(PersonNotFound):
            decide(command, apply(*given_)[0])


@pytest.mark.parametrize("command", [update(5, 1, gender="male"), delete(5, 3)])
def test_another_version_than_expected_is_refused(command):
    with pytest.raises(VersionMismatch, match="at version 2"):
        decide(command, apply(create(), update(2, gender="male"))[0])


def test_the_expected_version_is_accepted():
    assert decide(update(5, 2, gender="male"), apply(create(), update(2, gender="male"))[0])


def test_a_deletion_leaves_no_field():
    state, log = apply(create(), delete(2))
    assert (state.status, dict(state.fields), log[1].data) == ("deleted", {}, {})


NAMES = st.text(st.characters(categories=["L"]), min_size=1, max_size=9)
CHANGES = st.dictionaries(
    st.sampled_from(["first_name", "last_name", "address", "occupation"]), NAMES | st.none(), min_size=1
)
CHANGES = CHANGES.filter(lambda c: all(v is not None or k in OPTIONAL_FIELDS for k, v in c.items()))
STEPS = st.lists(st.one_of(st.just(None), st.just("delete"), CHANGES), max_size=12)


def commands_of(steps):
    for number, step in enumerate(steps):
        if step is None:
            yield create(number)
        elif step == "delete":
            yield delete(number)
        else:
            yield update(number, **step)


@given(STEPS)
def test_versions_have_no_gap_and_the_fold_is_the_state(steps):
    state, log = apply(*commands_of(steps))
    assert [event.version for event in log] == list(range(1, len(log) + 1))
    assert fold(ID, log) == state


@given(STEPS)
def test_every_event_is_chained_to_the_one_before(steps):
    previous = GENESIS
    for event in apply(*commands_of(steps))[1]:
        assert event.prev == previous
        assert event.hash == seal(event) == seal(event)
        previous = event.hash
