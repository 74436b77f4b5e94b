"""Fields that few may see: nothing that everybody may ask finds people by them, or tells their values."""

from typing import Any

import pytest

from events.person.schema.errors import WrongFile
from events.person.schema.reading import read_schema
from events.person.search import search_keys
from query_api.people.search import NOBODY, Search

HIDDEN = {"read": "secret:read"}


def schema_of(properties: dict[str, Any], **together: Any) -> Any:
    return read_schema({"version": 1, "type": "object", "properties": properties, "rollcall": together})


def faults_of(properties: dict[str, Any], **together: Any) -> list[str]:
    with pytest.raises(WrongFile) as caught:
        schema_of(properties, **together)
    return [str(fault) for fault in caught.value.faults]


def name(**rollcall: Any) -> dict[str, Any]:
    return {"type": "string", "format": "name", "rollcall": {"sort": True, **rollcall}}


@pytest.mark.parametrize(
    ("format_", "typed"),
    [
        ({"format": "document-number"}, "AB-1"),
        ({"format": "email"}, "ana@"),
        ({"format": "phone"}, "300"),
        ({"format": "text"}, "ana"),
        ({}, "ana"),
    ],
)
def test_a_search_of_everything_looks_at_no_field_that_wants_a_scope(format_, typed):
    hidden = {"type": "string", **format_, "rollcall": {"search": "prefix", **HIDDEN}}
    schema = schema_of({"hidden": hidden})
    search = Search(schema)
    assert search.conditions(typed, "CO") == [NOBODY]
    assert search.description == "Finds nobody"
    assert "words" not in search_keys(schema).of({"hidden": "AB-1"})


def test_words_are_of_fields_that_everybody_sees():
    assert faults_of({"alias": name(search="words", **HIDDEN)}) == [
        'properties.alias.rollcall.search is "words" beside "read", and q finds by words whoever asks: '
        'write "exact" or "prefix"'
    ]


def test_no_order_is_made_of_a_field_that_fewer_see():
    # The key of an order stands in a page's cursor.
    expected = (
        'properties.name.rollcall.ties is "alias", whose "read" is another: '
        "name another field of the format name or text that is sorted"
    )
    assert faults_of({"name": name(ties="alias"), "alias": name(**HIDDEN)}) == [expected]
    assert faults_of({"name": name(ties="alias", read="a:b"), "alias": name(**HIDDEN)}) == [expected]
    assert schema_of({"name": name(ties="alias", **HIDDEN), "alias": name(**HIDDEN)})
    assert schema_of({"name": name(ties="alias", **HIDDEN), "alias": name()})


def test_a_list_that_names_no_order_is_for_everybody():
    two = {"salary": {"type": "integer", "rollcall": {"sort": True, **HIDDEN}}, "name": name()}
    assert schema_of(two).default_sort == "name"
    assert schema_of({"salary": two["salary"]}).default_sort == "created_at"
    assert faults_of(two, defaultSort="-salary") == [
        'rollcall.defaultSort is "-salary", which few may see: write "name", "created_at" or "updated_at"'
    ]
