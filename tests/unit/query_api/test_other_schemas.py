"""What is asked of people whose schema is another than the shipped one: filters, search, orders."""

from typing import Any

import orjson
import pytest
from starlette.datastructures import QueryParams

from events.errors import InvalidFields
from events.person.orders import order_of
from events.person.schema.declarations import PersonSchema
from events.person.schema.errors import WrongFile
from events.person.schema.reading import read_schema
from events.text import TOP
from query_api.people.asked_values import stored_value_of
from query_api.people.filters import people_queries
from query_api.people.listing import Listing
from query_api.people.search import NOBODY, Search
from query_api.people.sorting import orders_of
from query_api.reading.cursors import MAX_CURSOR, Cursor, CursorSeal
from query_api.reading.forms import read_query
from service_kit.http.reasons import find

SEAL = CursorSeal({"k" * 40: bytes(32)})


def schema_of(properties: dict[str, Any], **together: Any) -> PersonSchema:
    return read_schema({"version": 1, "type": "object", "properties": properties, "rollcall": together})


NICKNAMES = schema_of(
    {
        "nickname": {"type": "string", "format": "name", "rollcall": {"unique": True, "sort": True}},
        "share": {"type": "string", "format": "decimal", "rollcall": {"unique": True}},
        "active": {"type": "boolean", "rollcall": {"search": "exact"}},
    }
)


def read(schema: PersonSchema, text: str) -> Any:
    return read_query(people_queries(schema).people, QueryParams(text), {})


@pytest.mark.parametrize(
    ("text", "named"),
    [("nickname=Ana", 1), ("nickname.in=Ana,Eva", 2), ("nickname.in='", 1), ("active=yes", 0)],
)
def test_people_are_named_by_whatever_is_unique(text, named):
    assert read(NICKNAMES, text).named == named


@pytest.mark.parametrize(
    ("name", "text", "stored"), [("nickname", " Ana  María ", "Ana María"), ("share", "+01250.50", "1250.5")]
)
def test_whoever_has_a_unique_value_is_asked_for_as_it_is_stored(name, text, stored):
    assert stored_value_of(NICKNAMES.by_name[name])(text, {}) == stored


@pytest.mark.parametrize("format_", [{}, {"format": "text"}, {"format": "name"}])
def test_what_a_page_ends_with_fits_into_an_address(format_):
    def declared(longest: int) -> dict[str, Any]:
        return {"it": {"type": "string", **format_, "maxLength": longest, "rollcall": {"sort": True}}}

    with pytest.raises(WrongFile, match="is true on a text of up to 201 characters"):
        schema_of(declared(201))
    orders = orders_of(schema_of(declared(200)))
    letters = "".join(chr(0x20000 + at * 97) for at in range(200))
    person = {"it": letters, "keys": {}, "_id": "0" * 36}
    key = orjson.dumps(orders.values_of(person, orders.read("it"))).decode()
    assert len(Cursor("it", "0" * 12, key, "0" * 36).encode(SEAL)) < MAX_CURSOR


def cursor_after(schema: PersonSchema, sort: str, person: dict[str, Any]) -> str:
    return Listing.of(read(schema, f"sort={sort}"), SEAL).cursor_after(person, SEAL)


def test_an_order_whose_values_fit_into_no_cursor_is_refused_with_the_page_that_has_them():
    field = {"type": "string", "format": "name", "maxLength": 200, "rollcall": {"sort": True}}
    schema = schema_of(dict.fromkeys("abcdef", field))
    values = {
        name: "".join(chr(0x20000 + (at * 97 + number * 7919) % 42_000) for at in range(200))
        for number, name in enumerate("abcdef")
    }
    person = {**values, "_id": "0" * 36, "keys": {}}
    for sort in ("a", "a,b"):
        assert len(cursor_after(schema, sort, person)) <= MAX_CURSOR
    with pytest.raises(InvalidFields) as caught:
        cursor_after(schema, "a,b,c,d,e,f", person)
    (error,) = caught.value.errors
    assert (error["field"], find(error["reason"])[0].code) == ("sort", "long-cursor")
    short = {**person, **dict.fromkeys("abcdef", "Ana")}
    assert cursor_after(schema, "a,b,c,d,e,f", short)


def test_a_word_that_no_value_begins_with_finds_nobody():
    search = Search(
        schema_of({"phone": {"type": "string", "format": "phone", "rollcall": {"search": "prefix"}}})
    )
    assert search.conditions("Ana", "CO") == [NOBODY]
    number, nobody = search.conditions("+5730 Ana", "CO")
    assert number == {"phone": {"$gte": "+5730", "$lt": "+5730" + TOP}}
    assert nobody == NOBODY
    assert NOBODY not in search.conditions("+5730 -", "CO")[0]["$or"]


TEAMS = {
    "team": {"type": "string", "rollcall": {"sort": True}},
    "hired_on": {"type": "string", "format": "date", "rollcall": {"sort": True}},
}


def test_an_index_has_an_order_turned_round_only_if_nobody_lacks_a_later_field():
    by_both = schema_of(TEAMS, sorts=[["team", "-hired_on"]])
    orders = orders_of(by_both)
    assert orders.is_declared(orders.read("team,-hired_on"))
    # In both directions those who lack the day come last, which no index has backwards.
    assert not orders.is_declared(orders.read("-team,hired_on"))
    turned = {name: -direction for name, direction in order_of(orders.read("team,-hired_on"))}
    assert dict(order_of(orders.read("-team,hired_on"))) != turned
    by_time = schema_of(TEAMS, sorts=[["team", "created_at"]])
    orders = orders_of(by_time)
    assert orders.is_declared(orders.read("-team,-created_at"))


def test_an_order_is_declared_in_both_directions_where_one_index_does_not_serve_both():
    both = schema_of(TEAMS, sorts=[["team", "-hired_on"], ["-team", "hired_on"]])
    orders = orders_of(both)
    assert orders.is_declared(orders.read("-team,hired_on"))
