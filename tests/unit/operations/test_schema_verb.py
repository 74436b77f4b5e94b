"""Who is in the way of a change of the person schema, how that is told, and what goes on record."""

import dataclasses
from datetime import UTC, datetime

import pytest

from events.log.applied_schema import (
    PREPARED,
    SCHEMA_STREAM,
    AppliedSchema,
    SchemaLog,
    Stamp,
    WithdrawnSchema,
    applied_schema,
    record_schema,
    record_withdrawal,
    schema_log,
    schema_text,
)
from events.log.event import GENESIS, export_line, hash_of
from events.log.stored import event_document
from events.person.schema.changes import Change, Obstacle
from events.person.schema.lifting import coming_kinds, in_force
from events.person.schema.reading import default_schema, read_schema
from operations.errors import SetupError
from operations.log_links import link_of_document
from operations.schema.comparing import line_of, with_all_names
from operations.schema.reserving import only
from operations.schema.scan import SharedValues, is_in_way, unique_digest, values_of
from operations.schema.waiting import Behind
from service_kit.mongo.worker_rows import SILENT_SECONDS
from service_kit.person_schema import MAX_BYTES
from service_kit.seals.opening import ERASED
from service_kit.seals.person_key import PersonKey
from tests.chained import SEALING, event
from verifier.lines import LONGEST, link_of

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
TEXT = {"type": "string", "format": "text"}


def schema(version, **properties):
    return read_schema({"version": version, "type": "object", "properties": properties})


@pytest.mark.parametrize(
    ("declared", "values", "in_way"),
    [
        ({**TEXT, "maxLength": 3}, ["abc", "abcd", None], [False, True, False]),
        ({**TEXT, "pattern": "^a", "examples": ["a"]}, ["ab", "ba"], [False, True]),
        ({"type": "integer", "maximum": 5}, [5, 6], [False, True]),
        ({"enum": ["red"]}, ["red", "blue"], [False, True]),
        ({"type": "string", "format": "date"}, ["2024-05-31", "2024-13-31", "soon"], [False, True, True]),
        ({"type": "array", "items": {"enum": ["a"]}, "maxItems": 1}, [["a"], ["b"], ["a", "a"]], [0, 1, 1]),
    ],
)
def test_who_has_a_value_that_is_none_any_more_is_in_the_way(declared, values, in_way):
    field = schema(1, x=declared).by_name["x"]
    judge = is_in_way(Obstacle("value", ("old",), field))
    assert [judge({"old": value, "x": "other"}) for value in values] == in_way


def test_who_lacks_what_is_to_be_required_is_in_the_way():
    judge = is_in_way(Obstacle("lacks", ("x",)))
    assert [judge(one) for one in ({"x": 0}, {"x": None}, {})] == [False, True, True]


def test_people_who_share_all_of_some_values_are_counted():
    shared = SharedValues()
    people = [("a", 1), ("a", 1), ("a", 2), ("b", 1), (None, 1), (None, 1), ("b", 1), ("a", 1)]
    for name, number in people:
        shared.add(unique_digest(["name", "number"], {"name": name, "number": number}))
    assert shared.count() == 5


@pytest.mark.parametrize(
    ("kind", "in_way", "line"),
    [
        ("value", 0, "free     x is narrower: all people fit"),
        ("shared", 0, "rebuild  x is narrower: all people fit"),
        (
            "value",
            1,
            "refused  x is narrower: 1 person is in the way, who have a value that it would not take",
        ),
        ("lacks", 2_000, "refused  x is narrower: 2,000 people are in the way, who have no value"),
    ],
)
def test_a_line_says_how_many_people_are_in_the_way(kind, in_way, line):
    change = Change("data", "x", "is narrower", Obstacle(kind, ("x",)))
    assert line_of(change, in_way)[1] == line


def test_what_takes_no_look_at_the_data_says_what_it_takes():
    assert line_of(Change("rebuild", "x", "is gone"), 0) == ("rebuild", "rebuild  x is gone")


def test_events_are_looked_through_for_all_names_that_a_field_had():
    renamed = [
        schema(number, **{name: {**TEXT, "rollcall": {"renamed_from": former} if former else {}}})
        for number, (name, former) in enumerate([("a", ""), ("b", "a"), ("c", "b"), ("c", "")], 1)
    ]
    assert with_all_names(Obstacle("logged", ("c",)), renamed).names == ("c", "b", "a")
    assert with_all_names(Obstacle("lacks", ("c",)), renamed).names == ("c",)


STAMP = Stamp(event_id="e1", command_id="c1", actor="operator:ada", user_agent="test", now=NOW)


