"""What is declared of a person's fields holds wherever a program cannot derive it."""

from datetime import date

import pytest

from command_api.people.input import example_input
from events.person.claims import taken
from events.person.schema.errors import WrongFile
from events.person.schema.reading import read_schema
from service_kit.http.examples import example_person
from service_kit.mongo.collections import collections_of
from tests.default_schema import SCHEMA, PersonInput

PEOPLE = next(one for one in collections_of(SCHEMA) if one.name == "people")
INDEXES = [tuple(name for name, _ in index.keys) for index in PEOPLE.indexes]


@pytest.mark.parametrize(
    "field", [field for field in SCHEMA.fields if field.sort], ids=lambda field: field.name
)
def test_what_people_are_listed_by_has_an_index_of_pages(field):
    assert (field.key, "_id") in INDEXES


@pytest.mark.parametrize("kind", SCHEMA.unique)
def test_what_is_unique_has_an_index_and_a_rejection(kind):
    assert any(set(index) == {SCHEMA.by_name[name].key for name in SCHEMA.unique[kind]} for index in INDEXES)
    assert taken(f"{kind}:x", SCHEMA).code == f"duplicate-{kind}"


def test_numbers_that_are_found_as_words_have_the_index_of_words():
    number = {"type": "string", "format": "document-number", "rollcall": {"search": "prefix"}}
    schema = read_schema({"version": 1, "type": "object", "properties": {"number": number}})
    people = next(one for one in collections_of(schema) if one.name == "people")
    assert (("keys.words", 1),) in [index.keys for index in people.indexes]


def test_what_orders_people_of_one_name_is_another_sorted_name():
    for field in SCHEMA.fields:
        if field.sort and field.folded:
            other = SCHEMA.by_name[field.ties]
            assert other is not field
            assert (other.sort, other.folded) == (True, True)


def test_a_field_that_is_called_as_the_filter_of_another_is_refused():
    day = {"type": "string", "format": "date"}
    for name in ("hired_from", "hired_to"):
        properties = {"hired": {**day, "rollcall": {"sort": True}}, name: day}
        with pytest.raises(WrongFile, match=f"makes a filter {name}"):
            read_schema({"version": 1, "type": "object", "properties": properties})


def test_the_stored_example_is_what_becomes_of_the_written_one():
    context = {"today": date(2026, 1, 31), "phone_region": "CO"}
    person = PersonInput.model_validate(example_input(SCHEMA), context=context).fields()
    assert {name: example_person(SCHEMA)[name] for name in SCHEMA.names} == person
