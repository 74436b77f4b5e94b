"""Headers, cursors and filters: what comes from a client, read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, QueryParams

from command_api.preferences import read_preferences
from events.errors import InvalidFields
from query_api.cursors import Cursor, fingerprint
from query_api.filters import PeopleQuery, conditions, read_query
from query_api.people import matches


@pytest.mark.parametrize(
    ("prefer", "wait"),
    [
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ('wait="7"', 7),
        ("WAIT=5", 5),
        ("wait = 5", 5),
        ("wait=500", 30),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=soon", None),
        ("wait", None),
        ("return=minimal", None),
        ("wait=3, wait=9", 3),
    ],
)
def test_prefer(prefer, wait):
    assert read_preferences(Headers({"prefer": prefer})).wait == wait


@pytest.mark.parametrize(("value", "version"), [('"3"', 3), ("*", None), ('"0"', 0)])
def test_if_match(value, version):
    assert read_preferences(Headers({"if-match": value})).expected_version == version


@pytest.mark.parametrize(
    "value",
    ["00-" + "0" * 32 + "-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad-01", "x", ""],
)
def test_a_malformed_traceparent_is_dropped(value):
    assert read_preferences(Headers({"traceparent": value})).traceparent is None


@given(st.text(), st.text(), st.text())
def test_a_cursor_survives_the_wire(key, last_id, query):
    cursor = Cursor("-last_name", query, key, last_id)
    assert Cursor.decode(cursor.encode(), "-last_name", query) == cursor


@given(st.text())
def test_any_other_text_is_no_cursor(text):
    with pytest.raises(InvalidFields):
        Cursor.decode(text, "last_name", "")


@pytest.mark.parametrize("parts", ['["a","b","c"]', '["a","b",{"$gt":""},"d"]', "7", "{}"])
def test_a_forged_cursor_brings_no_operator(parts):
    import base64

    text = base64.urlsafe_b64encode(parts.encode()).decode()
    with pytest.raises(InvalidFields):
        Cursor.decode(text, "a", "b")


def test_fingerprints_differ_with_the_filters():
    assert fingerprint({"q": ["a"]}) != fingerprint({"q": ["b"]}) != fingerprint({})


@given(st.text(min_size=1, max_size=80))
def test_what_clients_send_only_ever_stands_as_a_value(text):
    for name in ("first_name", "occupation", "q", "email"):
        try:
            query = read_query(PeopleQuery, QueryParams({name: text}))
        except InvalidFields:
            continue
        for condition in conditions(query.filters):
            (field,) = condition
            assert field in {"keys.first_name", "keys.occupation", "keys.words", "email"}
            bounds = condition[field].get("$elemMatch", condition[field])
            assert set(bounds) <= {"$eq", "$gte", "$lt"}
            assert all(isinstance(bound, str) for bound in bounds.values())


@pytest.mark.parametrize(
    ("header", "expected"),
    [('"3"', True), ('W/"3"', True), ('"1", "3"', True), ("*", True), ('"33"', False), ("3", False)],
)
def test_if_none_match(header, expected):
    assert matches(header, '"3"') is expected
