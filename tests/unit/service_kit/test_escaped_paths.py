"""A slash within a value of a path is the value's, and divides nothing."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from service_kit.http.escaped_paths import values_at_end
from service_kit.http.guard import Limits, guarded


async def _told(request: Request) -> JSONResponse:
    return JSONResponse(values_at_end(request.scope, len(request.path_params)))


APP = guarded(Starlette(routes=[Route("/by-one/{a}", _told), Route("/by-two/{a}/{b}", _told)]), Limits({}))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/by-one/plain", ["plain"]),
        ("/by-one/plain/", ["plain"]),
        ("/by-one/https%3A%2F%2Fexample.org%2Fa%2f", ["https://example.org/a/"]),
        ("/by-one/%252F", ["%2F"]),
        ("/by-one/%2F%252F/", ["/%2F"]),
        ("/by-two/a%2Fb/%C3%B1", ["a/b", "ñ"]),
    ],
)
async def test_each_value_is_what_it_was_before_it_was_escaped(method, path, values):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://api") as client:
        answer = await client.request(method, path)
    assert answer.status_code == 200
    assert method == "HEAD" or answer.json() == values


async def test_a_slash_that_divides_leads_elsewhere():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://api") as client:
        assert (await client.get("/by-one/a/b")).status_code == 404
