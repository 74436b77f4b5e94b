"""HEAD, OPTIONS, conditions and paths as RFC 9110 has them, asked of both APIs while they run."""

import re

import httpx
import pytest

from tests.system import new_person

WAIT = {"Prefer": "wait=20"}
NDJSON = {"Accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def missing() -> str:
    return "/people/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"


async def created(commands: httpx.AsyncClient) -> dict:
    answer = await commands.post("/people/", json=new_person(), headers=WAIT)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_head_of_a_read_is_get_without_its_body(commands, queries):
    person = await created(commands)
    document = f"{person['document_type']}/{person['document_id']}"
    for path in (
        f"/people/{person['id']}",
        f"/people/{person['id']}/",
        f"/people/by-document/{document}",
        f"/people/{person['id']}/history?consistency=strong",
        "/people?limit=1&sort=created_at",
        "/dead-letters",
        "/asyncapi.json",
    ):
        whole, head = await queries.get(path), await queries.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert int(head.headers["content-length"]) == len(whole.content), path
        assert head.headers.get("etag") == whole.headers.get("etag"), path


async def test_head_says_what_get_would_refuse(queries, system, services, missing):
    for path, status in (
        (missing, 404),
        ("/people/none", 422),
        ("/people?limit=0", 422),
        ("/events/stream?from=never", 422),
        ("/people/export?sort=none", 422),
        ("/nothing", 404),
    ):
        answer = await queries.head(path)
        assert (answer.status_code, answer.content) == (status, b""), path
    async with httpx.AsyncClient(base_url=services["query_api"].url) as nobody:
        for path in (missing, "/events/stream", "/people/export"):
            assert (await nobody.head(path)).status_code == 401, path


async def opened(queries: httpx.AsyncClient) -> float:
    metrics = (await queries.get("/metrics")).text
    return float(re.search(r"^rollcall_live_clients (\S+)$", metrics, re.MULTILINE)[1])


async def test_head_opens_no_stream_and_no_export(queries, services):
    before, exported = await opened(queries), services["query_api"].words().count('"exported"')
    for path, headers, media_type in (
        ("/events/stream", {}, "text/event-stream"),
        ("/people/export", NDJSON, "application/x-ndjson"),
        ("/people/export", {"Accept": "text/csv;header=present;q=0.9"}, "text/csv"),
        ("/events", NDJSON, "application/x-ndjson"),
    ):
        answer = await queries.head(path, headers=headers)
        assert (answer.status_code, answer.content) == (200, b""), path
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert "content-length" not in answer.headers
    assert await opened(queries) == before
    assert services["query_api"].words().count('"exported"') == exported


async def test_options_names_the_methods_of_both_apis_without_a_token(services, missing):
    for name in ("command_api", "query_api"):
        async with httpx.AsyncClient(base_url=services[name].url) as nobody:
            for path, methods in (
                ("/people", "GET, HEAD, OPTIONS, POST"),
                (f"{missing}/", "DELETE, GET, HEAD, OPTIONS, PATCH"),
                ("/auth/login", "OPTIONS, POST"),
            ):
                answer = await nobody.options(path)
                assert (answer.status_code, answer.headers["allow"]) == (204, methods), (name, path)
            assert (await nobody.options("/nothing")).status_code == 404
            refused = await nobody.put("/people")
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
            assert refused.headers["content-type"] == "application/problem+json"


async def test_a_slash_at_the_end_is_no_other_address(commands, queries):
    person = await created(commands)
    patched = await commands.patch(f"/people/{person['id']}/", json={"occupation": "Baker"}, headers=WAIT)
    assert patched.status_code == 200
    read = await queries.get(f"/people/{person['id']}/")
    assert (read.status_code, read.json()["version"]) == (200, 2)
    page = await queries.get("/people/?limit=1")
    assert page.headers["link"].startswith("</people?")


async def test_conditions_are_lists_over_all_their_lines(commands, queries):
    path = f"/people/{(await created(commands))['id']}"
    for lines, status in (
        (['"7"', 'W/"1"'], 304),
        (['"7", "1"'], 304),
        (['W/"7"', '"71"'], 200),
        (["1"], 200),
        (["*"], 304),
    ):
        answer = await queries.get(path, headers=[("If-None-Match", line) for line in lines])
        assert answer.status_code == status, lines
        assert answer.headers["etag"] == '"1"'


async def test_a_read_of_one_person_holds_to_the_version_that_is_expected(commands, queries, missing):
    person = await created(commands)
    path = f"/people/{person['id']}"
    assert (await commands.patch(path, json={"occupation": "Baker"}, headers=WAIT)).status_code == 200
    document = f"/people/by-document/{person['document_type']}/{person['document_id']}"
    for url, version in ((path, "2"), (document, "2"), (f"{path}?version=1", "1")):
        for lines, status in (
            ([f'"{version}"'], 200),
            (['"7"', f'W/"7", "{version}"'], 200),
            (["*"], 200),
            ([f'W/"{version}"'], 412),
            (['"7"'], 412),
            (["7"], 422),
        ):
            headers = [("If-Match", line) for line in lines]
            for answer in (await queries.get(url, headers=headers), await queries.head(url, headers=headers)):
                assert answer.status_code == status, (url, lines)
                assert status == 422 or answer.headers["etag"] == f'"{version}"'
        # What must be so comes before what the client has (RFC 9110, section 13.2.2).
        both = await queries.get(url, headers={"If-Match": '"7"', "If-None-Match": f'"{version}"'})
        assert (both.status_code, both.json()["version"]) == (412, int(version))
        both = await queries.get(url, headers={"If-Match": "*", "If-None-Match": f'"{version}"'})
        assert both.status_code == 304
    assert (await queries.get(missing, headers={"If-Match": "*"})).status_code == 404