def recorded(one, last, **more):
    return record_schema(one, last, STAMP, **more)


def test_what_goes_on_record_is_a_chain_that_verify_reads():
    first = recorded(default_schema(), None)
    assert (first.person_id, first.version, first.prev) == (SCHEMA_STREAM, 1, GENESIS)
    assert (first.person_schema, first.hash) == (None, hash_of(first))
    known = applied_schema(event_document(first))
    assert known == AppliedSchema(
        known.schema, schema_text(default_schema()), 1, first.hash, "operator:ada", NOW
    )
    second = recorded(schema(2, x=TEXT), known)
    assert (second.version, second.prev, second.data["number"]) == (2, first.hash, 2)
    naive = {"accepted_at": NOW.replace(tzinfo=None), "applied_at": NOW.replace(tzinfo=None)}
    link = link_of_document(event_document(second) | naive)
    assert link.hash == link.sealed == second.hash


def test_what_is_prepared_is_in_force_only_once_it_is_applied():
    first = event_document(recorded(schema(1, y=TEXT), None))
    before = schema_log([first])
    prepared = event_document(recorded(schema(2, x=TEXT), before.last, type_=PREPARED))
    with_it = schema_log([first, prepared])
    assert with_it.prepared is with_it.last
    assert [one.number for one in with_it.applied] == [1]
    withdrawn = event_document(record_withdrawal(with_it.prepared, ["x.2"], STAMP))
    after = schema_log([first, prepared, withdrawn])
    assert after.last == WithdrawnSchema(2, ("x.2",), 3, withdrawn["hash"], "operator:ada", NOW)
    assert (after.prepared, [one.number for one in after.applied]) == (None, [1])
    applied = event_document(recorded(schema(2, x=TEXT), with_it.last))
    in_force = schema_log([first, prepared, applied])
    assert ([one.number for one in in_force.applied], in_force.prepared) == ([1, 2], None)
    assert SchemaLog(()).last is SchemaLog(()).prepared is None
    naive = {"accepted_at": NOW.replace(tzinfo=None), "applied_at": NOW.replace(tzinfo=None)}
    for document in (prepared, withdrawn):
        link = link_of_document(document | naive)
        assert link.hash == link.sealed


def test_a_worker_is_waited_for_until_its_beat_is_silent_for_long():
    now = [0.0]
    behind = Behind(5, lambda: now[0])
    rows = {"a": (4, 7), "b": (5, 1), "c": (4, 1)}
    assert behind.look(rows) == ["a", "c"]
    now[0] = SILENT_SECONDS - 0.1
    rows["a"] = (4, 8)
    assert behind.look(rows) == ["a", "c"]
    now[0] = SILENT_SECONDS
    assert behind.look(rows) == ["a"], "c says nothing any more"
    rows["a"] = (5, 9)
    assert behind.look(rows) == []
    assert behind.look({"d": (1, 1)}) == ["d"], "one that has just begun"


def test_what_is_prepared_makes_nothing_else_unique_for_who_reserves():
    unique = {**TEXT, "rollcall": {"unique": True}}
    first = schema(1, a=unique, b=TEXT)
    second = schema(2, a=unique, c={**unique, "rollcall": {"unique": True, "renamed_from": "b"}})
    assert coming_kinds([first], second) == {"c.2": ("b",)}
    few = only(in_force([first, second]), {"c.2"})
    assert (few.kinds, few.unique, few.earlier) == ({"c.2": "c"}, {"c": ("c",)}, (first,))
    assert coming_kinds([first, second], schema(3, a=TEXT, c=unique)) == {}


def test_what_goes_on_record_is_no_line_too_long_for_the_verifier():
    text = '"' * MAX_BYTES
    event = recorded(default_schema(), None)
    line = export_line(dataclasses.replace(event, data={"number": 1, "document": text}))
    assert len(line) < LONGEST
    assert link_of(export_line(event), 1).sealed == event.hash


def test_a_schema_comes_back_from_the_record_with_its_fields_in_order():
    document = event_document(recorded(default_schema(), None))
    assert applied_schema(document).schema.names == default_schema().names


def test_values_in_the_log_are_looked_through_opened_and_a_missing_key_is_said():
    document = event_document(event("p", 1, GENESIS))
    assert values_of((document, {"p": SEALING}))["first_name"] == "Zoé"
    assert dict(values_of((document, {"p": ERASED}))) == {"grade": 1}
    with pytest.raises(SetupError, match="there is no key for p"):
        values_of((document, {}))
    with pytest.raises(SetupError, match="version 1 of p is damaged"):
        values_of((document, {"p": PersonKey.new()}))
