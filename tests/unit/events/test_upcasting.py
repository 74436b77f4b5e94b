"""Events of older schemas: what they mean is lifted, what they are stays."""

import dataclasses

import orjson
import pytest
from bson import BSON
from bson.codec_options import CodecOptions

from events.errors import NewerSchema, UnknownSchema
from events.log.event import EVENT_SCHEMA, encode_event, event_of_line, export_line, seal
from events.log.stored import event_document, event_of, payload_of
from events.log.upcasting import UPCASTERS, lift
from events.person.decider import PersonState, evolve, fold
from operations.rebuild.folding import folds
from query_api.history.views import history_entries
from service_kit.broker.announcements import announcement
from service_kit.read_model import person_document
from subscriber.handling import Handling
from tests import older
from tests.chained import lines, verify
from tests.claims import known_names
from tests.default_schema import SCHEMA, UNIQUE_EMAIL
from tests.unit.events.test_decider import ID

NAIVE = CodecOptions(tz_aware=False)


@pytest.fixture(autouse=True)
def _schema_0(monkeypatch):
    for key, upcaster in older.UPCASTERS.items():
        monkeypatch.setitem(UPCASTERS, key, upcaster)


@pytest.fixture
def log():
    return older.older_stream(ID)


def documents(log):
    return [BSON.encode(event_document(one)).decode(NAIVE) for one in log]


def test_a_fold_lifts_what_it_takes(log):
    state = fold(ID, log)
    assert (state.fields["first_name"], state.fields["last_name"]) == ("Zoé", "Ñu")
    assert "name" not in state.fields
    assert fold(ID, log[:1]).fields["last_name"] == "Ríos"


def test_a_rebuild_makes_the_document_that_a_worker_makes(log):
    (folded,) = folds(documents(log), UNIQUE_EMAIL, known_names(UNIQUE_EMAIL))
    assert folded.document == person_document(fold(ID, log), UNIQUE_EMAIL)
    assert folded.claims == {f"document:passport:OLD{ID[-12:].upper()}", "email:ana@example.com"}


def test_a_history_shows_the_newest_form(log):
    stored = [event_document(one) for one in log]
    entries = history_entries(stored, {}, SCHEMA)
    assert entries[1]["changes"] == {
        "first_name": {"from": "Ana", "to": "Zoé"},
        "last_name": {"from": "Ríos", "to": "Ñu"},
    }
    assert (entries[1]["schema"], entries[2]["schema"]) == (0, EVENT_SCHEMA)


def test_what_proves_and_copies_keeps_every_byte(log, tmp_path):
    for one in log:
        again = event_of(event_document(one))
        assert (again, seal(again)) == (one, one.hash)
        assert event_of_line(export_line(one)) == one
    assert orjson.loads(announcement(log[0]))["data"]["name"] == "Ana Ríos"
    assert verify(tmp_path, lines(log)) == (0, [])


async def test_a_subscriber_gets_the_newest_form(log):
    taken = []

    async def take(event):
        taken.append(event)

    handling = Handling(take)
    for one in log:
        assert await handling.take(announcement(one)) is None
    assert [one["data"].get("last_name") for one in taken] == ["Ríos", "Ñu", None]
    assert {one["schemaversion"] for one in taken} == {EVENT_SCHEMA}


async def test_an_event_of_a_newer_schema_is_an_error_and_never_misread(log):
    newer = dataclasses.replace(log[2], schema=EVENT_SCHEMA + 1)
    with pytest.raises(NewerSchema, match="schema 2"):
        evolve(PersonState(ID), newer)
    with pytest.raises(NewerSchema):
        payload_of(event_document(newer))
    sealed = dataclasses.replace(newer, hash=seal(newer))
    (folded,) = folds(documents([*log[:2], sealed]), SCHEMA, known_names(SCHEMA))
    assert folded.document is None
    assert folded.problem == (
        "version 3 of the log: an event has schema 2, and this version of Rollcall knows those up to 1: upgrade it"
    )

    async def never(_):
        raise AssertionError

    reason = await Handling(never).take(orjson.dumps(encode_event(newer)))
    assert reason is not None and "schema 2" in reason


def test_a_type_that_a_number_did_not_change_needs_no_entry_and_no_number_is_made_up(monkeypatch):
    assert lift("person.deleted", 0, {}) == {}
    for schema in (-1, "1", None, 0.5):
        with pytest.raises(UnknownSchema):
            lift("person.created", schema, {})
    monkeypatch.setitem(
        UPCASTERS, ("person.created", -1), lambda data: {**data, "name": f"{data['name']} Ríos"}
    )
    lifted = lift("person.created", -1, {"name": "Ana"})
    assert (lifted["first_name"], lifted["last_name"]) == ("Ana", "Ríos")
