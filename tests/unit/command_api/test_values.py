"""Whatever the command API takes, workers read and decide: alone, and as a row of an import."""

import csv
import io
import unicodedata
from datetime import UTC, date, datetime
from unittest.mock import ANY

import orjson
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from command_api.dispatch.publisher import Outgoing
from command_api.imports.drafting import Drafter
from command_api.imports.rows import Row
from events.log.event import RecordedEvent, record
from events.parking.controls import decode_message
from events.person.commands import Command, encode_command
from events.person.decider import PersonState, decide, evolve
from service_kit.ids import new_id
from service_kit.person_values.readers import reader_of
from service_kit.read_model import person_document, state_of
from tests.chained import SEALING
from tests.default_schema import (
    FIELD_NAMES,
    SCHEMA,
    CreatePerson,
    PersonChanges,
    PersonFields,
    PersonInput,
    PersonPatch,
    UpdatePerson,
)

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
CONTEXT = {"today": date(2026, 1, 31), "phone_region": "CO"}
MIRA = {
    "document_type": "CC",
    "document_id": "70000001",
    "first_name": "Mira",
    "last_name": "Solano",
    "birth_date": "1988-03-04",
    "gender": "F",
    "email": "mira@example.org",
    "phone": "3001234567",
}
STAMP = {"accepted_at": NOW, "actor": "ada", "correlation_id": "c"}


def stamp() -> dict:
    return {**STAMP, "command_id": new_id(), "person_id": new_id()}


def created(body: dict) -> bytes | None:
    """Return the command that a body becomes on its way to the broker; None if it is refused."""
    try:
        person = PersonInput.model_validate_json(orjson.dumps(body), context=CONTEXT)
    except ValidationError:
        return None
    command = CreatePerson.model_construct(data=PersonFields.model_construct(**person.fields()), **stamp())
    return orjson.dumps(encode_command(command))


def patched(body: dict) -> bytes | None:
    try:
        patch = PersonPatch.model_validate_json(orjson.dumps(body), context=CONTEXT)
    except ValidationError:
        return None
    command = UpdatePerson.model_construct(data=PersonChanges.model_construct(**patch.changes()), **stamp())
    return orjson.dumps(encode_command(command))


def drafted(row: dict, mode: str = "create") -> bytes | None:
    drafter = Drafter("0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c", mode, STAMP, CONTEXT, SCHEMA)
    draft = drafter.draft(1, Row(dict(row), b""))
    return draft.body if isinstance(draft, Outgoing) else None


def applied(command: Command, state: PersonState) -> PersonState:
    events = decide(command, state, SCHEMA)
    if not events:
        return state
    (event,) = events
    recorded: RecordedEvent = record(
        event,
        command,
        event_id=new_id(),
        version=state.version + 1,
        applied_at=NOW,
        prev=state.hash,
        schema=SCHEMA,
        key=SEALING,
    )
    after = evolve(state, recorded)
    document = person_document(after, SCHEMA)
    assert state_of(document, SCHEMA).fields == after.fields
    return after


def decided(body: bytes) -> PersonState:
    """Return the person that a worker makes of a message."""
    command = decode_message(body, SCHEMA)
    if isinstance(command, CreatePerson):
        return applied(command, PersonState(command.person_id))
    person = PersonState(command.person_id, "active", 1, fields=MIRA, created_at=NOW, updated_at=NOW)
    return applied(command, person)


