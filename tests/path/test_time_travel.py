"""People as they were: at a version, at a time, before and after they were deleted."""

from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from tests.system import new_person

WAIT = {"Prefer": "wait=20"}
STRONG = {"consistency": "strong"}


@pytest_asyncio.fixture(scope="module")
async def versions(commands) -> list[dict]:
    """A person at each of three versions; the fourth deleted it."""
    made = [(await commands.post("/people", json=new_person(occupation="Baker"), headers=WAIT)).json()]
    path = f"/people/{made[0]['id']}"
    for patch in ({"occupation": None, "last_name": "Ñáñez"}, {"email": new_person()["email"]}):
        made.append((await commands.patch(path, json=patch, headers=WAIT)).json())
    assert (await commands.delete(path, headers=WAIT)).status_code == 200
    return made


def moment(text: str, milliseconds: int = 0) -> str:
    return (datetime.fromisoformat(text) + timedelta(milliseconds=milliseconds)).isoformat()


async def test_each_version_is_the_record_as_it_was_though_the_person_is_deleted(queries, versions):
    path = f"/people/{versions[0]['id']}"
    assert (await queries.get(path, params=STRONG)).status_code == 404
    for person in versions:
        for consistency in ({}, STRONG):
            response = await queries.get(path, params={"version": person["version"], **consistency})
            assert response.status_code == 200, response.text
            assert response.json() == person
            assert response.headers["etag"] == f'"{person["version"]}"'


async def test_each_time_is_the_record_as_it_was(queries, versions):
    path = f"/people/{versions[0]['id']}"
    for person, after in zip(versions, [*versions[1:], None], strict=True):
        seen = [await queries.get(path, params={"as_of": moment(person["updated_at"])})]
        if after is not None and after["updated_at"] > person["updated_at"]:
            seen.append(await queries.get(path, params={"as_of": moment(after["updated_at"], -1)}))
        for response in seen:
            assert response.json() == person


async def test_before_it_was_and_after_it_was_deleted_there_is_none(queries, versions):
    path = f"/people/{versions[0]['id']}"
    for params, words in (
        ({"as_of": moment(versions[0]["created_at"], -1)}, "there was no person"),
        ({"as_of": "2999-01-01T00:00:00Z"}, "deleted with version 4"),
        ({"version": 4, **STRONG}, "deleted with version 4"),
    ):
        response = await queries.get(path, params=params)
        assert (response.status_code, response.json()["type"]) == (
            404,
            "urn:rollcall:problem:person-not-found",
        )
        assert words in response.json()["detail"]


async def test_a_version_that_is_not_yet_is_404_with_retry_after(queries, versions):
    response = await queries.get(f"/people/{versions[0]['id']}", params={"version": 5})
    assert (response.status_code, response.headers["retry-after"]) == (404, "1")
    unknown = "/people/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
    response = await queries.get(unknown, params={"version": 1})
    assert response.json()["type"] == "urn:rollcall:problem:person-not-found"


async def test_a_version_is_answered_though_no_secondary_has_it_yet(commands, queries):
    person = (await commands.post("/people", json=new_person(), headers=WAIT)).json()
    path = f"/people/{person['id']}"
    for version in range(2, 8):
        await commands.patch(path, json={"address": f"Calle {version}"}, headers=WAIT)
        read = await queries.get(path, params={"version": version})
        assert read.json()["address"] == f"Calle {version}", read.text


async def test_a_known_version_is_not_sent_again(queries, versions):
    path = f"/people/{versions[0]['id']}"
    response = await queries.get(path, params={"version": 2, **STRONG}, headers={"If-None-Match": '"2"'})
    assert (response.status_code, response.content) == (304, b"")


@pytest.mark.parametrize("params", [{"version": 1}, {"as_of": "2026-01-01T00:00:00Z"}])
async def test_the_past_wants_the_auditor_s_scope_too(system, services, versions, params):
    path = f"/people/{versions[0]['id']}"
    for scope, missing in (("people:read", "audit:read"), ("audit:read", "people:read")):
        async with system.client(services["query_api"], system.token(scope)) as client:
            response = await client.get(path, params=params)
        assert response.status_code == 403
        assert f'scope="{missing}"' in response.headers["www-authenticate"]
    async with system.client(services["query_api"], system.token("people:read", "audit:read")) as client:
        assert (await client.get(path, params=params)).status_code != 403


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"version": 0}, "version"),
        ({"version": "x"}, "version"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"as_of": "2026-01-01T00:00:00", "tz": "Nowhere"}, "tz"),
        ({"as_of": "0001-01-01T00:00:00+14:00"}, "as_of"),
        ({"version": 1, "as_of": "2026-01-01T00:00:00Z"}, "as_of"),
        ({"version": 1, "min_version": 1}, "min_version"),
    ],
)
async def test_a_time_or_version_that_is_none_is_named(queries, versions, params, field):
    response = await queries.get(f"/people/{versions[0]['id']}", params=params)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
