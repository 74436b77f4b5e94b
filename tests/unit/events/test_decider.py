"""The rules, given some events, when a command comes."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.log.event import GENESIS, RecordedEvent, hash_of, record
from events.person.commands import (
    ChangeImage,
    DeletePerson,
    decode_command,
    encode_command,
)
from events.person.decider import PersonState, decide, evolve, fold
from events.person.fields import NO_IMAGE, Image
from events.person.rejections import PersonExists, PersonNotFound, Rejection, VersionMismatch
from events.person.views import person_view
from service_kit.read_model import person_changes, person_document, state_of
from tests.chained import SEALING
from tests.default_schema import SCHEMA, CreatePerson, PersonChanges, PersonFields, UpdatePerson

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
    return UpdatePerson(
        data=PersonChanges(**changes),
        **stamp(number, expected_versions=expected_version and {expected_version}),
    )


def picture(name: str) -> Image:
    return Image(image_id=ID, image_url=f"/images/{name}", thumbnail_url=f"/images/{name}/thumbnail")


def change_image(number: int, image: Image = NO_IMAGE, expected_version=None):
    return ChangeImage(data=image, **stamp(number, expected_versions=expected_version and {expected_version}))


def delete(number: int, expected_version=None):
    return DeletePerson(**stamp(number, expected_versions=expected_version and {expected_version}))


def apply(*commands) -> tuple[PersonState, list[RecordedEvent]]:
    state, log = PersonState(ID), []
    for number, command in enumerate(commands):
        try:
            events = decide(command, state, SCHEMA)
        except Rejection:
            continue
        if not events:
            continue
        (event,) = events
        recorded = record(
            event,
            command,
            event_id=f"e{number}",
            version=state.version + 1,
            applied_at=NOW + timedelta(seconds=number),
            prev=state.hash,
            schema=SCHEMA,
            key=SEALING,
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
            decide(create(9), apply(*given_)[0], SCHEMA)


def test_an_update_states_only_what_changes():
    state, log = apply(
        create(occupation="Baker"), update(2, first_name="Ana", last_name="Paz", occupation=None)
    )
    assert log[1].data == {"last_name": "Paz", "occupation": None}
    assert state.fields == {**FIELDS, "last_name": "Paz"}


def test_an_update_that_changes_nothing_makes_no_event():
    state, log = apply(create(), update(2, first_name="Ana", occupation=None))
    assert (len(log), state.version) == (1, 1)
    assert decide(update(3, first_name="Ana"), state, SCHEMA) == []
    with pytest.raises(VersionMismatch):
        decide(update(3, 7, first_name="Ana"), state, SCHEMA)


@pytest.mark.parametrize("command", [update(5, gender="male"), change_image(5), delete(5)])
def test_nobody_cannot_be_changed(command):
    for given_ in ((), (create(), delete(2))):
        with pytest.raises(PersonNotFound):
            decide(command, apply(*given_)[0], SCHEMA)


@pytest.mark.parametrize("command", [update(5, 1, gender="male"), change_image(5, NO_IMAGE, 1), delete(5, 3)])
def test_another_version_than_expected_is_refused(command):
    with pytest.raises(VersionMismatch, match="at version 2"):
        decide(command, apply(create(), update(2, gender="male"))[0], SCHEMA)


def test_the_expected_version_is_accepted():
    assert decide(update(5, 2, gender="female"), apply(create(), update(2, gender="male"))[0], SCHEMA)


def test_a_deletion_leaves_no_field():
    state, log = apply(create(), delete(2))
    assert (state.status, dict(state.fields), log[1].data) == ("deleted", {}, {})


def test_an_image_is_the_person_s_until_another_comes_or_none():
    state, log = apply(create(), change_image(2, picture("a")))
    assert log[1].type == "person.image_changed"
    assert log[1].data == picture("a").model_dump()
    view = person_view(state, SCHEMA)
    assert (view["image_url"], view["thumbnail_url"]) == ("/images/a", "/images/a/thumbnail")
    kept, _ = apply(create(), change_image(2, picture("a")), update(3, gender="male"))
    assert person_view(kept, SCHEMA)["image_url"]
    state, log = apply(create(), change_image(2, picture("a")), change_image(3, picture("b")))
    assert person_view(state, SCHEMA)["image_url"] == "/images/b"
    state, log = apply(create(), change_image(2, picture("a")), change_image(3))
    assert log[2].data == {"image_id": None, "image_url": None, "thumbnail_url": None}
    assert (state.fields, person_view(state, SCHEMA)["image_url"]) == (FIELDS, None)


def test_a_change_of_image_that_changes_nothing_makes_no_event():
    bare, pictured = apply(create())[0], apply(create(), change_image(2, picture("a")))[0]
    assert decide(change_image(3), bare, SCHEMA) == []
    assert decide(change_image(3, picture("a")), pictured, SCHEMA) == []
    with pytest.raises(VersionMismatch):
        decide(change_image(3, NO_IMAGE, 7), bare, SCHEMA)
    # A document from before there were images says nothing of them.
    older = state_of({**person_document(bare, SCHEMA), "image_id": None}, SCHEMA)
    assert decide(change_image(3), older, SCHEMA) == []


def test_an_image_that_is_there_in_part_is_none_of_ours():
    with pytest.raises(ValueError, match="with all that belongs to it"):
        Image(image_id=ID, image_url=None, thumbnail_url=None)


@pytest.mark.parametrize("image", [NO_IMAGE, picture("a")])
def test_a_change_of_image_is_the_same_after_its_way(image):
    command = change_image(3, image, 2)
    assert decode_command(json.dumps(encode_command(command)).encode(), SCHEMA) == command


NAMES = st.text(st.characters(categories=["L"]), min_size=1, max_size=9)
CHANGES = st.dictionaries(
    st.sampled_from(["first_name", "last_name", "address", "occupation"]), NAMES | st.none(), min_size=1
)
CHANGES = CHANGES.filter(lambda c: all(v is not None or k in SCHEMA.optional for k, v in c.items()))
IMAGES = st.sampled_from([NO_IMAGE, picture("a"), picture("b")])
STEPS = st.lists(st.one_of(st.just(None), st.just("delete"), CHANGES, IMAGES), max_size=12)


def commands_of(steps):
    for number, step in enumerate(steps):
        if step is None:
            yield create(number)
        elif step == "delete":
            yield delete(number)
        elif isinstance(step, Image):
            yield change_image(number, step)
        else:
            yield update(number, **step)


@given(STEPS)
def test_the_read_model_holds_the_state_however_it_came_there(steps):
    state, log = apply(*commands_of(steps))
    if not log:
        return
    document = person_document(state, SCHEMA)
    read = state_of(document, SCHEMA)
    assert (read.status, read.version, dict(read.fields)) == (state.status, state.version, dict(state.fields))
    before = fold(ID, log[:-1])
    if before.status == state.status == "active":
        assert {**person_document(before, SCHEMA), **person_changes(before, state, SCHEMA)} == document


def test_a_document_from_before_there_were_images_is_read():
    document = person_document(apply(create())[0], SCHEMA)
    for name in ("image_id", "thumbnail_url"):
        del document[name]
    assert state_of(document, SCHEMA).fields == FIELDS


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
        assert event.hash == hash_of(event) == hash_of(event)
        previous = event.hash
