"""What an event or a command of an earlier person schema means in the one that is in force."""

import hmac
from datetime import UTC, datetime

import orjson
import pytest

from events.errors import NewerSchema
from events.log.commitments import jcs
from events.log.event import GENESIS, Event, RecordedEvent, record
from events.log.stored import event_document, payload_of
from events.person.claims import kind_of, taken
from events.person.commands import DeletePerson, UpdatePerson, UpsertPerson, decode_command
from events.person.decider import PersonState, decide, evolve, fold
from events.person.schema.lifting import in_force, lift_values, refuse_newer, written_in
from events.person.schema.reading import read_schema
from query_api.history.views import event_view, history_entries
from service_kit.ids import new_id
from service_kit.milestones import MILESTONE_FORM, milestone_form
from service_kit.read_model import PROJECTION, is_current, person_document, projection_name, projection_of
from service_kit.seals.opening import open_document
from tests.chained import SEALING
from tests.claims import known_names

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
PERSON = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
TEXT = {"type": "string", "format": "text"}


def schema(version, required=(), **properties):
    """Return a schema; a field's former name stands in front of it, before a colon."""
    for name, declared in properties.items():
        properties[name] = {"type": "string", **declared}
    return read_schema(
        {"version": version, "type": "object", "required": list(required), "properties": properties}
    )


def renamed(former, **more):
    return {**TEXT, "rollcall": {"renamed_from": former, **more}}


FIRST = schema(1, name=TEXT, job=TEXT, note=TEXT)
CHAIN = [
    FIRST,
    schema(2, name=TEXT, work=renamed("job"), note=TEXT),
    schema(3, name=TEXT, work=TEXT),  # without the note
    schema(4, ["grade"], name=TEXT, role=renamed("work"), grade={**TEXT, "default": "none"}),
    schema(5, ["grade"], name=TEXT, role=TEXT, grade={**TEXT, "default": "none"}, note=TEXT),
]
NOW_IN_FORCE = in_force(CHAIN)


@pytest.mark.parametrize(
    ("number", "type_", "values", "meaning"),
    [
        (1, "person.created", {"job": "judge"}, {"role": "judge", "grade": "none"}),
        (None, "person.created", {"job": "judge"}, {"role": "judge", "grade": "none"}),
        (1, "person.updated", {"job": None}, {"role": None}),
        (2, "person.updated", {"work": "judge"}, {"role": "judge"}),
        (3, "person.updated", {"work": "judge"}, {"role": "judge"}),
        (1, "person.created", {"note": "kept"}, {"note": "kept", "grade": "none"}),
        (4, "person.created", {"grade": "high"}, {"grade": "high"}),
        (4, "person.created", {}, {}),
        (5, "person.created", {"role": "judge"}, {"role": "judge"}),
        (6, "person.created", {"job": "judge"}, {"job": "judge"}),
        (1, "person.deleted", {}, {}),
        (1, "person.image_changed", {"image_id": None}, {"image_id": None}),
    ],
)
def test_values_are_lifted_number_by_number(number, type_, values, meaning):
    assert lift_values(type_, number, values, NOW_IN_FORCE) == meaning


def test_what_is_required_later_is_there_also_after_it_was_taken_away():
    before = schema(1, name=TEXT, grade=TEXT)
    after = in_force([before, schema(2, ["grade"], name=TEXT, grade={**TEXT, "default": "none"})])
    assert lift_values("person.updated", 1, {"grade": None}, after) == {"grade": "none"}
    assert lift_values("person.updated", 1, {"name": "x"}, after) == {"name": "x"}
    optional = in_force([before, schema(2, name=TEXT, grade={**TEXT, "default": "none"})])
    assert lift_values("person.created", 1, {"name": "x"}, optional) == {"name": "x"}


def test_a_schema_that_is_alone_lifts_nothing():
    values = {"job": "judge"}
    assert lift_values("person.created", None, values, FIRST) is values
    assert in_force([FIRST]).earlier == ()


def test_the_schema_that_something_was_written_in_is_found():
    assert [written_in(number, NOW_IN_FORCE) for number in (None, 1, 2, 4, 5, 6)] == [
        FIRST,
        FIRST,
        CHAIN[1],
        CHAIN[3],
        None,
        None,
    ]
    assert written_in(None, FIRST) is None


def event(number, version, type_, data) -> RecordedEvent:
    command = DeletePerson(
        command_id=new_id(),
        person_id=PERSON,
        accepted_at=NOW,
        actor="ada",
        correlation_id="c",
        person_schema=number,
    )
    stamps = {"event_id": new_id(), "version": version, "applied_at": NOW, "prev": GENESIS}
    written = CHAIN[number - 1]
    return record(Event(type_, data), command, schema=written, key=SEALING, **stamps)