PHONES = [
    *sorted(
        {
            phonenumbers.format_number(number, shape)
            for region in phonenumbers.SUPPORTED_REGIONS
            for kind in range(11)
            for shape in (0, 1)
            if (number := phonenumbers.example_number_for_type(region, kind)) is not None
        }
    ),
    "+43 1110",
    "+98 9601",
]
FORMS = st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"])
TEXTS = st.builds(
    unicodedata.normalize,
    FORMS,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
    | st.text(
        st.sampled_from("\u0958\u095f\u0344\u2adc\ufb1d\u1e9b\u0323aé' -.\u200c\u200d"),
        min_size=1,
        max_size=210,
    ),
)
VALUES = {
    "birth-date": st.dates(date(1840, 1, 1), date(2027, 1, 1)).map(str)
    | st.from_regex(r"\A[0-9]{1,2}[-/][0-9]{1,2}[-/][0-9]{4}\Z"),
    "document-number": st.from_regex(r"\A[A-Za-z0-9ıſ]{1,4}([. \-–E+]?[A-Za-z0-9]{1,4}){0,8}\Z"),
    "email": st.emails()
    | st.builds(
        "{}@{}".format,
        st.text(st.characters(categories=["L", "N", "M"]), min_size=1, max_size=70),
        st.sampled_from(["example.org", "bücher.example", "xn--bcher-kva.example.org", "EXAMPLE.com"]),
    ),
    "phone": st.builds(
        "{}{}".format, st.sampled_from(PHONES), st.sampled_from(["", " ext. 12", ";ext=0123", "x9"])
    )
    | st.from_regex(r"\A\+?[0-9]{0,19}\Z"),
    "name": TEXTS,
    "text": TEXTS,
}


def value_of(field) -> st.SearchStrategy[str]:
    if field.format == "code":
        return st.sampled_from([word for code, words in field.words.items() for word in (code, *words)])
    return VALUES[field.format] | st.just(MIRA.get(field.name, "x"))


PEOPLE = st.fixed_dictionaries({field.name: value_of(field) for field in SCHEMA.fields})


@settings(max_examples=300, deadline=None)
@given(PEOPLE)
def test_whatever_is_accepted_is_decided_alone_and_as_a_row(person):
    for name, value in person.items():
        body = {**MIRA, name: value}
        for message in (
            created(body),
            patched({name: value}),
            drafted(body),
            drafted({**body, "id": new_id()}, "upsert"),
        ):
            if message is not None:
                assert decided(message).fields


@settings(max_examples=200, deadline=None)
@given(PEOPLE)
def test_reading_a_normal_form_changes_nothing(person):
    for field in SCHEMA.fields:
        read = reader_of(field)
        try:
            normal = read(person[field.name], CONTEXT)
        except ValueError:
            continue
        assert read(normal, {"today": date.max}) == normal


def test_numbers_in_use_are_taken_from_every_region_with_their_extension():
    for phone in PHONES:
        message = created({**MIRA, "phone": f"{phone};ext=012"})
        assert message is not None, phone
        digits = [char for char in phone if char.isdigit()]
        assert decided(message).fields["phone"] == f"+{''.join(digits)};ext=012"


CASES = [
    ("first_name", "\u0958" * 60, None),
    ("first_name", "\u0958" * 50, "\u0915\u093c" * 50),
    ("address", "\u0958" * 150, None),
    ("phone", "+43 1110", "+431110"),
    ("phone", "+98 9601", "+989601"),
    ("phone", "+57 601 555 0142 ext. 12", "+576015550142;ext=12"),
    ("phone", "+57 (601) 555-0142 x9", "+576015550142;ext=9"),
    ("phone", "601 555 0142 extensión 7", "+576015550142;ext=7"),
    ("phone", "٣٠٠١٢٣٤٥٦٧", "+573001234567"),
    ("phone", "300 123 456O", None),
    ("phone", "3001234567 / 3007654321", None),
    ("phone", "3001234567 (mamá)", None),
    ("document_id", "70000109.0", None),
    ("document_id", "70.000.109", "70000109"),
    ("document_id", "900.123.456-7", "900123456-7"),
    ("document_id", "7000.0109", None),
    ("document_id", "0.123", None),
    ("document_id", "1.02E+09", None),
    ("document_id", "7.123E7", None),
    ("document_id", "7E8", None),
    ("document_id", "AB12E45", "AB12E45"),
    ("document_id", "ıb1234", None),
    ("document_id", "1020\u00a0304–5", "1020304-5"),
    ("first_name", "ソフィア・ルイーズ", "ソフィア・ルイーズ"),
    ("first_name", "ג׳ורדן", "ג׳ורדן"),
    ("first_name", "בן־דור", "בן־דור"),
    ("first_name", "པད་མ", "པད་མ"),
    ("first_name", "Anne‑Marie", "Anne‑Marie"),
    ("first_name", "O‘Hara", "O‘Hara"),
    ("first_name", "Jose\u0301", "José"),
    ("last_name", None, None),
    ("last_name", " ", None),
    ("occupation", "برنامه\u200cنویس", "برنامه\u200cنویس"),
    ("address", "👨\u200d👩\u200d👧 5", "👨\u200d👩\u200d👧 5"),
    ("address", "a\u2028b\tc", "a b c"),
    ("address", "a\x1fb", None),
    ("address", "\u200d \u2060", None),
    ("occupation", "\ufeff", None),
    ("first_name", "\ufeffMira", "Mira"),
    ("email", "m@xn--bcher-kva.example.org", "m@bücher.example.org"),
    ("email", "a+b@example.org", "a+b@example.org"),
    ("birth_date", "1988-03-04T00:00:00.000Z", "1988-03-04"),
]


