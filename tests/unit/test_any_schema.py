"""Any schema, and any people of it: what is sent is what is stored, told, exported and read again."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from command_api.imports.drafting import Drafter, Refused
from command_api.imports.headings import read_header
from command_api.imports.options import import_query
from command_api.imports.rows import CsvRows, JsonRows
from command_api.people.input import input_forms
from devstack.demo.values import made_person
from events.log.event import event_of_line, export_line, hash_of, record
from events.log.stored import event_document, event_of
from events.person.commands import CreatePerson, UpdatePerson, decode_command, encode_command
from events.person.decider import PersonState, decide, evolve, fold
from events.person.fields import READ_ONLY, stored_forms
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import read_schema
from events.person.views import person_view
from query_api.exports.people_lines import columns_of, people_csv, people_header, people_ndjson
from service_kit.read_model import person_changes, person_document, state_of
from service_kit.seals.opening import open_document
from tests.chained import SEALING, closed
from tests.claims import known_names

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
CONTEXT = {"today": NOW.date(), "phone_region": "CO"}
ID = str(UUID(int=7, version=4))
STAMP = {"accepted_at": NOW, "actor": "ada", "correlation_id": "c", "command_id": ID, "person_id": ID}

TEXTS = (
    "name",
    "text",
    "email",
    "phone",
    "date",
    "birth-date",
    "document-number",
    "decimal",
    "uri",
    "uuid",
    None,
)
PREFIXED = {None, "text", "name", "email", "phone", "document-number", "uri", "uuid"}


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    """A field of any type, with what may be declared of it."""
    kind = draw(st.sampled_from(("text", "text", "text", "integer", "boolean", "enum", "array")))
    ours: dict[str, Any] = {}
    declared: dict[str, Any]
    if kind == "text":
        format_ = draw(st.sampled_from(TEXTS))
        declared = {"type": "string"} | ({} if format_ is None else {"format": format_})
        ours["sort"] = draw(st.booleans())
        if format_ in PREFIXED and draw(st.booleans()):
            ours["search"] = "words" if format_ in ("name", "text") and draw(st.booleans()) else "prefix"
    elif kind == "integer":
        declared = {
            "type": "integer",
            "minimum": draw(st.integers(-9, 0)),
            "maximum": draw(st.integers(1, 2**40)),
        }
        ours["sort"] = draw(st.booleans())
    elif kind == "boolean":
        declared, ours["search"] = {"type": "boolean"}, "exact"
    elif kind == "enum":
        declared, ours["search"] = {"enum": ["red", "blue", "dark green"]}, "exact"
    else:
        declared = {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 4}
        ours["search"] = "exact"
    return {**declared, "rollcall": ours}


@st.composite
def schemas(draw: st.DrawFn) -> PersonSchema:
    """A schema of some fields, some of which everybody has."""
    made = draw(st.lists(fields(), min_size=1, max_size=6))
    properties = {f"field_{chr(97 + at)}": one for at, one in enumerate(made)}
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    return read_schema(
        {"version": 3, "title": "Member", "type": "object", "required": required, "properties": properties}
    )


def written(draw_text: st.DataObject, schema: PersonSchema, number: int) -> dict[str, Any]:
    """A person as a client may write it, with texts of any script where they may be."""
    person = made_person(schema, number)
    for field in schema.fields:
        is_text = field.type == "string" and field.format in ("plain", "text")
        if field.name in person and is_text and draw_text.draw(st.booleans()):
            person[field.name] = draw_text.draw(
                st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)
            )
        if field.name in person and field.type == "array" and draw_text.draw(st.booleans()):
            person[field.name] = draw_text.draw(
                st.lists(
                    st.text("ab|\\\"';, =", min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=4
                )
            )
    return person


@settings(max_examples=150, deadline=None)
@given(schemas(), st.data(), st.integers(0, 10**6))
def test_what_is_sent_is_what_is_stored_and_told(schema, data, number):
    person = input_forms(schema).person.model_validate_json(
        orjson.dumps(written(data, schema, number)), context=CONTEXT
    )
    sent = person.fields()
    # What was read once stays as it is: what a read gives may be sent again.
    again = {name: value for name, value in sent.items() if value is not None}
    assert input_forms(schema).person.model_validate(again, context=CONTEXT).fields() == sent
    forms = stored_forms(schema)
    command = CreatePerson.model_construct(
        data=forms.fields.model_construct(**sent), person_schema=3, **STAMP
    )
    read = decode_command(orjson.dumps(encode_command(command)), schema)
    (event,) = decide(read, PersonState(ID), schema)
    stamps = {"event_id": ID, "version": 1, "applied_at": NOW, "prev": PersonState(ID).hash}
    recorded = record(event, read, schema=schema, key=SEALING, **stamps)
    assert event_of_line(export_line(recorded)) == closed(recorded)
    assert event_of(open_document(event_document(recorded), SEALING)) == recorded
    assert recorded.hash == hash_of(recorded)
    state = evolve(PersonState(ID), recorded)
    assert state == fold(ID, [recorded])
    view = person_view(state, schema)
    assert {name: view[name] for name in schema.names} == sent
    document = person_document(state, schema)
    assert state_of(document, schema) == state
    assert known_names(schema).held(state.fields) == frozenset()


@settings(max_examples=80, deadline=None)
@given(schemas(), st.data(), st.integers(0, 10**6))
def test_a_change_leaves_the_document_that_the_new_state_has(schema, data, number):
    forms = stored_forms(schema)
    one = input_forms(schema).person.model_validate(written(data, schema, number), context=CONTEXT).fields()
    other = input_forms(schema).person.model_validate(written(data, schema, number + 1), context=CONTEXT)
    before = PersonState(ID, "active", 1, "h", {k: v for k, v in one.items() if v is not None}, NOW, NOW)
    changes = other.fields()
    command = UpdatePerson.model_construct(data=forms.changes.model_construct(**changes), **STAMP)
    read = decode_command(orjson.dumps(encode_command(command)), schema)
    events = decide(read, before, schema)
    if not events:
        assert {name: value for name, value in changes.items() if value is not None} == before.fields
        return
    stamps = {"event_id": ID, "version": 2, "applied_at": NOW, "prev": "h"}
    recorded = record(events[0], read, schema=schema, key=SEALING, **stamps)
    after = evolve(before, recorded)
    changed = {**person_document(before, schema), **person_changes(before, after, schema)}
    assert changed == person_document(after, schema)


@settings(max_examples=120, deadline=None)
@given(schemas(), st.data(), st.lists(st.integers(0, 10**6), min_size=1, max_size=3))
def test_what_is_exported_is_imported_as_the_same_people(schema, data, numbers):
    forms = input_forms(schema)
    people = [
        forms.person.model_validate(written(data, schema, n), context=CONTEXT).fields() for n in numbers
    ]
    system = dict.fromkeys(READ_ONLY)
    documents = [{**system, **person, "_id": ID, "version": 1} for person in people]
    columns = columns_of(schema)
    table = people_header(columns) + people_csv([dict(one) for one in documents], columns)
    query = import_query(schema)()
    header, end = read_header(table.decode(), query, final=True)
    rows = CsvRows(header).feed(table.decode()[end:].encode().split(b"\n"), final=True)
    lines = people_ndjson([dict(one) for one in documents], None).splitlines()
    typed = JsonRows(None, frozenset(READ_ONLY)).feed(lines, final=True)
    drafter = Drafter(ID, "create", STAMP, CONTEXT, schema)
    for found in (rows, typed):
        assert len(found) == len(people)
        for row, person in zip(found, people, strict=True):
            drafted = drafter.draft(1, row)
            assert not isinstance(drafted, Refused), (drafted, person)
            assert orjson.loads(drafted.body)["data"] == person
