"""Which names no field may have, since a program would take them for something of its own."""

import pytest

from command_api.people.input import input_forms
from events.person.fields import stored_forms
from events.person.schema.errors import WrongFile
from events.person.schema.names import name_fault
from events.person.schema.reading import read_schema
from query_api.people.filters import people_queries

SCHEMA = read_schema(
    {"version": 1, "type": "object", "properties": {"ours": {"type": "string", "rollcall": {"sort": True}}}}
)
QUERIES, INPUTS, STORED = people_queries(SCHEMA), input_forms(SCHEMA), stored_forms(SCHEMA)


@pytest.mark.parametrize(
    "form",
    [
        QUERIES.sparse,
        QUERIES.person,
        QUERIES.people,
        QUERIES.export,
        INPUTS.person,
        INPUTS.patch,
        STORED.fields,
        STORED.changes,
    ],
)
def test_no_field_hides_what_a_form_has_of_its_own(form):
    own = {*dir(form), *form.model_fields} - set(SCHEMA.names)
    assert [name for name in sorted(own) if "." not in name and name_fault(name) is None] == []


@pytest.mark.parametrize("name", ["created", "updated"])
def test_no_field_has_the_ranges_of_a_time_that_everybody_has(name):
    day = {"type": "string", "format": "date", "rollcall": {"sort": True}}
    with pytest.raises(WrongFile) as caught:
        read_schema({"version": 1, "type": "object", "properties": {name: day}})
    assert [str(fault) for fault in caught.value.faults] == [
        f"properties.{name}.rollcall.sort makes a filter {name}_{end}, which is a parameter of every read: "
        "choose another name for it"
        for end in ("from", "to")
    ]
