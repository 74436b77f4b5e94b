"""The demo people of any schema: valid, different where they must be, the same every time."""

from datetime import date
from pathlib import Path

import pytest

from command_api.people.input import input_forms
from devstack.demo.people import Dice, demo_person
from devstack.demo.values import Counter, made_person, matching
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import default_schema, parse_schema
from tests.claims import known_names

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "schemas").glob("*.json"))
SCHEMAS = [default_schema(), *(parse_schema(path.read_bytes()) for path in EXAMPLES)]
CONTEXT = {"phone_region": "CO", "today": date(2026, 1, 1)}


def read(schema: PersonSchema, number: int) -> dict:
    person = input_forms(schema).person
    return person.model_validate(made_person(schema, number), context=CONTEXT).fields()


@pytest.mark.parametrize("schema", SCHEMAS, ids=["default", *(path.stem for path in EXAMPLES)])
def test_made_people_are_valid_and_hold_values_that_nobody_else_has(schema):
    people = [read(schema, number) for number in range(600)]
    claims = [claim for person in people for claim in known_names(schema).held(person)]
    assert len(claims) == len(set(claims)) == 600 * len(schema.unique)
    assert {name for person in people for name, value in person.items() if value is not None} == set(
        schema.names
    )
    assert made_person(schema, 41) == made_person(schema, 41) != made_person(schema, 42)


def test_people_of_the_shipped_schema_are_the_usual_ones():
    person = demo_person(7)
    assert {
        name: value for name, value in made_person(default_schema(), 7).items() if name in person
    } == person


@pytest.mark.parametrize(
    "pattern", ["^[A-Z]{2}[0-9]{5}$", "^(?:red|blue)-[^x]+$", r"^\d{3}(?<a>[a-c])?$", "x.y"]
)
def test_texts_are_made_that_a_pattern_matches(pattern):

    assert all(matching(pattern, Counter(number)) for number in range(50))


def test_a_strange_pattern_makes_nothing():
    assert matching(r"(?=a)b", Dice(1)) == ""
