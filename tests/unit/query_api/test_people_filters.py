"""Filters of people: what clients write, in every spelling, and the conditions that it becomes."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from events.errors import InvalidFields
from events.text import TOP
from query_api.history.filters import EventsQuery, HistoryQuery
from query_api.people.search import NOBODY, Search
from query_api.people.sorting import orders_of
from query_api.reading.forms import read_query
from query_api.reading.times import bound, zone_of
from service_kit.http.parameters import parameters
from tests.default_schema import SCHEMA, ExportQuery, PeopleQuery, PersonQuery

CONTEXT = {"phone_region": "CO"}
SEARCH = Search(SCHEMA)
FORMS = (PeopleQuery, ExportQuery, PersonQuery, EventsQuery, HistoryQuery)
NAMES = [(form, one["name"]) for form in FORMS for one in parameters(form)]
ODD = st.sampled_from(
    [
        "0001-01-01T00:00:00+23:59",
        "9999-12-31",
        "0000-01-01",
        "2026-13-01",
        '"',
        '",',
        ",",
        "\0",
        "\x00,\r\n",
        "a@xn--.b",
        "+",
        "+57",
        " 57",
        "1e5",
        "²",
        "\ud800",
        "-",
        "true,false",
        "a" * 2001,
        "é" * 200,
        "'" * 200,
        "xn--a",
        "@xn--\u0660",
    ]
)


def read(text: str, form=PeopleQuery):
    return read_query(form, QueryParams(text), CONTEXT)


@settings(max_examples=2000)
@given(st.sampled_from(NAMES), st.text(max_size=60) | ODD)
def test_whatever_is_written_is_understood_or_refused(place, text):
    form, name = place
    try:
        query = read_query(form, QueryParams([(name, text)]), CONTEXT)
    except InvalidFields as refused:
        assert {error["field"] for error in refused.errors} == {name}
        assert all(error["reason"] for error in refused.errors)
    else:
        assert form in (PersonQuery, HistoryQuery) or query.filters is not None


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("phone=%203001234567", {"phone": {"$eq": "+573001234567"}}),
        ("phone=+573001234567", {"phone": {"$eq": "+573001234567"}}),
        ("phone=573001234567", {"phone": {"$eq": "+573001234567"}}),
        ("phone.in=+431110,+989601,3001234567", {"phone": {"$in": ["+431110", "+989601", "+573001234567"]}}),
        ("phone=%2B44+20+7946+0958", {"phone": {"$eq": "+442079460958"}}),
        ("phone=%2B999123456789", {"phone": {"$eq": "+999123456789"}}),
        ("email=A+B@Example.org", {"email": {"$eq": "a+b@example.org"}}),
        ("email=m@xn--bcher-kva.example.org", {"email": {"$eq": "m@bücher.example.org"}}),
        ("document_id=1.020.304", {"document_id": {"$eq": "1020304"}}),
        ("document_type=c%C3%A9dula", {"document_type": {"$eq": "citizen_id"}}),
        ("gender.in=F,male,F", {"gender": {"$in": ["female", "male"]}}),
        ("birth_date=04-03-1988", {"birth_date": {"$eq": "1988-03-04"}}),
        ("birth_date.gte=1700-01-01", {"birth_date": {"$gte": "1700-01-01"}}),
        ("birth_date_to=2990-01-01", {"birth_date": {"$lte": "2990-01-01"}}),
        ("last_name=O%27Solano", {"keys.last_name": {"$gte": "osolano\0", "$lt": "osolano\1"}}),
        ("last_name=%27", NOBODY),
        ("last_name.gt=Paz", {"keys.last_name": {"$gte": "paz\1"}}),
        ("last_name.lte=Paz", {"keys.last_name": {"$gte": "\1", "$lt": "paz\1"}}),
        ('occupation.in="Engineer, civil",Baker', {"keys.occupation": {"$in": ["engineer, civil", "baker"]}}),
        ("email.exists=FALSE", {"email": {"$eq": None}}),
        ("occupation.exists=1", {"occupation": {"$gte": ""}}),
        ("occupation.exists=0", {"keys.occupation": {"$eq": None}}),
        # Nothing is compared with these, so they have no key.
        ("address.exists=0", {"address": {"$eq": None}}),
        ("middle_name.exists=0", {"middle_name": {"$eq": None}}),
        ("created_to=2026-01-31", {"created_at": {"$lt": "2026-01-31T00:00:00.000Z"}}),
        (
            "created_at.lte=2026-01-31&tz=America/Bogota",
            {"created_at": {"$lt": "2026-02-01T05:00:00.000Z"}},
        ),
        (
            "tz=-05:00&updated_at.gt=2026-01-31T08:00:00",
            {"updated_at": {"$gt": "2026-01-31T13:00:00.000Z"}},
        ),
    ],
)
def test_a_value_is_read_as_in_a_body(text, condition):
    assert read(text).filters == [condition]


def test_a_set_has_as_many_values_as_its_schema_allows():
    schemas = {one["name"]: one["schema"] for one in parameters(PeopleQuery)}
    addresses = [f"somebody{number}@example.com" for number in range(schemas["email.in"]["maxItems"])]
    assert read(f"email.in={','.join(addresses)}").filters == [{"email": {"$in": addresses}}]
    with pytest.raises(InvalidFields):
        read(f"email.in={','.join(addresses)},one@example.com")
    with pytest.raises(InvalidFields):
        read(f"email.in={','.join(['one@example.com'] * (len(addresses) + 1))}")
    longest = max(schemas["fields"]["items"]["enum"], key=len)
    assert read(f"fields={','.join([longest] * schemas['fields']['maxItems'])}").shown == ("id", longest)


@pytest.mark.parametrize(
    ("text", "operator", "zone", "expected"),
    [
        ("2026-03-08", "lte", "America/New_York", ("$lt", datetime(2026, 3, 9, 4, tzinfo=UTC))),
        ("2026-03-08", "gte", "America/New_York", ("$gte", datetime(2026, 3, 8, 5, tzinfo=UTC))),
        ("2026-03-08", "gt", "UTC", ("$gte", datetime(2026, 3, 9, tzinfo=UTC))),
        ("2026-03-08", "lt", "UTC", ("$lt", datetime(2026, 3, 8, tzinfo=UTC))),
        ("2026-03-08T00:00:00Z", "lte", "+05:00", ("$lte", datetime(2026, 3, 8, tzinfo=UTC))),
        ("2026-03-08 00:00:00", "lte", " 05:00", ("$lte", datetime(2026, 3, 7, 19, tzinfo=UTC))),
        ("9999-12-31", "lte", "-05:00", ("$lt", datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC))),
        ("2026-03-08t00:00:00 05:00", "gt", "UTC", ("$gt", datetime(2026, 3, 7, 19, tzinfo=UTC))),
    ],
)
def test_a_day_is_meant_as_a_whole_where_it_is(text, operator, zone, expected):
    assert bound(text, operator, zone_of(zone)) == expected


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("america/bogota", "America/Bogota"),
        ("AMERICA/BOGOTA", "America/Bogota"),
        ("America/New York", "America/New_York"),
        ("europe/madrid", "Europe/Madrid"),
        ("est5edt", "EST5EDT"),
    ],
)
def test_a_time_zone_is_named_in_any_case(name, zone):
    assert str(zone_of(name)) == zone


@pytest.mark.parametrize("name", ["utc", "Utc", "z", "Etc/utc"])
def test_utc_has_names_in_any_case(name):
    assert zone_of(name).utcoffset(datetime(2026, 1, 31, tzinfo=UTC)) == timedelta()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Bogota", "America/Bogota"),
        ("America/Bogotá", "America/Bogota"),
        ("Madird", "Europe/Madrid"),
        ("America", None),
        ("../America/Bogota", "America/Bogota"),
        ("+25:00", None),
        ("x" * 64, None),
    ],
)
def test_the_time_zone_that_was_probably_meant_is_named(name, meant):
    with pytest.raises(InvalidFields) as refused:
        read(f"tz={quote(name)}")
    (error,) = refused.value.errors
    assert error["code"] == "unknown-time-zone"
    assert ("did you mean" in error["reason"]) == (meant is not None)
    assert meant is None or error["reason"].endswith(f" {meant}?")


@pytest.mark.parametrize(
    "text", ["6015550142 ext. 12", "601 555 0142 x12", "(601) 555-0142, extensión 1", "601 555 0142 Ext"]
)
def test_a_number_is_searched_with_its_extension_or_without(text):
    (found,) = SEARCH.conditions(text, "CO")
    assert {"phone": {"$gte": "+576015550142", "$lt": "+576015550142" + TOP}} in found["$or"]


def test_a_document_with_letters_is_no_number_with_an_extension():
    (found,) = SEARCH.conditions("12x5", "CO")
    assert {"document_id": {"$gte": "12X5", "$lt": "12X5" + TOP}} in found["$or"]


def beginning(text: str) -> dict[str, str]:
    return {"$gte": text, "$lt": text + TOP}


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("ab490092", "AB490092"),
        ("AB-490092", "AB490092"),
        ("ab.490.092", "AB490092"),
        ("AB\u2011490092", "AB490092"),
        ("AB 490 092", "AB490092"),
        ("AB - 49", "AB49"),
        ("1.020.304-7", "10203047"),
        ("1020304-7", "10203047"),
        ("1 020 304 7", "10203047"),
    ],
)
def test_a_document_is_searched_however_it_is_divided(text, bare):
    (found,) = SEARCH.conditions(text, "CO")
    for condition in (
        {"document_id": beginning(bare)},
        {"keys.words": {"$elemMatch": beginning(bare.lower())}},
    ):
        assert condition in found["$or"]


@pytest.mark.parametrize("text", ["luz marina", "+57 300 1234567", "+573001234567", "a+b@example.org 1"])
def test_what_is_no_document_is_not_put_together_to_one(text):
    bare = "".join(filter(str.isalnum, text)).upper()
    assert str({"document_id": beginning(bare)}) not in str(SEARCH.conditions(text, "CO"))


def test_an_order_names_each_field_once():
    assert [
        (one.name, one.descending) for one in orders_of(SCHEMA).read("last_name,-birth_date,-last_name")
    ] == [
        ("last_name", False),
        ("birth_date", True),
    ]


def test_how_many_the_filters_name():
    assert read("q=x").named == 0
    assert read("email=a@example.org").named == 1
    assert read("document_id.in=1234567,7654321,1234567").named == 2
    assert read("cursor=x").at_least == 0
    assert read("q=x").at_least == 1


def test_all_that_is_wrong_is_said_at_once_with_what_was_meant():
    with pytest.raises(InvalidFields) as refused:
        read("gendr=F&limit=0&first_nam=x")
    reasons = {error["field"]: error["reason"] for error in refused.value.errors}
    assert reasons["gendr"] == "unknown parameter `gendr`: did you mean `gender`?"
    assert reasons["first_nam"] == "unknown parameter `first_nam`: did you mean `first_name`?"
    assert "limit" in reasons


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", "false"),
        ("count=false", "false"),
        ("count=0", "false"),
        ("count=true", "true"),
        ("count=True", "true"),
        ("count=1", "true"),
        ("count=exact", "exact"),
    ],
)
def test_a_count_is_asked_for_in_any_spelling(text, count):
    assert read(text).count == count


@pytest.mark.parametrize("text", ["count=", "count=all", "count=Exact", "count=2"])
def test_what_is_no_count_is_refused_by_name(text):
    with pytest.raises(InvalidFields) as refusal:
        read(text)
    (error,) = refusal.value.errors
    assert (error["field"], error["code"]) == ("count", "no-choice")
    assert "exact" in error["reason"]
