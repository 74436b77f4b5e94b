"""The pages that need no token: what is at the root of each API."""

import re

import httpx
import pytest

from command_api.app import UnderPrefix
from service_kit.http.guard import POLICY
from service_kit.http.pages import ASSETS
from service_kit.http.web import create_app

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
TYPES = {"json": "application/json", "css": "text/css", "js": "text/javascript", "png": "image/png"}
LINKS = ["/docs", "/openapi.json", "/readyz"]


def client() -> httpx.AsyncClient:
    app = create_app("Rollcall <test> API", {})
    app.add_middleware(UnderPrefix)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api")


@pytest.mark.parametrize("prefix", ["", "/command"])
async def test_a_browser_gets_a_page_whose_links_are_there(prefix):
    async with client() as api:
        page = await api.get(f"{prefix}/", headers={"Accept": BROWSER})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "<h1>Rollcall &lt;test&gt; API</h1>" in page.text
        links = re.findall(r'href="([^"]+)"', page.text)
        assert links == [f"{prefix}{path}" for path in LINKS]
        for link in links:
            assert (await api.get(link)).status_code == 200
    assert page.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize("prefix", ["", "/command"])
async def test_the_documentation_page_and_all_that_it_loads_come_from_us(prefix):
    async with client() as api:
        page = await api.get(f"{prefix}/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "<title>Rollcall &lt;test&gt; API</title>" in page.text
        loaded = re.findall(r'(?:src|href|data-openapi)="([^"]*)"', page.text)
        assert set(loaded) == {f"{prefix}/openapi.json", *(f"{prefix}/docs/{name}" for name in ASSETS)}
        for address in loaded:
            answer = await api.get(address)
            assert answer.status_code == 200
            assert answer.headers["content-type"].partition(";")[0] == TYPES[address.rpartition(".")[2]]
        assert (await api.get(f"{prefix}/docs/__init__.py")).status_code == 404
        assert (await api.get(f"{prefix}/docs/..%2fpages.py")).status_code == 404


async def test_the_documentation_page_may_load_nothing_from_elsewhere():
    async with client() as api:
        page = await api.get("/docs")
        sheets = [(await api.get(f"/docs/{name}")).text for name in ASSETS if name.endswith(".css")]
        start = (await api.get("/docs/docs.js")).text
    policy = dict(part.split(maxsplit=1) for part in page.headers["content-security-policy"].split("; "))
    assert set(policy.values()) == {"'self'", "'none'"}
    assert policy["default-src"] == "'none'"
    # It has no script, no style and no handler of its own that this policy would stop.
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page.text)
    assert "//" not in page.text
    for sheet in sheets:
        assert not re.search(r"@import|url\((?![\"']?data:)", sheet)
    assert "validatorUrl: null" in start


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
async def test_programs_get_the_same_links_as_json(accept):
    async with client() as api:
        answer = await api.get("/", headers={"Accept": accept})
        assert (answer.headers["content-type"], answer.headers["vary"]) == ("application/json", "Accept")
        assert answer.json()["title"] == "Rollcall <test> API"
        assert list(answer.json()["links"]) == LINKS
        assert "/" not in (await api.get("/openapi.json")).json()["paths"]
