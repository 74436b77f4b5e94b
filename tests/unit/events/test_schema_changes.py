"""What a change of the person schema takes: nothing, a rebuild, data that fits it, or it cannot be."""

import copy
from itertools import chain

import pytest

from events.person.schema.changes import Obstacle, compare, removed_fields
from events.person.schema.reading import default_schema, read_schema

TEXT = {"type": "string", "format": "text", "maxLength": 40}
MATCHED = {**TEXT, "pattern": "^a", "examples": ["ab"]}
NAME = {"type": "string", "format": "name", "rollcall": {"sort": True}}


def schema(version, properties, required=(), **rollcall):
    """Return the schema that a file with these fields declares."""
    return read_schema(
        {
            "version": version,
            "type": "object",
            "properties": properties,
            "required": list(required),
            "rollcall": {"display": ["name" if "name" in properties else next(iter(properties))], **rollcall},
        }
    )


def changed(before, after, *, required=((), ()), rollcall=({}, {}), earlier=()):
    """Return what the next schema changes in the fields of one, as `(kind, where)`."""
    old = schema(7, {"name": NAME, **before}, required[0], **rollcall[0])
    new = schema(8, {"name": NAME, **after}, required[1], **rollcall[1])
    return [(one.kind, one.where) for one in compare(old, new, removed_fields([*earlier, old]))]


def one(field, **ours):
    """Return a field named `x`, with more keywords of ours."""
    return {"x": {**field, "rollcall": {**field.get("rollcall", {}), **ours}}}


