"""What a history shows, what an export's lines hold, and the way back to an earlier version: the pure parts."""

import json

import pytest
from bson import BSON, decode_all
from bson.codec_options import CodecOptions
from hypothesis import assume, given
from hypothesis import strategies as st

from events.accounts.event import AccountFact, Origin, record_fact
from events.errors import InvalidFields, NotAcceptable
from events.log.event import GENESIS, event_of_line, export_line, record
from events.log.stored import event_document
from events.person.commands import Reversion, RevertPerson, decode_command, encode_command
from events.person.decider import PersonState, decide, evolve, fold
from events.person.fields import IMAGE_NAMES
from events.person.rejections import PersonNotFound, UnknownVersion, VersionMismatch
from events.times import parse_rfc3339
from query_api.exports.event_lines import ndjson
from query_api.history.filters import EventsQuery
from query_api.history.queries import HistoryCursor
from query_api.history.views import event_view, history_entries
from query_api.reading.accept import choose
from query_api.reading.cursors import CursorSeal
from service_kit.seals.opening import ERASED, open_document
from tests.chained import SEALING
from tests.default_schema import FIELD_NAMES, SCHEMA
from tests.unit.events.test_decider import (
    FIELDS,
    ID,
    NOW,
    STEPS,
    apply,
    commands_of,
    create,
    delete,
    stamp,
    update,
)
from tests.unit.verifier.test_verifier import events as any_events

NAIVE = CodecOptions(tz_aware=False)


def revert(number: int, to_version: int, expected_version=None) -> RevertPerson:
    return RevertPerson(
        data=Reversion(to_version=to_version),
        **stamp(number, expected_versions=expected_version and {expected_version}),
    )


def go_back(log, to_version: int):
    """Return the events with one more that reverts to a version, and the state after it."""
    state, past = fold(ID, log), fold(ID, log[:to_version])
    command = revert(99, to_version)
    events = decide(command, state, SCHEMA, past)
    if not events:
        return state, None
    (event,) = events
    recorded = record(
        event,
        command,
        event_id="back",
        version=state.version + 1,
        applied_at=NOW,
        prev=state.hash,
        schema=SCHEMA,
        key=SEALING,
    )
    return evolve(state, recorded), recorded


@given(STEPS, st.integers(0, 12))
def test_a_history_s_values_add_up_to_the_record_at_each_version(steps, cut):
    log = apply(*commands_of(steps))[1]
    documents = [open_document(event_document(event), SEALING) for event in log]
    cut = min(cut, len(log))
    fields = fold(ID, log[:cut]).fields
    for event, entry in zip(log[cut:], history_entries(documents[cut:], fields, SCHEMA), strict=True):
        for name, change in entry["changes"].items():
            assert change["from"] == fields.get(name)
            assert change["from"] != change["to"]
            fields = {**fields, name: change["to"]}
        fields = {name: value for name, value in fields.items() if value is not None}
        assert fields == fold(ID, log[: event.version]).fields


def test_of_an_erased_person_a_history_shows_which_fields_were_set_and_no_value():
    log = apply(create(), update(2, occupation="Baker"), delete(3))[1]
    documents = [open_document(event_document(event), ERASED) for event in log]
    created, updated, deleted = history_entries(documents, {}, SCHEMA)
    assert created["erased"] == sorted(FIELDS)
    assert (updated["erased"], deleted["erased"]) == (["occupation"], [])
    assert not (created["changes"] or updated["changes"] or deleted["changes"])
    assert event_view(documents[1], SCHEMA)["data"] == {}
    assert [entry["actor"] for entry in (created, updated)] == [{"subject": "ada", "name": None}] * 2


def test_of_an_account_s_event_it_is_told_from_where_it_was_done():
    origin = Origin("ada", source_address="192.0.2.1", user_agent="curl")
    fact = AccountFact("account:ada", "account.logged_in", {"client": "web"}, "f1", NOW, origin)
    event = record_fact(fact, event_id="e1", version=1, applied_at=NOW, prev=GENESIS)
    view = event_view(event_document(event), SCHEMA)
    assert (view["source_address"], view["user_agent"], view["data"]) == (
        "192.0.2.1",
        "curl",
        {"client": "web"},
    )


@given(STEPS, st.integers(1, 12))
def test_after_a_revert_the_fields_are_those_of_the_version(steps, to_version):
    state, log = apply(*commands_of(steps))
    to_version = min(to_version, len(log))
    if state.status != "active":
        with pytest.raises(PersonNotFound):
            decide(revert(99, max(1, to_version)), state, SCHEMA)
        return
    after, event = go_back(log, to_version)
    then = fold(ID, log[:to_version]).fields
    # What the client said, as it was then; the image, as it is now: the old picture is gone.
    wanted = {name: then[name] for name in FIELD_NAMES if name in then}
    assert after.fields == wanted | {name: state.fields[name] for name in IMAGE_NAMES if name in state.fields}
    if event is None:
        assert after == state
        return
    assert (event.type, after.version) == ("person.updated", len(log) + 1)
    assert set(event.data) <= set(FIELD_NAMES)


