"""Bodies as they come, on every route that has one: packed, marked, in a charset, with a key twice."""

import gzip
import json

import httpx
import pytest

from tests.path.conftest import Kept
from tests.system import new_person

WAIT = {"Prefer": "wait=20"}
ID = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
# With what is wrong beside the key that is there twice: that comes first.
ROUTES = [
    ("POST", "/people"),
    ("PATCH", f"/people/{ID}"),
    ("POST", f"/people/{ID}/revert"),
    ("POST", f"/people/{ID}/image/confirm"),
    ("POST", "/auth/signup"),
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
]


async def send(commands: httpx.AsyncClient, content: bytes, **headers: str) -> httpx.Response:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return await commands.post("/people", content=content, headers={**WAIT, **headers})


@pytest.mark.parametrize("charset", ["", "utf-8", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_is_read_in_its_form(commands, charset, packed):
    person = new_person(first_name="Begoña")
    content = json.dumps(person, ensure_ascii=False).encode(charset or "utf-8-sig")
    headers = {"content_type": f"application/json; charset={charset}" if charset else "application/json"}
    if packed:
        content, headers["content_encoding"] = gzip.compress(content), "gzip"
    answer = await send(commands, content, **headers)
    assert (answer.status_code, answer.json()["first_name"]) == (201, "Begoña")


async def test_a_coding_that_is_not_read_or_not_there_is_refused(commands):
    plain = json.dumps(new_person()).encode()
    for content, coding in (
        (plain, "gzip"),
        (plain, "br"),
        (plain, "deflate"),
        (gzip.compress(plain), "gzip, br"),
        (gzip.compress(plain), "identity"),
    ):
        answer = await send(commands, content, content_encoding=coding)
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip"), coding
    for method, path in (*ROUTES, ("POST", "/people/import")):
        headers = {"Content-Encoding": "br", "Content-Type": "application/json"}
        if path == "/people/import":
            headers["Content-Type"] = "text/csv"
        answer = await commands.request(method, path, content=plain, headers=headers)
        if answer.status_code != 501:
            assert (answer.status_code, answer.headers.get("accept-encoding")) == (415, "gzip"), path


async def test_a_packed_body_may_be_no_larger_than_a_plain_one(commands):
    answer = await send(commands, gzip.compress(b" " * 10_000_000), content_encoding="gzip")
    assert answer.status_code == 413
    answer = await send(commands, gzip.compress(b"{}")[:-4], content_encoding="gzip")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:rollcall:problem:malformed-body")


async def test_a_charset_unlike_the_body_is_refused(commands):
    content = json.dumps(new_person(first_name="Begoña"), ensure_ascii=False).encode()
    for charset in ("us-ascii", "iso-8859-1", "koi8-r"):
        answer = await send(commands, content, content_type=f"application/json; charset={charset}")
        assert answer.status_code == 415, charset


async def test_a_key_that_is_there_twice_is_refused_on_every_route(kept: Kept, commands):
    person = json.dumps(new_person())[:-1]
    for last in ('"first_name":"Ada"}', '"first\\u005fname": "Ada"}'):
        answer = await send(commands, f"{person},{last}".encode(), content_type="application/json")
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:rollcall:problem:malformed-body")
        assert answer.json()["detail"] == "the body has the key first_name twice"
    body = b'{"name":"a","name":"b"}'
    for method, path in ROUTES:
        url = kept.url("command_api") if path.startswith("/auth") else ""
        headers = {"Content-Type": "application/json"}
        answer = await commands.request(method, f"{url}{path}", content=body, headers=headers)
        assert answer.status_code == 400, (path, answer.text)