ENUM = {"enum": ["red", "blue"]}
ARRAY = {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 5}
NUMBER = {"type": "integer", "minimum": 1, "maximum": 9}
FREE, REBUILD, DATA, REFUSED = (("free", "x"), ("rebuild", "x"), ("data", "x"), ("refused", "x"))


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({}, {"x": TEXT}, [FREE]),
        ({}, one(NUMBER, sort=True), [REBUILD]),
        ({"x": TEXT}, {"x": {**TEXT, "maxLength": 41}}, [FREE]),
        ({"x": TEXT}, {"x": {**TEXT, "maxLength": 39}}, [DATA]),
        ({"x": TEXT}, {"x": {**TEXT, "minLength": 2}}, [DATA]),
        ({"x": TEXT}, {"x": {**TEXT, "minLength": 1}}, []),
        ({"x": {**TEXT, "examples": ["ab"]}}, {"x": MATCHED}, [DATA]),
        ({"x": MATCHED}, {"x": {**TEXT, "examples": ["ab"]}}, [FREE]),
        ({"x": MATCHED}, {"x": {**MATCHED, "pattern": "b$"}}, [DATA]),
        ({"x": {"type": "string"}}, {"x": {"type": "string", "format": "date"}}, [DATA]),
        ({"x": NUMBER}, {"x": {**NUMBER, "minimum": 0, "maximum": 10}}, [FREE]),
        ({"x": NUMBER}, {"x": {**NUMBER, "minimum": 2}}, [DATA]),
        ({"x": NUMBER}, {"x": {**NUMBER, "maximum": 8}}, [DATA]),
        ({"x": {"type": "integer"}}, {"x": NUMBER}, [DATA]),
        ({"x": NUMBER}, {"x": {"type": "integer"}}, [FREE]),
        ({"x": ARRAY}, {"x": {**ARRAY, "maxItems": 6}}, [FREE]),
        ({"x": ARRAY}, {"x": {**ARRAY, "maxItems": 4}}, [DATA]),
        ({"x": ENUM}, {"x": {"enum": ["red", "blue", "green"]}}, [FREE]),
        ({"x": ENUM}, {"x": {"enum": ["red"]}}, [DATA]),
        ({"x": ENUM}, one(ENUM, words={"red": ["Rojo"]}), [FREE]),
        ({"x": TEXT}, one(TEXT, labels={"en": "Other"}), [FREE]),
        ({"x": TEXT}, one(TEXT, titles=["Other"]), [FREE]),
        ({"x": TEXT}, {"x": {**TEXT, "examples": ["other"]}}, [FREE]),
        ({"x": TEXT}, one(TEXT, read="pay:read"), [FREE]),
        ({"x": TEXT}, one(TEXT, write="pay:write"), [FREE]),
        ({"x": NUMBER}, one(NUMBER, search="exact"), [FREE]),
        ({"x": NUMBER}, one(NUMBER, sort=True), [REBUILD, FREE]),
        ({"x": TEXT}, one(TEXT, search="exact"), [REBUILD, FREE]),
        ({"x": TEXT}, one(TEXT, search="words"), [REBUILD, FREE]),
        (one(TEXT, search="exact"), {"x": TEXT}, [REBUILD, FREE]),
        (one(NAME), one(NAME, ties="name"), [REBUILD]),
        (one(NAME, sort=False), {"x": {**NAME, "format": "text"}}, [DATA, REBUILD, FREE]),
        (one(TEXT, personal=False), {"x": TEXT}, [DATA]),
        ({"x": TEXT}, one(TEXT, personal=False), [FREE]),
        ({"x": TEXT}, {"x": {"type": "integer"}}, [REFUSED]),
        ({"x": TEXT}, {}, [REBUILD]),
        ({}, {"x": {**TEXT, "default": "a"}}, [REBUILD]),
        ({"x": TEXT}, {"x": {**TEXT, "default": "a"}}, [FREE]),
        ({"y": TEXT}, one(TEXT, renamed_from="y"), [REBUILD]),
        ({"y": TEXT}, one({"type": "integer"}, renamed_from="y"), [REBUILD, REFUSED]),
        ({"y": TEXT}, one({**TEXT, "maxLength": 3}, renamed_from="y"), [REBUILD, DATA]),
        ({}, one(TEXT, renamed_from="y"), [REFUSED]),
        ({"x": TEXT}, one(TEXT, renamed_from="y"), [REFUSED]),
        (one(TEXT, renamed_from="y"), one(TEXT, renamed_from="y"), []),
        (one(TEXT, renamed_from="y"), {"x": TEXT}, []),
        ({"x": NUMBER}, one(NUMBER, unique=True), [DATA]),
        (one(NUMBER, unique=True), {"x": NUMBER}, [FREE]),
        ({}, one(NUMBER, unique=True), [FREE, FREE]),
        (
            {"y": {**NUMBER, "rollcall": {"unique": True}}},
            one(NUMBER, unique=True, renamed_from="y"),
            [REBUILD],
        ),
    ],
)
def test_each_change_of_a_field_is_told_with_what_it_takes(before, after, changes):
    assert changed(before, after) == changes


@pytest.mark.parametrize(
    ("before", "after", "required", "changes"),
    [
        ({"x": TEXT}, {"x": TEXT}, ([], ["x"]), [DATA]),
        ({"x": TEXT}, {"x": {**TEXT, "default": "a"}}, ([], ["x"]), [REBUILD, FREE]),
        ({"x": TEXT}, {"x": TEXT}, (["x"], []), [FREE]),
        ({}, {"x": TEXT}, ([], ["x"]), [REFUSED]),
        ({}, {"x": {**TEXT, "default": "a"}}, ([], ["x"]), [REBUILD]),
        (one(NUMBER, sort=True), one(NUMBER, sort=True), (["x"], []), [REBUILD, FREE]),
    ],
)
def test_what_becomes_required_wants_a_value_for_everybody(before, after, required, changes):
    assert changed(before, after, required=required) == changes


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({}, {"unique": {"both": ["x", "name"]}}, [("data", "both")]),
        ({"unique": {"both": ["x", "name"]}}, {}, [("free", "both")]),
        (
            {"unique": {"both": ["x", "name"]}},
            {"unique": {"both": ["name", "x"]}},
            [("data", "both"), ("free", "both")],
        ),
        ({"unique": {"both": ["x", "name"]}}, {"unique": {"two": ["x", "name"]}}, [("free", "two")]),
        (
            {"unique": {"both": ["x", "name"]}},
            {"unique": {"both": ["x", "name"]}, "taken": {"both": {"en": "taken"}}},
            [("free", "taken")],
        ),
        ({}, {"sorts": [["name", "created_at"]]}, [("free", "sorts")]),
        ({"sorts": [["name", "created_at"]]}, {}, [("free", "sorts")]),
        ({}, {"defaultSort": "-name"}, [("free", "defaultSort")]),
        ({}, {"display": ["x"]}, [("free", "display")]),
    ],
)
def test_what_is_said_of_fields_together_is_compared(before, after, changes):
    assert changed({"x": TEXT}, {"x": TEXT}, rollcall=(before, after)) == changes


