"""What may be done at each address, whichever API is asked: HEAD, OPTIONS, `Allow`, a slash at the end."""

from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from command_api.app import build_app as build_command_api
from query_api.app import build_app as build_query_api
from service_kit.http.addresses import COMMAND, QUERY, methods_at
from service_kit.settings import MIN_SECRET_BYTES, Settings

ID = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
BY_VALUES = {"/people/by-document/{document_type}/{document_id}": "/people/by-{kind}/{value}/{value}"}
"""Where people are found by what is theirs alone, by whichever values a person schema has of that kind."""


@pytest.fixture(scope="module")
def apps(tmp_path_factory) -> tuple[FastAPI, FastAPI]:
    folder = tmp_path_factory.mktemp("keys")
    key, kek = folder / "key", folder / "kek"
    key.write_text("x" * MIN_SECRET_BYTES)
    kek.write_text(f"one {'0' * 64}")
    kek.chmod(0o600)
    settings = Settings(
        amqp_url="amqp://a:b@localhost/", mongo_uri="mongodb://localhost/", jwt_key_file=key, kek_file=kek
    )
    return build_command_api(settings, lambda: datetime.now(UTC)), build_query_api(settings)


def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api")


def test_the_addresses_are_those_of_both_apis(apps):
    for app, addresses in zip(apps, (COMMAND, QUERY), strict=True):
        routes: dict[str, set[str]] = {}
        for route in app.routes:
            assert isinstance(route, Route)
            path = BY_VALUES.get(route.path, route.path.replace(":uuid", ""))
            methods = routes.setdefault(path, set())
            methods |= {method for method in route.methods or () if method != "HEAD"}
        others = {path for path in addresses if path.startswith("/people/by-")} - routes.keys()
        assert all(addresses[path] == ("GET",) for path in others)
        assert routes == {path: set(methods) for path, methods in addresses.items() if path not in others}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/people", "GET HEAD OPTIONS POST"),
        (f"/people/{ID}", "DELETE GET HEAD OPTIONS PATCH"),
        ("/people/by-document/passport/AB490092", "GET HEAD OPTIONS"),
        ("/people/import", "OPTIONS POST"),
        ("/people/export", "GET HEAD OPTIONS"),
        ("/dead-letters/messages", "GET HEAD OPTIONS"),
        (f"/dead-letters/{ID}", "DELETE GET HEAD OPTIONS"),
        ("/command/people", "OPTIONS POST"),
        ("/command/people/export", "DELETE OPTIONS PATCH"),
        ("/command/events", ""),
        ("/command", "GET HEAD OPTIONS"),
        ("/commanding", ""),
        ("/nothing", ""),
        ("/people/a/b/c/d", ""),
        ("*", "DELETE GET HEAD OPTIONS PATCH POST PUT"),
    ],
)
def test_an_address_has_the_methods_of_both_apis(path, methods):
    assert " ".join(methods_at(path)) == methods


async def test_options_and_allow_say_the_same_at_both(apps):
    for app in apps:
        async with client(app) as api:
            for path in ("/people", "/people/"):
                told = await api.options(path)
                assert (told.status_code, told.content) == (204, b"")
                assert told.headers["allow"] == "GET, HEAD, OPTIONS, POST"
            refused = await api.put("/people")
            assert (refused.status_code, refused.headers["allow"]) == (405, told.headers["allow"])
            assert (await api.options("/nothing")).json()["type"] == "urn:rollcall:problem:not-found"
    async with client(apps[0]) as commands, client(apps[1]) as queries:
        elsewhere = await commands.post(f"/people/{ID}/history")
        assert (elsewhere.status_code, elsewhere.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        elsewhere = await queries.get("/auth/login")
        assert (elsewhere.status_code, elsewhere.headers["allow"]) == (405, "OPTIONS, POST")
        assert (await commands.get(f"/people/{ID}/history")).status_code == 404


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PROPFIND", "post"])
async def test_what_no_address_has_is_refused_and_shows_nothing_of_the_request(apps, method):
    for app in apps:
        assert not app.debug
        async with client(app) as api:
            for path in ("/people", "/healthz", "/docs"):
                answer = await api.request(method.encode(), path, headers={"Authorization": "Bearer hunter2"})
                assert answer.status_code == 405, (method, path)
                assert "hunter2" not in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/docs", "/"])
async def test_head_has_the_headers_of_get(apps, path):
    for app in apps:
        async with client(app) as api:
            whole, head = await api.get(path), await api.head(path)
            assert head.status_code == 200
            for answer in (whole, head):
                answer.headers.pop("ratelimit", None)  # each is counted
            assert head.headers == whole.headers


async def test_a_slash_at_the_end_does_not_count(apps):
    for app in apps:
        async with client(app) as api:
            for path in ("/healthz/", "/healthz//", "/docs/", "//"):
                assert (await api.get(path)).status_code == 200, path
            assert (await api.post("/people/", json={})).status_code in (401, 405)
    async with client(apps[0]) as commands:
        for path in ("/command", "/command/", "/command/healthz/"):
            assert (await commands.get(path)).status_code == 200, path