@pytest.mark.parametrize(("name", "written", "stored"), CASES)
def test_what_people_send_is_kept_as_meant_or_refused(name, written, stored):
    body = {**MIRA, name: written}
    refused = stored is None and name != "last_name"
    messages = [created(body), drafted(body)] + ([] if written is None else [drafted(row_of_csv(body))])
    for message in messages:
        assert (message is None) is refused
        if message is not None:
            assert decided(message).fields.get(name) == stored


def row_of_csv(body: dict) -> dict:
    """Return a row as it comes out of a file of comma-separated values."""
    text = io.StringIO()
    csv.writer(text).writerows([list(body), ["" if value is None else value for value in body.values()]])
    names, cells = csv.reader(io.StringIO(text.getvalue()))
    return dict(zip(names, cells, strict=True))


def test_what_an_answer_said_may_come_back_with_one_field_changed():
    answer = {
        **dict.fromkeys(FIELD_NAMES),
        **decided(created(MIRA) or b"").fields,
        "id": "x",
        "version": 3,
        "image_url": None,
        "thumbnail_url": None,
        "created_at": "2026-01-31T08:00:00.000Z",
        "updated_at": "2026-01-31T08:00:00.000Z",
    }
    assert "id" not in orjson.loads(patched({**answer, "gender": "M"}) or b"")["data"]
    assert decided(patched({**answer, "gender": "M"}) or b"").fields["gender"] == "male"
    assert decided(created(answer) or b"").fields == decided(created(MIRA) or b"").fields


def test_a_row_sets_and_removes_only_what_its_client_may():
    drafter = Drafter(
        "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c", "upsert", STAMP, CONTEXT, SCHEMA, {"occupation": "jobs:write"}
    )
    known, job = {"id": new_id(), "gender": "F"}, {"occupation": "Chef"}
    drafts = [drafter.draft(1, Row({**known, "occupation": cell}, b"")) for cell in ("Chef", "", None)]
    drafts.append(drafter.draft(1, Row({**MIRA, **job}, b"")))
    wanted = {"field": "occupation", "code": "no-scope", "reason": "wants the scope jobs:write"}
    assert [draft.errors for draft in drafts] == [[wanted]] * 4
    for row in (known, MIRA, {**MIRA, "occupation": ""}):
        assert isinstance(drafter.draft(1, Row(dict(row), b"")), Outgoing)


def test_a_person_with_one_name_is_shown_and_sorted():
    state = decided(created({**MIRA, "last_name": None}) or b"")
    assert person_document(state, SCHEMA)["keys"]["last_name"] == "\0\0mira\0Mira"


def test_a_name_that_is_not_known_may_be_a_value_and_is_not_kept():
    drafter = Drafter("0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c", "create", STAMP, CONTEXT, SCHEMA)
    for name in ("canary", "canary@example.com", "frist_name"):
        refused = drafter.draft(1, Row({name: "x", "last_name": "Paz"}, b""))
        assert {"field": "row", "code": ANY, "reason": "has a name that is not known"} in refused.errors
        assert name not in str(refused)
