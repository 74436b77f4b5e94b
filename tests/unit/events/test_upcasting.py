"""Events of older schemas: what they mean is lifted, what they are stays."""

import dataclasses

import orjson
import pytest
from bson import BSON
from bson.codec_options import CodecOptions

from events.errors import NewerSchema, UnknownSchema
from events.log.event import encode_event, event_of_line, export_line, hash_of
from events.log.stored import event_document, event_of, payload_of
from events.log.upcasting import UPCASTERS, lift
from events.person.decider import PersonState, evolve, fold
from operations.rebuild.folding import folds
from query_api.history.views import history_entries
from service_kit.broker.announcements import announcement
from service_kit.read_model import person_document
from service_kit.seals.opening import open_document
from subscriber.handling import Handling
from tests import older
from tests.chained import SEALING, closed, lines, verify
from tests.claims import known_names
from tests.default_schema import SCHEMA, UNIQUE_EMAIL
from tests.unit.events.test_decider import ID

NAIVE = CodecOptions(tz_aware=False)


@pytest.fixture(autouse=True)
def _later(monkeypatch):
    older.read_as_later(monkeypatch)


@pytest.fixture
def log():
    return older.older_stream(ID)


def documents(log):
    return [(BSON.encode(event_document(one)).decode(NAIVE), {ID: SEALING}) for one in log]


def test_a_fold_lifts_what_it_takes(log):
    state = fold(ID, log)
    assert (state.fields["first_name"], state.fields["last_name"]) == ("Zoé", "Ñu")
    assert "name" not in state.fields
    assert fold(ID, log[:1]).fields["last_name"] == "Ríos"


def test_a_rebuild_makes_the_document_that_a_worker_makes(log):
    (folded,) = folds(documents(log), UNIQUE_EMAIL, known_names(UNIQUE_EMAIL))
    assert folded.document == person_document(fold(ID, log), UNIQUE_EMAIL)
    held = {
        "document_type": "passport",
        "document_id": f"OLD{ID[-12:].upper()}",
        "email": "ana@example.com",
    }
    assert folded.claims == known_names(UNIQUE_EMAIL).held(held)


def test_a_history_shows_the_newest_form(log):
    stored = [open_document(event_document(one), SEALING) for one in log]
    entries = history_entries(stored, {}, SCHEMA)
    assert entries[1]["changes"] == {
        "first_name": {"from": "Ana", "to": "Zoé"},
        "last_name": {"from": "Ríos", "to": "Ñu"},
    }
    assert entries[1]["schema"] == older.NEWEST - 1


def test_what_proves_and_copies_keeps_every_byte(log, tmp_path):
    for one in log:
        again = event_of(open_document(event_document(one), SEALING))
        assert (again, hash_of(again)) == (one, one.hash)
        assert event_of_line(export_line(one)) == closed(one)
    announced = orjson.loads(announcement(log[0]))
    assert (announced["schemaversion"], "name" in announced["sealedfields"]) == (older.NEWEST - 1, True)
    assert verify(tmp_path, lines(log)) == (0, [])


async def test_a_subscriber_gets_the_newest_form(log, monkeypatch):
    monkeypatch.setattr("subscriber.handling.EVENT_SCHEMA", older.NEWEST)
    taken = []

    async def take(event):
        taken.append(event)

    handling = Handling(take)
    bodies = [orjson.dumps({**encode_event(one), "data": dict(one.data)}) for one in log]
    for event in await handling.read(bodies):
        assert await handling.take(event) is None
    assert [one["data"].get("last_name") for one in taken] == ["Ríos", "Ñu", None]
    assert {one["schemaversion"] for one in taken} == {older.NEWEST}


async def test_an_event_of_a_newer_schema_is_an_error_and_never_misread(log):
    newer = dataclasses.replace(log[2], schema=older.NEWEST + 1)
    with pytest.raises(NewerSchema, match=f"schema {older.NEWEST + 1}"):
        evolve(PersonState(ID), newer)
    with pytest.raises(NewerSchema):
        payload_of(event_document(newer))
    sealed = dataclasses.replace(newer, hash=hash_of(newer))
    (folded,) = folds(documents([*log[:2], sealed]), SCHEMA, known_names(SCHEMA))
    assert folded.document is None
    assert folded.problem == (
        "version 3 of the log: an event has schema 4, and this version of Rollcall knows those up to 3: upgrade it"
    )

    async def never(_):
        raise AssertionError

    handling = Handling(never)
    (event,) = await handling.read([orjson.dumps(encode_event(newer))])
    reason = await handling.take(event)
    assert reason is not None and f"schema {older.NEWEST + 1}" in reason


def test_a_type_that_a_number_did_not_change_needs_no_entry_and_no_number_is_made_up(monkeypatch):
    assert lift("person.deleted", older.NEWEST - 1, {}) == {}
    for schema in (-1, "1", None, 0.5):
        with pytest.raises(UnknownSchema):
            lift("person.created", schema, {})
    before = older.NEWEST - 2
    monkeypatch.setitem(
        UPCASTERS, ("person.created", before), lambda data: {**data, "name": f"{data['name']} Ríos"}
    )
    lifted = lift("person.created", before, {"name": "Ana"})
    assert (lifted["first_name"], lifted["last_name"]) == ("Ana", "Ríos")