STREAM = [
    event(1, 1, "person.created", {"name": "Ana", "job": "judge", "note": "tall"}),
    event(2, 2, "person.updated", {"work": "notary"}),
    event(4, 3, "person.updated", {"role": "clerk", "grade": "high"}),
]


def document_of(event):
    """Return an event as it is read from the log, opened."""
    return open_document(event_document(event), SEALING)


def test_a_person_is_what_events_of_all_schemas_say():
    state = fold(PERSON, STREAM, NOW_IN_FORCE)
    assert state.fields == {"name": "Ana", "role": "clerk", "grade": "high", "note": "tall"}
    without_note = in_force(CHAIN[:4])
    document = person_document(fold(PERSON, STREAM, without_note), without_note)
    assert {"note", "job", "work"}.isdisjoint(document)
    assert (document["role"], document["grade"]) == ("clerk", "high")


def test_a_history_shows_the_present_names_of_present_fields():
    documents = [document_of(one) for one in STREAM]
    entries = history_entries(documents, {}, in_force(CHAIN[:4]))
    assert [entry["changes"] for entry in entries] == [
        {
            "name": {"from": None, "to": "Ana"},
            "role": {"from": None, "to": "judge"},
            "grade": {"from": None, "to": "none"},
        },
        {"role": {"from": "judge", "to": "notary"}},
        {"role": {"from": "notary", "to": "clerk"}, "grade": {"from": "none", "to": "high"}},
    ]
    assert [entry["former_names"] for entry in entries] == [{"role": "job"}, {"role": "work"}, {}]
    assert event_view(documents[0], in_force(CHAIN[:4]))["data"] == {
        "name": "Ana",
        "role": "judge",
        "grade": "none",
    }
    assert event_view(documents[0], NOW_IN_FORCE)["data"]["note"] == "tall"
    assert event_view(documents[0], FIRST)["data"] == documents[0]["data"]
    assert event_view(documents[2], in_force(CHAIN[:3]))["data"] == {}, "names of a newer schema"


def test_an_event_of_a_newer_schema_is_not_understood_by_who_decides():
    state = PersonState(PERSON)
    with pytest.raises(
        NewerSchema, match="number 4 of the person schema is newer than 3, by which this process goes"
    ):
        evolve(state, STREAM[2], in_force(CHAIN[:3]))
    with pytest.raises(NewerSchema):
        refuse_newer(2, FIRST)
    assert payload_of(document_of(STREAM[2]), in_force(CHAIN[:3]))[1] == STREAM[2].data


def message(number, type_="person.create", **data):
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": new_id(),
            "type": type_,
            "source": "/rollcall/command-api",
            "subject": PERSON,
            "time": "2026-01-31T08:00:00.000Z",
            "datacontenttype": "application/json",
            "schemaversion": 1,
            "personschema": number,
            "actor": "ada",
            "correlationid": "c",
            "data": data,
        }
    )


def decided(body, state, schema_):
    command = decode_command(body, schema_)
    return [(one.type, one.data) for one in decide(command, state, schema_, past=None)]


def active(**fields):
    return PersonState(PERSON, "active", 1, "x", fields, NOW, NOW)


@pytest.mark.parametrize(
    ("number", "type_", "data", "events"),
    [
        (1, "person.create", {"name": "Ana", "job": "j"}, {"name": "Ana", "role": "j", "grade": "none"}),
        (3, "person.create", {"name": "Ana"}, {"name": "Ana", "grade": "none"}),
        (4, "person.create", {"name": "Ana", "grade": "x"}, {"name": "Ana", "grade": "x"}),
        (1, "person.upsert", {"name": "Ana", "job": "j"}, {"name": "Ana", "role": "j", "grade": "none"}),
    ],
)
def test_a_command_in_an_older_form_creates_a_person_of_today(number, type_, data, events):
    without_note = in_force(CHAIN[:4])
    ((kind, made),) = decided(message(number, type_, **data), PersonState(PERSON), without_note)
    assert (kind, made) == ("person.created", events)


def test_a_command_in_an_older_form_changes_what_is_still_there():
    without_note = in_force(CHAIN[:4])
    state = active(name="Ana", role="j", grade="x")
    for type_ in ("person.update", "person.upsert"):
        ((_, changes),) = decided(message(1, type_, job="k", note="n"), state, without_note)
        assert changes == {"role": "k"}
        assert decided(message(1, type_, note="n"), state, without_note) == []
    command = decode_command(message(1, "person.revert", to_version=1, left=["job"]), without_note)
    assert command.data.left == ("role",)


