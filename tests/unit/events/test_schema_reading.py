"""The file of the person schema: what it declares, and a line for each thing that is wrong in it."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.person.schema import keywords
from events.person.schema.declarations import FieldDeclaration, Format
from events.person.schema.errors import Fault, WrongFile
from events.person.schema.names import RESERVED, name_fault
from events.person.schema.reading import default_schema, parse_schema, read_schema

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "schemas"
PAGE = (ROOT / "docs" / "reference" / "person-schema.md").read_text(encoding="utf-8")
NAME = {"type": "string", "format": "name", "rollcall": {"sort": True, "search": "words"}}
SAY = "write "


def file(properties=None, **more):
    """Return a file with these fields, or with a name."""
    return {
        "version": 1,
        "type": "object",
        "properties": {"name": NAME} if properties is None else properties,
        **more,
    }


def lines(document):
    with pytest.raises(WrongFile) as caught:
        read_schema(document)
    assert str(caught.value).splitlines() == [str(fault) for fault in caught.value.faults]
    return [str(fault) for fault in caught.value.faults]


def field(declared=None, **rollcall):
    """Return what is declared by a file with this field alone."""
    return read_schema(file({"it": {**(declared or {"type": "string"}), "rollcall": rollcall}})).by_name["it"]


# ----- what is declared


def test_the_default_declares_what_a_person_always_was():
    schema = default_schema()
    assert schema is default_schema()
    assert (schema.title, schema.version, schema.sorts, schema.default_sort) == ("Person", 1, (), "last_name")
    assert schema.unique == {"document": ("document_type", "document_id")}
    assert schema.display == ("first_name", "last_name")
    assert schema.taken == {
        "document": {"en": "another person has this document", "es": "otra persona tiene este documento"}
    }
    assert [
        (one.name, one.format, one.required, one.max_length, one.search, one.sort, one.ties, one.example)
        for one in schema.fields
    ] == [
        ("document_type", "code", True, 0, "exact", False, "", "Cédula"),
        ("document_id", "document-number", True, 0, "prefix", False, "", "1.020.304"),
        ("first_name", "name", True, 100, "words", True, "last_name", "Ana"),
        ("middle_name", "name", False, 100, "words", False, "", "María"),
        ("last_name", "name", False, 100, "words", True, "first_name", "Gómez Ríos"),
        ("birth_date", "birth-date", True, 0, "exact", True, "", "10-12-1990"),
        ("gender", "code", True, 0, "exact", False, "", "Femenino"),
        ("email", "email", True, 254, "prefix", False, "", "ana@example.com"),
        ("phone", "phone", True, 0, "prefix", False, "", "3001234567"),
        ("address", "text", False, 200, "", False, "", "Calle 10 # 5-51, Cali"),
        ("occupation", "text", False, 100, "exact", False, "", "Engineer"),
    ]
    assert {(one.type, one.personal, one.read, one.write, one.default) for one in schema.fields} == {
        ("string", True, "", "", None)
    }
    assert schema.by_name["gender"].words == {
        "male": ("Masculino", "Hombre", "M", "Male", "Man"),
        "female": ("Femenino", "Mujer", "F", "Female", "Woman"),
        "non_binary": ("No binario", "No binaria", "NB", "Non-binary", "Nonbinary"),
        "undisclosed": (
            *("Prefiero no decir", "Prefiero no decirlo", "Prefiero no reportar", "Prefer not to say"),
            "Undisclosed",
        ),
    }
    assert schema.by_name["document_type"].words == {
        "citizen_id": ("Cédula", "Cédula de ciudadanía", "CC", "Citizen ID", "DNI", "National ID"),
        "identity_card": ("Tarjeta de identidad", "TI", "Identity card"),
        "foreigner_id": ("Cédula de extranjería", "CE", "Foreigner ID"),
        "passport": ("Pasaporte", "Passport", "PA", "PP"),
        "birth_certificate": ("Registro civil", "RC", "Birth certificate"),
        "tax_id": ("NIT", "Tax ID"),
    }


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_the_examples_have_no_fault(path):
    schema = parse_schema(path.read_bytes())
    assert all(one.examples for one in schema.fields)


def test_there_are_three_examples():
    club, employees, students = (parse_schema((EXAMPLES / f"{name}.json").read_bytes()) for name in (
        "club", "employees", "students",
    ))  # fmt: skip
    assert club.names == ("name", "email")
    assert club.unique == {"email": ("email",)}
    assert employees.unique == {"employee_no": ("employee_no",)}
    assert employees.sorts == (("team", "-hired_on"), ("grade", "name"))
    salary = employees.by_name["salary"]
    assert (salary.format, salary.read, salary.write) == ("decimal", "payroll:read", "payroll:write")
    assert (employees.by_name["grade"].minimum, employees.by_name["grade"].maximum) == (1, 12)
    skills = students.by_name["skills"]
    assert (skills.type, skills.format, skills.max_length, skills.max_items) == ("array", "text", 40, 20)


def test_the_reference_lists_every_keyword_and_format_and_its_example_has_no_fault():
    words = {*keywords.FILE, *keywords.FILE_ROLLCALL, *keywords.FIELD_ROLLCALL, *get_args(Format)} - {
        "code",
        "plain",
    }
    words |= {word for one in keywords.FIELD.values() for word in one}
    rows = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| ")]
    assert words - {word for row in rows for word in re.findall(r"`([^`]+)`", row)} == set()
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert parse_schema(example).title == "Employee"


def test_what_nobody_says_has_a_usual_value():
    schema = read_schema(file({"employee_no": {"type": "string"}, "name": NAME}))
    assert (schema.title, schema.default_sort, schema.display) == ("Person", "name", ("name",))
    one = schema.by_name["employee_no"]
    assert one == FieldDeclaration(
        name="employee_no",
        labels={"en": "Employee no", "es": "Employee no"},
        min_length=1,
        max_length=200,
        examples=("A1",),
    )
    assert read_schema(file({"a": {"type": "boolean"}, "b": {"type": "boolean"}})).display == ("a",)
    assert read_schema(file({"a": {"type": "boolean"}})).default_sort == "created_at"
    assert field({"type": "string", "title": "Nick"}).labels == {"en": "Nick", "es": "Nick"}
    assert field(labels={"es": "Apodo"}).labels == {"en": "It", "es": "Apodo"}
    number = field({"type": "integer"})
    assert (number.minimum, number.maximum) == (-(2**53) + 1, 2**53 - 1)
    assert field({"type": "integer", "minimum": 30.0}).minimum == 30
    listed = field({"type": "array", "items": {"enum": ["a", "b"]}}, words={"a": ["alpha"]})
    assert (listed.format, listed.words, listed.max_items) == ("code", {"a": ("alpha",), "b": ()}, 50)
    assert field({"type": "string", "format": "email"}).max_length == 254


@pytest.mark.parametrize(
    ("declared", "example"),
    [
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "maximum": -5}, -5),
        ({"type": "boolean"}, True),
        ({"enum": ["red", "blue"]}, "red"),
        ({"type": "array", "items": {"enum": ["red"]}}, ["red"]),
        ({"type": "array", "items": {"type": "string", "minLength": 4}}, ["A1aa"]),
        ({"type": "string", "format": "text", "maxLength": 5}, "Some"),
        *(
            ({"type": "string", "format": form}, None)
            for form in (
                *("birth-date", "date", "decimal", "document-number", "email", "name", "phone", "text"),
                *("uri", "uuid"),
            )
        ),
    ],
)
def test_every_field_has_an_example_that_is_a_value(declared, example):
    one = field(declared)
    if example is not None:
        assert one.example == example
    assert field({**declared, "examples": [one.example]}) == one


def test_an_example_is_written_as_a_client_may():
    assert field({"type": "string", "format": "date", "examples": ["31-05-2024"]}).example == "31-05-2024"
    assert field({"type": "string", "format": "decimal", "examples": ["+1250.50"]}).example == "+1250.50"


def test_claims_of_one_field_and_of_several():
    schema = read_schema(
        file(
            {
                "a": {"enum": ["x"]},
                "b": {"type": "integer"},
                "c": {"type": "string", "rollcall": {"unique": True}},
            },
            rollcall={"unique": {"pair": ["a", "b"]}, "taken": {"pair": {"en": "this pair is taken"}}},
        )
    )
    assert schema.unique == {"pair": ("a", "b"), "c": ("c",)}
    assert schema.taken == {
        "pair": {"en": "this pair is taken", "es": "otra persona tiene el mismo valor: A, B"},
        "c": {"en": "another person has the same value: C", "es": "otra persona tiene el mismo valor: C"},
    }


def test_a_file_is_kept_as_it_is():
    document = file(description="People", **{"$id": "https://example.com/people"}, additionalProperties=False)
    assert read_schema(document).document is document


# ----- what is wrong

STRING = {"type": "string"}
OTHER_NAME = "choose another name"
LETTERS = "write ASCII letters, digits and _, a letter first, at most 64 characters"
TYPES = 'write "string", "integer", "boolean" or "array", or an "enum"'


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], ["the file is an array: write an object"]),
        (
            {},
            [
                "version is missing: write 1, and one more with each change",
                'type is missing: write "object"',
                'properties declares no field: write {"name": {"type": "string", "format": "name"}}, say',
            ],
        ),
        (file({}), ['properties declares no field: write {"name": {"type": "string", "format": "name"}}, say']),
        (file([]), ["properties is an array, which is no object: write an object"]),
        (file(version=0), ["version is 0: write an integer from 1 to 2,147,483,647"]),
        (file(version=True), ["version is true: write an integer from 1 to 2,147,483,647"]),
        (file(version="1"), ['version is "1": write an integer from 1 to 2,147,483,647']),
        (file(type="array"), ['type is "array": write "object"']),
        (file(title=" "), ["title is empty: write a text of 1 to 100 characters"]),
        (file(title="a\0"), ["title has a control character: write a text of 1 to 100 characters"]),
        (file(title="\ud800"), ["title has a control character: write a text of 1 to 100 characters"]),
        (file(**{"$schema": "x"}), ['$schema is "x": write "https://json-schema.org/draft/2020-12/schema"']),
        (file(propertis={}), ['propertis is no keyword of the file: did you mean "properties"?']),
        (file(allOf=[]), ["allOf is a keyword of JSON Schema that Rollcall does not take: leave it out"]),
        (
            file(additionalProperties=True),
            ["additionalProperties is not false: write false: a person has the declared fields alone"],
        ),
        (file(required=["nam"]), ['required[0] is "nam", which is no field: declare it in properties']),
        (file(required=["name", "name"]), ['required[1] is "name" once more: leave it out']),
        (file(required="name"), ['required is "name": write an array of at most 200, each a field\'s name']),
        (file(required=[1]), ["required[0] is 1, which is no text: write a field's name"]),
        (file(rollcall=1), ["rollcall is 1, which is no object: write an object"]),
        (file(rollcall={"sort": []}), ['rollcall.sort is no keyword of the "rollcall" of the file: did you mean "sorts"?']),
        (
            file({f"f{at}": STRING for at in range(201)}),
            ["properties has 201 fields: write at most 200"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_whole_file(document, expected):
    assert lines(document) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.b", f'properties["a.b"] has $ or . in its name, which MongoDB takes for an operator or a path: {LETTERS}'),
        ("$where", f"properties.$where has $ or . in its name, which MongoDB takes for an operator or a path: {LETTERS}"),
        ("1st", f"properties.1st is no name of a field: {LETTERS}"),
        ("a b", f'properties["a b"] is no name of a field: {LETTERS}'),
        ("año", f'properties["año"] is no name of a field: {LETTERS}'),
        ("a" * 65, f'properties["{"a" * 59}…] has a name of 65 characters: {LETTERS}'),
        ("id", f"properties.id is what Rollcall itself says about every person: {OTHER_NAME}"),
        ("Version", f"properties.Version is what Rollcall itself says about every person: {OTHER_NAME}"),
        ("keys", f"properties.keys is what Rollcall itself says about every person: {OTHER_NAME}"),
        ("limit", f"properties.limit is a parameter of every read: {OTHER_NAME}"),
        ("words", f"properties.words is where the read model keeps what people are searched by: {OTHER_NAME}"),
        ("json", f"properties.json is a name that our programs use: {OTHER_NAME}"),
        ("model_year", f"properties.model_year begins with model_, which our programs use: {OTHER_NAME}"),
    ],
)  # fmt: skip
def test_what_no_field_may_be_called(name, expected):
    assert lines(file({name: STRING}))[0] == expected


def test_names_that_differ_in_case_alone():
    assert lines(file({"Name": STRING, "name": STRING})) == [
        f"properties.name differs from Name in case alone: {OTHER_NAME}"
    ]
    assert lines(file({"first_name": STRING, "firstname": STRING})) == [
        f"properties.firstname has a name that stands for first_name where a file has columns: {OTHER_NAME}"
    ]


def test_what_is_reserved_is_a_name_but_for_that():
    assert all(name == name.lower() for name in RESERVED)
    assert {
        "id",
        "version",
        "created_at",
        "image_url",
        "keys",
        "q",
        "sort",
        "row",
        "person_schema",
    } <= RESERVED.keys()
    assert all(name_fault(name) for name in RESERVED)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (1, [' is 1, which is no object: write {"type": "string"}, say']),
        ({}, [f".type is missing: {TYPES}"]),
        ({"type": "strng"}, [f'.type is "strng", which is no type of a field: {TYPES}']),
        (
            {"type": "number"},
            [
                '.type is "number", which is no type of a field: write "integer", or "string" with "format": '
                '"decimal", which is exact'
            ],
        ),
        (
            {"type": ["string", "null"]},
            [f".type is an array: {TYPES}: a field has one type, and may be absent anyhow"],
        ),
        ({"type": "integer", "enum": ["a"]}, ['.type is "integer" beside an enum: write "string": codes are texts']),
        (
            {"type": "string", "maxlength": 3},
            ['.maxlength is no keyword of a text: did you mean "maxLength"?'],
        ),
        ({"type": "string", "minimum": 3}, [".minimum is no keyword of a text: leave it out"]),
        (
            {"type": "string", "search": "exact"},
            ['.search is no keyword of a text: move it into "rollcall": {"search": …}'],
        ),
        (
            {"type": "string", "const": "a"},
            ['.const is a keyword of JSON Schema that Rollcall does not take: write "enum" with one code'],
        ),
        (
            {"type": "string", "format": "e-mail"},
            [
                '.format is "e-mail": did you mean "email"? write "birth-date", "date", "decimal", '
                '"document-number", "email", "name", "phone", "text", "uri" or "uuid"'
            ],
        ),
        (
            {"type": "string", "format": "date", "maxLength": 10},
            [".maxLength is there beside the format date, which says it: leave it out"],
        ),
        ({"type": "string", "maxLength": 2001}, [".maxLength is 2001: write an integer from 1 to 2,000"]),
        ({"type": "string", "maxLength": 1.5}, [".maxLength is 1.5: write an integer from 1 to 2,000"]),
        ({"type": "string", "format": "email", "maxLength": 255}, [".maxLength is 255: write an integer from 1 to 254"]),
        ({"type": "string", "minLength": 9, "maxLength": 3}, [".minLength is more than maxLength: write at most 3"]),
        (
            {"type": "string", "format": "email", "pattern": "a"},
            [".pattern is there beside the format email: leave out the format or the pattern"],
        ),
        (
            {"type": "string", "pattern": "(?=a)"},
            [".pattern has a look-around, which takes more than linear time: write what the text is"],
        ),
        (
            {"type": "string", "pattern": "^a$"},
            [".examples is missing beside a pattern: write an array with a text that matches"],
        ),
        (
            {"type": "string", "pattern": "^a$", "examples": ["a", "b"]},
            ['.examples[1] is "b", which the pattern does not match: write a value as a client may'],
        ),
        ({"type": "string", "examples": "a"}, [".examples is no short array: write an array of at most 10 values"]),
        ({"type": "string", "examples": [1]}, [".examples[0] is 1, which is no text: write a value as a client may"]),
        ({"enum": []}, [".enum has no codes: list at least one"]),
        ({"enum": ["a", 1]}, [".enum[1] is 1, which is no text: write a text of 1 to 60 characters"]),
        ({"enum": ["a", "--"]}, ['.enum[1] is "--", which has no letter or digit: write a word']),
        (
            {"enum": ["réd", "Red"]},
            ['.enum[1] is "Red", which is compared as "réd" is: write a code that differs in its letters and digits'],
        ),
        ({"enum": ["a\n"]}, [".enum[0] has a control character: write a text of 1 to 60 characters"]),
        ({"enum": ["a"], "examples": ["b"]}, ['.examples[0] is "b", which stands for no code: write a value as a client may']),
        ({"type": "integer", "minimum": 2**53}, [f".minimum is {2**53}: write an integer from {-2**53 + 1:,} to {2**53 - 1:,}"]),
        ({"type": "integer", "minimum": 10**30}, [f".minimum is a very large number: write an integer from {-2**53 + 1:,} to {2**53 - 1:,}"]),
        ({"type": "integer", "minimum": 3, "maximum": 1}, [".minimum is more than maximum: write at most 1"]),
        ({"type": "integer", "examples": [True]}, [".examples[0] is true, which is no value of the field: write a value as a client may"]),
        ({"type": "array"}, ['.items is missing: write {"type": "string", "maxLength": 40}, say']),
        ({"type": "array", "items": {"type": "integer"}}, ['.items.type is "integer": write "string": an array has texts alone']),
        ({"type": "array", "items": {}}, ['.items.type is missing: write "string": an array has texts alone']),
        (
            {"type": "array", "items": {"type": "string", "rollcall": {}}},
            [".items.rollcall is no keyword of the items of an array of texts: leave it out"],
        ),
        ({"type": "array", "items": STRING, "maxItems": 201}, [".maxItems is 201: write an integer from 1 to 200"]),
        (
            {"type": "array", "items": STRING, "uniqueItems": True},
            [".uniqueItems is a keyword of JSON Schema that Rollcall does not take: leave it out"],
        ),
        ({"type": "array", "items": STRING, "examples": ["a"]}, ['.examples[0] is "a", which is no array: write a value as a client may']),
        *(
            ({**declared, "default": default}, [f".default {what}: write a value as it is stored"])
            for declared, default, what in [
                ({"type": "integer", "maximum": 9}, 10, "is 10, which is no value of the field in its normal form"),
                ({"type": "integer"}, "1", 'is "1", which is no value of the field in its normal form'),
                ({"type": "boolean"}, None, "is null, which is no value of the field in its normal form"),
                ({"enum": ["red"]}, "Red", 'is "Red", which is no value of the field in its normal form'),
                ({"type": "string", "format": "decimal"}, "1.50", 'is "1.50", which is no value of the field in its normal form'),
                ({"type": "string", "format": "date"}, "2024-02-30", 'is "2024-02-30", which is not its normal form'),
                ({"type": "string", "format": "name"}, " a", 'is " a", which is not its normal form: "a"'),
                ({"type": "string"}, "a\0", "has a control character"),
                ({"type": "array", "items": STRING}, "a", 'is "a", which is no value of the field in its normal form'),
            ]
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_field(declared, expected):
    assert lines(file({"it": declared})) == [f"properties.it{line}" for line in expected]


INTEGER = {"type": "integer"}
ARRAY = {"type": "array", "items": STRING}
ENUM = {"enum": ["red", "blue"]}
DATE = {"type": "string", "format": "date"}
SORTED = {"type": "string", "format": "name"}


@pytest.mark.parametrize(
    ("declared", "rollcall", "expected"),
    [
        (STRING, {"serach": "exact"}, ['.serach is no keyword of the "rollcall" of a field: did you mean "search"?']),
        (STRING, {"search": "word"}, ['.search is "word": did you mean "words"? write "exact", "prefix" or "words"']),
        (STRING, {"sort": "yes"}, ['.sort is "yes": write true or false']),
        (STRING, {"search": "words"}, ['.search is "words" on a text without a format: write "exact", or give it the format name or text']),
        (ARRAY, {"search": "words"}, ['.search is "words" on an array: write "exact", or give it the format name or text']),
        *(
            (declared, {"search": "prefix"}, [f'.search is "prefix" on {kind}: write "exact"'])
            for declared, kind in ((DATE, "a date"), (ENUM, "an enum"), (INTEGER, "an integer"), (ARRAY, "an array"))
        ),
        (ARRAY, {"sort": True}, [".sort is true on an array, which has no order: leave it out"]),
        *(
            (declared, {"unique": True}, [f".unique is true on {kind}: leave it out: texts, dates, codes and integers can be unique"])
            for declared, kind in ((ARRAY, "an array"), ({"type": "boolean"}, "a boolean"))
        ),
        (STRING | {"default": "a"}, {"unique": True}, [".unique is true beside a default, which people would share: leave one of the two out"]),
        (STRING, {"unique": True, "personal": False}, ['.personal is false beside "unique": leave it out: such a field is always personal']),
        (STRING, {"read": "a:b", "personal": False}, ['.personal is false beside "read": leave it out: such a field is always personal']),
        (STRING, {"read": "payroll"}, ['.read is "payroll", which is no scope: write one such as payroll:read']),
        (STRING, {"write": "Pay:x"}, ['.write is "Pay:x", which is no scope: write one such as payroll:read']),
        (STRING, {"ties": "it"}, [".ties is there on a field that is no sorted name or text: leave it out"]),
        (SORTED, {"sort": True, "ties": "it"}, [".ties is the field itself: name another field of the format name or text that is sorted"]),
        (SORTED, {"sort": True, "ties": "x"}, ['.ties is "x", which is no field: name another field of the format name or text that is sorted']),
        (SORTED, {"sort": True, "ties": "other"}, ['.ties is "other", which is no sorted name or text: name another field of the format name or text that is sorted']),
        (STRING, {"renamed_from": "other"}, ['.renamed_from is "other", which is a field now: write the name before']),
        (STRING, {"renamed_from": "a.b"}, [f".renamed_from has $ or . in its name, which MongoDB takes for an operator or a path: {LETTERS}"]),
        (STRING, {"words": {"a": ["b"]}}, [".words is for enums alone: leave it out, or list the codes in an enum"]),
        (ENUM, {"words": {"rod": ["b"]}}, ['.words.rod is no code of the enum: did you mean "red"?']),
        (ENUM, {"words": {"red": ["Blué"]}}, ['.words.red has "Blué", which stands for "blue" already: leave it with one of the two']),
        (ENUM, {"words": {"red": "rojo"}}, ['.words.red is "rojo": write an array of at most 50, each a text of 1 to 60 characters']),
        (ENUM, {"words": {"red": [""]}}, [".words.red[0] is empty: write a text of 1 to 60 characters"]),
        (STRING, {"labels": {"fr": "Nom"}}, [".labels.fr is no keyword of labels, which are by language: leave it out"]),
        (STRING, {"labels": "Nom"}, ['.labels is "Nom", which is no object: write {"en": …, "es": …}']),
        (STRING, {"labels": {"en": "Other"}}, ['.labels has "Other", which stands for other already: leave it with one of the two']),
        (STRING, {"titles": ["ÓTHER"]}, ['.titles has "ÓTHER", which stands for other already: leave it with one of the two']),
        (STRING, {"titles": ["Person ID"]}, ['.titles has "Person ID", which stands for id already: leave it with one of the two']),
        (STRING, {"titles": ["Created at"]}, ['.titles has "Created at", which stands for created_at already: leave it with one of the two']),
    ],
)  # fmt: skip
def test_what_is_wrong_with_what_is_ours_of_a_field(declared, rollcall, expected):
    document = file({"other": STRING, "it": {**declared, "rollcall": rollcall}})
    assert lines(document) == [f"properties.it.rollcall{line}" for line in expected]


def test_a_required_field_is_writable():
    document = file({"it": {"type": "string", "rollcall": {"write": "payroll:write"}}}, required=["it"])
    assert lines(document) == [
        "properties.it.rollcall.write is there on a required field, which everybody who creates a person must set: "
        'leave it out, or take the field out of "required"'
    ]


def test_one_former_name_for_one_field():
    once = {"type": "string", "rollcall": {"renamed_from": "old"}}
    assert lines(file({"a": once, "b": once})) == [
        'properties.b.rollcall.renamed_from is "old", as of a: leave it with one of the two'
    ]


def test_a_field_with_the_name_of_a_filter():
    born = {"type": "string", "format": "birth-date", "rollcall": {"sort": True}}
    assert lines(file({"born": born, "born_to": STRING})) == [
        "properties.born.rollcall.sort makes a filter born_to, which is a field, too: choose another name for it"
    ]


SORTABLE = 'give the field "sort": true, or write another'


@pytest.mark.parametrize(
    ("rollcall", "expected"),
    [
        ({"unique": {"k": ["emial"]}}, ['unique.k[0] is "emial", which is no field: did you mean "email"?']),
        ({"unique": {"k": []}}, ["unique.k names no field: write at least one"]),
        ({"unique": {"k": "email"}}, ['unique.k is "email": write an array of at most 5, each a field\'s name']),
        ({"unique": {"k": ["no", "no"]}}, ["unique.k[1] is no once more: leave it out"]),
        ({"unique": {"k": ["no", "tags"]}}, ["unique.k has tags, which is an array: leave it out"]),
        ({"unique": {"k-1": ["no"]}}, ['unique["k-1"] is no name of a kind: write ASCII letters, digits and _, a letter first']),
        ({"unique": {"email": ["no"]}}, ["unique.email is the name of a field that is unique alone: choose another name"]),
        ({"unique": {"k": ["no", "name"], "j": ["name", "no"]}}, ["unique.j has the fields of k: leave one of them out"]),
        ({"unique": {"k": ["email"]}}, ["unique.k has the fields of email: leave one of them out"]),
        ({"unique": {"k": ["no"], "K": ["name"]}}, ["unique.K differs from k in case alone: choose another name"]),
        ({"taken": {"k": {"en": "x"}}}, ["taken.k is no kind of claim: write one that is unique"]),
        ({"taken": {"email": {"fr": "x"}}}, ["taken.email.fr is no keyword of what is said, which is by language: leave it out"]),
        ({"sorts": [["name"]]}, ['sorts[0] has fewer than 2 fields: give the one field "sort": true']),
        ({"sorts": [["name", "email"]]}, [f'sorts[0][1] is "email", which people cannot be sorted by: {SORTABLE}']),
        ({"sorts": [["name", "-name"]]}, ["sorts[0][1] is name once more: leave it out"]),
        ({"sorts": [["-no", "name"], ["no", "-name"]]}, ["sorts[1] is the order of another: leave one out: each serves both directions"]),
        ({"sorts": "name"}, ["sorts is no short array: write at most 10 arrays of names"]),
        ({"sorts": ["name"]}, ['sorts[0] is "name": write an array of at most 5, each a field\'s name']),
        ({"defaultSort": "email"}, ['defaultSort is "email", which people cannot be sorted by: write "name", "no", "created_at" or "updated_at"']),
        ({"display": ["nam"]}, ['display[0] is "nam", which is no field: did you mean "name"?']),
    ],
)  # fmt: skip
def test_what_is_wrong_with_fields_together(rollcall, expected):
    properties = {
        "name": NAME,
        "no": {"type": "integer", "rollcall": {"sort": True}},
        "email": {"type": "string", "format": "email", "rollcall": {"unique": True}},
        "tags": ARRAY,
    }
    assert lines(file(properties, rollcall=rollcall)) == [f"rollcall.{line}" for line in expected]


def test_a_field_of_a_claim_is_personal():
    properties = {"a": {"type": "string", "rollcall": {"personal": False}}, "b": STRING}
    assert lines(file(properties, rollcall={"unique": {"k": ["a", "b"]}})) == [
        "properties.a.rollcall.personal is false on a field of a claim: leave it out: it is always personal"
    ]


def test_orders_by_times():
    schema = read_schema(file(rollcall={"sorts": [["name", "-created_at"]], "defaultSort": "-updated_at"}))
    assert (schema.sorts, schema.default_sort) == ((("name", "-created_at"),), "-updated_at")


def test_there_are_not_more_indexes_than_mongodb_has():
    exact = {"type": "string", "rollcall": {"search": "exact"}}
    read_schema(file({f"f{at}": exact for at in range(54)}))
    assert lines(file({f"f{at}": exact for at in range(55)})) == [
        "rollcall.sorts wants about 61 indexes of search, sort and sorts, of 60 that there can be: "
        "leave search or sort out of some fields"
    ]


def test_a_sort_that_some_people_lack_a_value_of_takes_two_indexes():
    day = {"type": "string", "format": "date", "rollcall": {"sort": True}}
    read_schema(file({f"f{at}": day for at in range(27)}))
    assert "wants about 62 indexes" in lines(file({f"f{at}": day for at in range(28)}))[0]


def test_all_faults_are_told_at_once_and_none_because_of_another():
    document = file(
        {"a": {"type": "number"}, "b": {"type": "string", "maxLength": 0}, "id": STRING}, version=0
    )
    document["rollcall"] = {"defaultSort": "a", "sorts": [["a", "created_at"]], "unique": {"k": ["a"]}}
    assert [line.split(" ")[0] for line in lines(document)] == [
        *("version", "properties.a.type", "properties.b.maxLength", "properties.id"),
    ]


def test_a_fault_says_where_what_and_what_to_write_instead():
    assert str(Fault("title", "is empty", "write one")) == "title is empty: write one"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "the file is no JSON in line 1, column 2: Expecting property name enclosed in double quotes"),
        ('{"type": 1, "type": 2}', 'the file has "type" twice in one object: leave one of them'),
        ("[" * 100_000, "the file is nested too deeply: write as the reference shows"),
        (b'{"\xff": 1}', "the file is not UTF-8: save it as UTF-8"),
        ("1" * 5_000, "the file has a number that is too long: write a shorter one"),
    ],
)
def test_what_is_wrong_with_the_text(text, expected):
    with pytest.raises(WrongFile) as caught:
        parse_schema(text)
    assert str(caught.value) == expected


# ----- whatever the file has

WORDS = st.sampled_from(
    sorted(
        {*keywords.FILE, *keywords.FILE_ROLLCALL, *keywords.FIELD_ROLLCALL}
        | {word for words in keywords.FIELD.values() for word in words}
        | {
            "string",
            "integer",
            "boolean",
            "array",
            "object",
            "name",
            "email",
            "decimal",
            "exact",
            "en",
            "a",
            "b",
        }
    )
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)


@given(VALUES)
def test_any_value_is_a_schema_or_a_wrong_one(document):
    try:
        read_schema(document)
    except WrongFile as exc:
        assert exc.faults
        str(exc).encode()


@given(st.data())
def test_a_file_with_one_value_changed_is_a_schema_or_a_wrong_one(data):
    document = json.loads((EXAMPLES / "employees.json").read_text(encoding="utf-8"))
    place = document
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    try:
        schema = read_schema(document)
    except WrongFile as exc:
        assert exc.faults
    else:
        assert {one.name for one in fields(FieldDeclaration)} == set(vars(schema.fields[0]))
