"""What the APIs refuse, and that each refusal says why."""

import pytest

from tests.system import TOPOLOGIES, new_person

# Nothing of this depends on the store.
pytestmark = pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True, scope="session")

PERSON = "/people/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"


def reasons(response) -> dict[str, str]:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    return {error["field"]: error["reason"] for error in problem.get("errors", [])}


async def test_malformed_json(commands):
    response = await commands.post(
        "/people", content=b'{"first_name": ', headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["type"] == "urn:rollcall:problem:malformed-body"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"nickname": "Zo"}, "nickname"),
        ({"first_name": 5}, "first_name"),
        ({"first_name": None}, "first_name"),
        ({"first_name": ["a"]}, "first_name"),
        ({"first_name": ""}, "first_name"),
        ({"first_name": "x" * 101}, "first_name"),
        ({"first_name": "42"}, "first_name"),
        ({"first_name": "\u0958" * 60}, "first_name"),
        ({"address": "\u0958" * 150}, "address"),
        ({"last_name": "a\u202eb"}, "last_name"),
        ({"document_id": "70000109.0"}, "document_id"),
        ({"document_id": "7.0000109E7"}, "document_id"),
        ({"document_id": "1.02E+09"}, "document_id"),
        ({"first_name": "' '"}, "first_name"),
        ({"last_name": "a\u0000b"}, "last_name"),
        ({"document_type": "Licence"}, "document_type"),
        ({"document_id": "a/b"}, "document_id"),
        ({"document_id": {"$gt": ""}}, "document_id"),
        ({"birth_date": "31-02-1990"}, "birth_date"),
        ({"birth_date": "1990/12/10"}, "birth_date"),
        ({"birth_date": "2999-01-01"}, "birth_date"),
        ({"gender": "X"}, "gender"),
        ({"email": "nobody"}, "email"),
        ({"phone": "12"}, "phone"),
        ({"phone": "+570000000000"}, "phone"),
        ({"address": "a\u0007b"}, "address"),
    ],
)
async def test_a_field_that_is_not_allowed_is_named(commands, changes, field):
    response = await commands.post("/people", json=new_person(**changes))
    assert response.status_code == 422
    assert set(reasons(response)) == {field}


async def test_a_missing_field_is_named(commands):
    body = new_person()
    del body["first_name"]
    response = await commands.post("/people", json=body)
    assert response.status_code == 422
    assert reasons(response) == {"first_name": "is missing"}


@pytest.mark.parametrize("body", ["[]", "null", '"x"', "7"])
async def test_a_body_that_is_no_object(commands, body):
    response = await commands.post("/people", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert "body" in reasons(response)


async def test_an_empty_patch(commands):
    response = await commands.patch(PERSON, json={})
    assert response.status_code == 422
    assert "empty" in response.json()["detail"]


async def test_a_required_field_cannot_be_removed(commands):
    response = await commands.patch(PERSON, json={"email": None})
    assert reasons(response) == {"email": "cannot be removed"}


async def test_a_body_over_64_kb(commands):
    response = await commands.post("/people", json=new_person(address="x" * 70_000))
    assert response.status_code == 413
    assert response.json()["type"] == "urn:rollcall:problem:body-too-large"


async def test_a_chunked_body_over_64_kb(commands):
    async def chunks():
        for _ in range(80):
            yield b" " * 1024

    response = await commands.post("/people", content=chunks(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413


async def test_another_content_type(commands):
    response = await commands.post("/people", content="<p/>", headers={"Content-Type": "text/xml"})
    assert response.status_code == 415


@pytest.mark.parametrize("method", ["patch", "delete"])
async def test_an_id_that_is_no_uuid(commands, method):
    arguments = {"json": {"gender": "M"}} if method == "patch" else {}
    response = await getattr(commands, method)("/people/42", **arguments)
    assert response.status_code == 422
    assert "path.person_id" in reasons(response)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("If-Match", "3"),
        ("If-Match", '"3'),
        ("If-Match", '*, "3"'),
        ("Idempotency-Key", "with space"),
        ("Idempotency-Key", "k" * 256),
        ("X-Correlation-Id", "a\tb"),
    ],
)
async def test_a_malformed_header_is_named(commands, name, value):
    response = await commands.patch(PERSON, json={"gender": "M"}, headers={name: value})
    assert response.status_code == 422
    assert set(reasons(response)) == {name}


async def test_a_create_has_no_version_to_match(commands):
    for condition in ('"1"', 'W/"1"'):
        response = await commands.post("/people", json=new_person(), headers={"If-Match": condition})
        assert response.status_code == 422
        assert response.json()["errors"][0]["code"] == "no-version-yet"


@pytest.mark.parametrize("path", ["/people/42", "/people/42/commands/43"])
async def test_a_read_of_an_id_that_is_no_uuid(queries, path):
    assert (await queries.get(path)).status_code == 422


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "ten"),
        ("sort", "password"),
        ("sort", "--last_name"),
        ("cursor", "!!!"),
        ("cursor", "W10"),
        ("gender", "X"),
        ("birth_date_from", "soon"),
        ("created_from", "2026-01-01T25:00:00"),
        ("q", ""),
        ("consistency", "linear"),
        ("no_such_filter", "1"),
        ("$where", "1"),
        ("first_name[$ne]", "x"),
    ],
)
async def test_a_bad_parameter_is_named(queries, parameter, value):
    response = await queries.get("/people", params={parameter: value})
    assert response.status_code == 422
    assert set(reasons(response)) == {parameter}


SPANISH = {"Accept-Language": "es-CO, es;q=0.9, en;q=0.5"}


async def test_what_is_wrong_has_a_code_and_is_told_in_english_or_spanish(commands, queries):
    asked = await queries.get("/people", params={"gendr": "F", "limit": "0"})
    assert asked.json()["errors"] == [
        {"field": "limit", "code": "too-small", "reason": "must be 1 or more"},
        {
            "field": "gendr",
            "code": "unknown-parameter",
            "reason": "unknown parameter `gendr`: did you mean `gender`?",
        },
    ]
    assert (asked.headers["content-language"], asked.headers["vary"]) == ("en", "Accept-Language")
    asked = await queries.get("/events", params={"tpe": "person.created"}, headers=SPANISH)
    assert asked.headers["content-language"] == "es"
    assert asked.json()["detail"] == "un parámetro no es válido"
    reason = "parámetro desconocido `tpe`: ¿quizá `type`?"
    assert asked.json()["errors"] == [{"field": "tpe", "code": "unknown-parameter", "reason": reason}]
    body = new_person(birth_date="31-02-1990", fist_name="Ada")
    sent = await commands.post("/people", json=body, headers=SPANISH)
    told = {error["field"]: (error["code"], error["reason"]) for error in sent.json()["errors"]}
    assert told["birth_date"] == ("no-such-day", "no es un día del calendario")
    assert told["fist_name"] == ("unknown-field", "campo desconocido `fist_name`: ¿quizá `first_name`?")
    path = await queries.get("/people/7", headers=SPANISH)
    assert path.json()["errors"] == [
        {"field": "path.person_id", "code": "no-uuid", "reason": "debe ser un UUID"}
    ]


async def test_a_parameter_given_twice(queries):
    assert (await queries.get("/people?limit=1&limit=2")).status_code == 422


async def test_an_unknown_route_and_method_are_problems(queries):
    response = await queries.get("/nothing")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
    response = await queries.put("/people")
    assert (response.status_code, response.headers["content-type"]) == (405, "application/problem+json")