def test_a_command_is_held_to_the_schema_that_it_was_written_in():
    wide = schema(1, name={**TEXT, "maxLength": 20})
    narrow = in_force([wide, schema(2, name={**TEXT, "maxLength": 3})])
    command = decode_command(message(1, "person.update", name="Ana María"), narrow)
    assert isinstance(command, UpdatePerson) and command.data.name == "Ana María"
    upsert = decode_command(message(1, "person.upsert", name="Ana María"), narrow)
    assert isinstance(upsert, UpsertPerson)
    with pytest.raises(Exception, match="name"):
        decode_command(message(2, "person.update", name="Ana María"), narrow)
    with pytest.raises(Exception, match="nickname"):
        decode_command(message(1, "person.update", nickname="A"), narrow)


def test_the_read_model_has_another_form_after_what_wants_a_rebuild():
    assert [in_force(CHAIN[:count]).shape for count in range(1, 6)] == [0, 2, 3, 4, 5]
    wider = in_force([FIRST, schema(2, name=TEXT, job=TEXT, note={**TEXT, "maxLength": 2_000})])
    assert (wider.shape, projection_of(wider), milestone_form(wider)) == (0, PROJECTION, MILESTONE_FORM)
    second = in_force(CHAIN[:2])
    assert projection_of(second) > PROJECTION and milestone_form(second) > MILESTONE_FORM
    assert projection_name(projection_of(second)).endswith(", schema 2)")
    document = person_document(fold(PERSON, STREAM[:1], FIRST), FIRST)
    assert (is_current(document, FIRST), is_current(document, second)) == (True, False)


def test_a_scope_follows_a_field_under_all_its_names_and_when_it_is_removed():
    pay = {"read": "pay:read"}
    chain = [
        schema(1, name=TEXT, wage={**TEXT, "rollcall": pay}),
        schema(2, name=TEXT, salary=renamed("wage", **pay)),
        schema(3, name=TEXT, salary={**TEXT, "rollcall": pay}),
    ]
    assert in_force(chain).hidden(()) == {"wage", "salary"}
    assert in_force([*chain, schema(4, name=TEXT)]).hidden(()) == {"wage", "salary"}
    assert in_force([*chain, schema(4, name=TEXT, salary=TEXT)]).hidden(()) == {"wage"}
    late = [
        schema(1, wage=TEXT),
        schema(2, salary=renamed("wage")),
        schema(3, salary={**TEXT, "rollcall": pay}),
    ]
    assert in_force(late).hidden(()) == {"wage", "salary"}
    assert in_force(chain).hidden(("pay:read",)) == frozenset()
    assert in_force([*chain, schema(4, name=TEXT)]).read_scope("wage") == "pay:read"


def unique(version, kinds, **properties):
    document = dict(schema(version, **properties).document)
    return read_schema({**document, "rollcall": {"unique": kinds}})


def test_claims_keep_the_name_that_they_were_made_under():
    chain = [
        unique(1, {"both": ["name", "job"]}, name=TEXT, job=TEXT, code={"rollcall": {"unique": True}}),
        unique(
            2, {"two": ["name", "work"]}, name=TEXT, work=renamed("job"), code={"rollcall": {"unique": True}}
        ),
        unique(
            3,
            {"two": ["name", "work"], "both": ["work", "code"]},
            name=TEXT,
            work=TEXT,
            code={"rollcall": {"unique": False}},
        ),
        unique(4, {"two": ["name", "work"]}, name=TEXT, work=TEXT, code={"rollcall": {"unique": True}}),
    ]
    person = {"name": "Ana", "job": "j", "work": "j", "code": "c"}

    def named(*content: str) -> str:
        return f"{content[0]}:1:{hmac.digest(b'c' * 32, jcs(content), 'sha256').hex()}"

    both, code = named("both", "Ana", "j"), named("code", "c")
    assert [known_names(in_force(chain[:count])).held(person) for count in range(1, 5)] == [
        {both, code},
        {both, code},
        {both, named("both.3", "j", "c")},
        {both, named("code.4", "c")},
    ]
    assert [kind_of("both:Ana:j", in_force(chain[:count])) for count in (1, 2)] == ["both", "two"]
    assert kind_of("code:c", in_force(chain[:4])) is None
    assert taken("code.4:c", in_force(chain)).code == "duplicate-code"