def test_a_revert_states_the_difference_and_nothing_else():
    log = apply(create(), update(2, address="Calle 1", gender="male"), update(3, gender="female"))[1]
    assert go_back(log, 2)[1].data == {"gender": "male"}
    assert go_back(log, 1)[1].data == {"address": None}
    assert go_back(log, 3)[1] is None


def test_a_revert_is_refused_for_a_version_that_never_was_and_for_another_than_expected():
    state = apply(create(), update(2, gender="male"))[0]
    with pytest.raises(UnknownVersion, match="at version 2, and was never at 3"):
        decide(revert(3, 3), state, SCHEMA)
    with pytest.raises(VersionMismatch):
        decide(revert(3, 1, expected_version=1), state, SCHEMA)
    for gone in (PersonState(ID), apply(create(), delete(2))[0]):
        with pytest.raises(PersonNotFound):
            decide(revert(3, 1), gone, SCHEMA)


def test_a_revert_without_what_was_is_our_fault_and_no_refusal():
    state = apply(create(), update(2, gender="male"))[0]
    for past in (None, PersonState(ID), state):
        with pytest.raises(ValueError, match="cannot be reverted"):
            decide(revert(3, 1), state, SCHEMA, past)


def test_a_revert_survives_the_wire():
    command = revert(3, 7, expected_version=9)
    assert decode_command(json.dumps(encode_command(command)).encode(), SCHEMA) == command


@given(any_events)
def test_an_exported_line_is_the_one_that_the_verifier_knows(event):
    assume(not any("\0" in name for name in event.data))  # BSON has no such names
    (document,) = decode_all(BSON.encode(event_document(event)), NAIVE)
    line = ndjson([document])
    assert line == export_line(event) + b"\n"
    assert event_document(event_of_line(line)) | {"sealed": None} == event_document(event) | {"sealed": None}


FORMS = ("application/json", "application/x-ndjson", "text/csv")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, FORMS[0]),
        ("*/*", FORMS[0]),
        ("application/x-ndjson", FORMS[1]),
        ("text/*", FORMS[2]),
        ("TEXT/CSV; charset=utf-8", FORMS[2]),
        ('text/csv;header=present;charset="utf-8"', FORMS[2]),
        ('application/x-ndjson;note="a, b; q=0", text/csv;q=0.5', FORMS[1]),
        ("text/csv;header=absent;q=0.2, application/x-ndjson;q=0.5, text/csv;q=0.7", FORMS[2]),
        ("text/csv;q=0.5, application/x-ndjson;q=0.7", FORMS[1]),
        ("application/json;q=0, */*", FORMS[1]),
        ("text/html, application/xhtml+xml, */*;q=0.8", FORMS[0]),
    ],
)
def test_the_form_that_is_wanted_most_is_chosen(accept, form):
    assert choose(accept, FORMS) == form


@pytest.mark.parametrize(
    "accept", ["text/html", "*/*;q=0", "text/csv;q=x", "text/csv;q=nan", "text/csv;q=2", "", "csv"]
)
def test_what_cannot_be_had_is_refused(accept):
    with pytest.raises(NotAcceptable):
        choose(accept, FORMS)


@given(st.none() | st.integers(1, 2**31 - 1), st.none() | st.tuples(st.datetimes(), st.uuids()))
def test_a_place_in_a_history_survives_its_cursor(version, rejection):
    if rejection:
        rejection = parse_rfc3339(f"{rejection[0].isoformat()}Z"), str(rejection[1])
    place, seal = HistoryCursor(version, rejection), CursorSeal()
    assert HistoryCursor.read(place.encode("mark", seal), "mark", seal) == place
    with pytest.raises(InvalidFields):
        HistoryCursor.read(place.encode("mark", seal), "another", seal)


def test_what_a_client_sends_is_a_value_in_a_query_and_nothing_else():
    query = EventsQuery.model_validate(
        {"actor": "$where", "correlation_id": '{"$gt": ""}', "from": "2026-01-01T00:00:00+05:00"}
    )
    assert query.conditions[:2] == [
        {"actor": {"$eq": "$where"}},
        {"correlation_id": {"$eq": '{"$gt": ""}'}},
    ]


@pytest.mark.parametrize("text", ["", "soon", "2026-01-01T00:00:00", "0001-01-01T00:00:00+05:00"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(ValueError):
        parse_rfc3339(text)