def test_a_rename_is_followed_in_what_is_said_of_fields_together():
    together = [{"unique": {"both": [one_, "name"]}, "display": [one_]} for one_ in ("y", "x")]
    assert changed({"y": TEXT}, one(TEXT, renamed_from="y"), rollcall=together) == [REBUILD]


@pytest.mark.parametrize("number", [1, 6, 7, 9])
def test_the_number_is_the_next_one(number):
    changes = compare(schema(7, {"x": TEXT}), schema(number, {"x": TEXT}), {})
    assert [(one_.kind, one_.where) for one_ in changes] == [("refused", "version")]


EARLIER = schema(6, {"name": NAME, "x": {**TEXT, "rollcall": {"personal": False}}})


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        (one(TEXT, personal=False), [REBUILD]),
        (one(TEXT), [REBUILD, REFUSED]),
        (one({"type": "integer"}, personal=False), [REBUILD, REFUSED]),
        (one({"type": "string", "format": "date"}, personal=False), [REBUILD, REFUSED]),
        (one({**TEXT, "maxLength": 39}, personal=False), [REBUILD, REFUSED]),
        (one({**TEXT, "maxLength": 41}, personal=False), [REBUILD]),
        (one(TEXT, unique=True), [REBUILD, REFUSED, FREE]),
        (one(TEXT, renamed_from="y"), [REFUSED, REBUILD]),
    ],
)
def test_a_removed_name_comes_back_as_what_it_was(after, changes):
    rest = {} if "renamed_from" in str(after) else {"y": TEXT}
    assert changed({"y": TEXT}, rest | after, earlier=[EARLIER]) == changes


def test_a_field_that_was_renamed_is_no_removed_one():
    first = schema(1, {"a": TEXT, "b": TEXT})
    second = schema(2, {"c": {**TEXT, "rollcall": {"renamed_from": "a"}}})
    third = schema(3, {"c": TEXT, "b": TEXT})
    assert list(removed_fields([first, second])) == ["b"]
    assert list(removed_fields([first, second, third])) == []


def test_an_obstacle_names_the_fields_as_they_are_in_force():
    old = schema(1, {"y": TEXT})
    new = schema(2, one({**TEXT, "maxLength": 3}, renamed_from="y", unique=True), ["x"])
    obstacles = [one_.obstacle for one_ in compare(old, new, {}) if one_.obstacle]
    assert obstacles == [
        Obstacle("value", ("y",), new.by_name["x"]),
        Obstacle("lacks", ("y",)),
        Obstacle("shared", ("y",)),
    ]


def test_a_schema_that_differs_in_nothing_but_its_number_changes_nothing():
    document = copy.deepcopy(dict(default_schema().document))
    document["version"] = 2
    assert compare(default_schema(), read_schema(document), {}) == ()


def test_each_line_names_what_it_is_about():
    before, after = schema(1, {"x": TEXT, "y": TEXT}), schema(3, {"x": {**TEXT, "maxLength": 3}})
    for change in chain(compare(before, after, {})):
        assert str(change).startswith(f"{change.where} ")
