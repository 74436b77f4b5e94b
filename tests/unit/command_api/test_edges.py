"""Headers, cursors and filters: what comes from a client, read strictly."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, QueryParams

from command_api.dispatch.preferences import read_preferences
from command_api.people.documentation import PeopleDocuments
from events.errors import InvalidFields
from query_api.reading.cursors import Cursor, CursorSeal, fingerprint
from query_api.reading.forms import read_query
from service_kit.http.reasons import told
from tests.default_schema import SCHEMA, PeopleQuery

SEAL = CursorSeal()


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


@pytest.mark.parametrize(
    ("values", "versions"),
    [
        (['"3"'], {3}),
        (["*"], None),
        (['"0"'], {0}),
        (['"1", "7"'], {1, 7}),
        (['"1"', '"7" , "9"'], {1, 7, 9}),
        (['W/"1"'], set()),
        (['W/"1", "2"'], {2}),
        (['"x", "03", "99999999999"'], set()),
    ],
)
def test_if_match(values, versions):
    headers = Headers(raw=[(b"if-match", value.encode()) for value in values])
    assert read_preferences(headers).expected_versions == versions


def patterns() -> dict[str, str]:
    """Return what OpenAPI says of each header that is refused if it is not as it should be."""
    parameters = PeopleDocuments(SCHEMA).update["openapi_extra"]["parameters"]
    known = {one["name"]: one["schema"].get("pattern") for one in parameters}
    return {name: pattern for name, pattern in known.items() if pattern}


@given(st.data())
def test_a_header_that_is_as_openapi_says_is_accepted(data):
    assert {"If-Match", "Idempotency-Key", "X-Causation-Id", "X-Correlation-Id"} == patterns().keys()
    for name, pattern in patterns().items():
        value = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
        read_preferences(Headers(raw=[(name.lower().encode(), value.encode("latin-1"))]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("If-Match", value) for value in ("", "3", '"3', 'w/"3"', '"1" "2"', '*, "1"', '"a b"')),
        *(("Idempotency-Key", value) for value in ("", "a b", "é", "k" * 256)),
        *(("X-Causation-Id", value) for value in ("", "a b", "é", "i" * 129)),
        *(("X-Correlation-Id", value) for value in ("", "a b", "import:1", "zoe@example.com")),
    ],
)
def test_a_header_that_is_not_as_openapi_says_is_refused(name, value):
    assert not re.fullmatch(patterns()[name], value)
    with pytest.raises(InvalidFields):
        read_preferences(Headers(raw=[(name.lower().encode(), value.encode("latin-1"))]))


def test_the_id_of_a_message_may_have_colons():
    value = "urn:uuid:0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09"
    assert re.fullmatch(patterns()["X-Causation-Id"], value)
    assert read_preferences(Headers({"x-causation-id": value})).causation_id == value


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("X-Correlation-Id", "a b", "no-id"),
        ("X-Correlation-Id", "import:7", "reserved-id"),
        ("X-Causation-Id", "x" * 129, "no-id"),
        ("Idempotency-Key", "a b", "no-key"),
        ("If-Match", "3", "no-entity-tags"),
    ],
)
def test_a_header_that_is_not_valid_is_told_so_in_words(name, value, code):
    with pytest.raises(InvalidFields) as refused:
        read_preferences(Headers({name: value}))
    (error,) = [told(one, "en") for one in refused.value.errors]
    assert (error["field"], error["code"]) == (name, code)
    assert not set("^$\\[]{}") & set(error["reason"])


@pytest.mark.parametrize(
    "value",
    ["00-" + "0" * 32 + "-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad-01", "x", ""],
)
def test_a_malformed_traceparent_is_dropped(value):
    assert read_preferences(Headers({"traceparent": value})).traceparent is None


@given(st.text(), st.text(), st.text())
def test_a_cursor_survives_the_wire(key, last_id, query):
    cursor = Cursor("-last_name", query, key, last_id)
    assert Cursor.decode(cursor.encode(SEAL), "-last_name", query, SEAL) == cursor


@given(st.text())
def test_any_other_text_is_no_cursor(text):
    with pytest.raises(InvalidFields):
        Cursor.decode(text, "last_name", "", SEAL)


@pytest.mark.parametrize("parts", ['["a","b","c"]', '["a","b",{"$gt":""},"d"]', "7", "{}"])
def test_a_forged_cursor_brings_no_operator(parts):
    import base64

    for content in (parts.encode(), SEAL.seal(parts.encode())):
        text = base64.urlsafe_b64encode(content).decode()
        with pytest.raises(InvalidFields):
            Cursor.decode(text, "a", "b", SEAL)


def test_a_cursor_shows_neither_a_value_nor_its_length():
    import base64

    texts = [Cursor("last_name", "f", name, "i").encode(SEAL) for name in ("canary", "o", "canary")]
    shown = [base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in texts]
    assert not any(b"canary" in one or b"last_name" in one for one in shown)
    assert len(set(texts)) == 3 and len({len(text) for text in texts}) == 1


def test_a_cursor_outlives_the_change_of_its_key_but_not_the_end_of_it():
    first, second = bytes(32), bytes(range(32))
    cursor = Cursor("last_name", "f", "Arango", "i")
    text = cursor.encode(CursorSeal({"k1": first}))
    assert Cursor.decode(text, "last_name", "f", CursorSeal({"k2": second, "k1": first})) == cursor
    for others in ({"k2": second}, {"k1": second}):
        with pytest.raises(InvalidFields):
            Cursor.decode(text, "last_name", "f", CursorSeal(others))


def test_fingerprints_differ_with_the_filters():
    assert fingerprint({"q": ["a"]}) != fingerprint({"q": ["b"]}) != fingerprint({})


def leaves(condition):
    """Yield each field of a condition with what it is compared with."""
    for name, value in condition.items():
        if name in ("$or", "$and"):
            for one in value:
                yield from leaves(one)
        else:
            yield name, value.get("$elemMatch", value)


@given(st.text(min_size=1, max_size=80))
def test_what_clients_send_only_ever_stands_as_a_value(text):
    known = {"keys.first_name", "keys.last_name", "keys.occupation", "keys.words"}
    for name in ("first_name", "last_name.lt", "last_name.in", "occupation", "q", "email"):
        try:
            query = read_query(PeopleQuery, QueryParams({name: text}))
        except InvalidFields:
            continue
        for condition in query.filters:
            for field, bounds in leaves(condition):
                assert field in known | {"email", "phone", "document_id", "_id"}
                assert set(bounds) <= {"$eq", "$gte", "$lt", "$in"}
                values = [
                    one
                    for value in bounds.values()
                    for one in (value if isinstance(value, list) else [value])
                ]
                assert all(isinstance(value, str) for value in values)
