"""What every request passes, and what every answer carries, in one process."""

import asyncio
import gc
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError
from structlog.testing import capture_logs

from devstack.servers.ports import free_ports
from events.errors import Unauthenticated
from service_kit.auth.tokens import Caller
from service_kit.http import protocol as http_protocol
from service_kit.http.guard import ALWAYS, EXPOSED, MAX_HEADERS_BYTES, MAX_TARGET_BYTES, Limits
from service_kit.http.rates import Quota, Rate
from service_kit.http.serving import GARBAGE_THRESHOLDS, serve
from service_kit.http.web import PlainRoute, authorize, create_app
from service_kit.settings import Settings

ORIGIN = "https://people.example"
SECRET = "mongodb://admin:hunter2@10.0.0.7/"


class Verifier:
    """Takes the token for the subject's name."""

    async def verify(self, authorization: str | None) -> Caller:
        if not authorization:
            raise Unauthenticated("no token")
        return Caller(authorization, None, frozenset({"people:read"}), 0.0)


def application(*origins: str, **quotas: int):
    rates = {policy: Rate(Quota(requests, 60)) for policy, requests in quotas.items()}
    app = create_app("test", {}, limits=Limits(rates, origins))
    app.router.route_class = PlainRoute

    @app.get("/who")
    async def who(request: Request) -> Response:
        caller = await authorize(request, Verifier(), "people:read")
        # Some routes want a second scope: it is one request all the same.
        await authorize(request, Verifier(), "people:read")
        return Response(caller.subject, headers={"ETag": '"1"', "Cache-Control": "private"})

    @app.get("/endless")
    async def endless(_request: Request) -> Response:
        async def chunks():
            try:
                while True:
                    yield b"x" * 2**16
                    await asyncio.sleep(0)  # sending waits for nothing once the client has gone
            finally:
                app.state.left.set()

        return StreamingResponse(chunks())

    app.state.left = asyncio.Event()

    @app.get("/wrong")
    async def wrong(_request: Request) -> Response:
        raise RuntimeError(SECRET)

    return app


def client(app, address: str = "203.0.113.7", **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)


def settings(**changes) -> Settings:
    return Settings(amqp_url="amqp://a:b@127.0.0.1/", jwks_url="http://x", **changes)


async def test_every_problem_is_told_in_the_language_that_is_wanted():
    async with client(application(address=9), **{"Accept-Language": "es-CO, en;q=0.5"}) as api:
        for request, status, title, detail in (
            (api.get("/nowhere"), 404, "No encontrado", "No encontrado"),
            (api.post("/who"), 405, "Método no permitido", "Método no permitido"),
            (api.get("/wrong"), 500, "Error interno", "la culpa es nuestra, y queda registrada"),
            (api.get("/who"), 401, "Sin autenticar", "no token"),
            (
                api.get("/who", params={"q": "x" * MAX_TARGET_BYTES}),
                414,
                "La dirección es demasiado larga",
                "la ruta y la consulta tienen más de 8192 bytes",
            ),
        ):
            answer = await request
            told = answer.json()
            assert (answer.status_code, told["title"], told["detail"]) == (status, title, detail)
            assert (answer.headers["content-language"], answer.headers["vary"]) == ("es", "Accept-Language")
    async with client(application()) as api:
        answer = await api.get("/nowhere")
        assert (answer.headers["content-language"], answer.json()["title"]) == ("en", "Not Found")


async def test_requests_count_by_address_and_by_subject():
    app = application(address=6, subject=2)
    async with client(app, Authorization="ada") as ada, client(app, Authorization="grace") as grace:
        first = await ada.get("/who")
        assert first.headers["ratelimit-policy"] == '"address";q=6;w=60, "subject";q=2;w=60'
        assert first.headers["ratelimit"] == '"address";r=5;t=10, "subject";r=1;t=30'
        assert (await ada.get("/who")).status_code == 200
        refused = await ada.get("/who")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
        assert refused.headers["ratelimit"] == '"address";r=3;t=30, "subject";r=0;t=30'
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json() == {
            "type": "urn:rollcall:problem:too-many-requests",
            "title": "Too many requests",
            "status": 429,
            "detail": "more than 2 requests in 60 s",
            "violated-policies": ["subject"],
        }
        assert [(await grace.get("/who")).status_code for _ in range(3)] == [200, 200, 429]
        # Now the address has none left, whoever asks, and whatever for.
        for path in ("/who", "/nothing", "/docs", "/openapi.json"):
            answer = await grace.get(path)
            assert (answer.status_code, answer.json()["violated-policies"]) == (429, ["address"])
            assert answer.headers["ratelimit-policy"] == '"address";q=6;w=60'
        for path in ("/healthz", "/readyz", "/metrics"):
            answer = await grace.get(path)
            assert (answer.status_code, answer.headers.get("ratelimit")) == (200, None)
    async with client(app, "203.0.113.8", Authorization="ida") as other:
        assert (await other.get("/who")).status_code == 200


async def test_without_a_good_token_only_the_address_counts():
    app = application(address=3, subject=1)
    async with client(app) as nobody:
        answers = [await nobody.get("/who") for _ in range(4)]
    assert [one.status_code for one in answers] == [401, 401, 401, 429]
    assert "subject" not in answers[0].headers["ratelimit"]


async def test_an_ipv6_client_has_a_network():
    app = application(address=2)
    for address in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2"):
        async with client(app, address) as one:
            assert (await one.get("/nothing")).status_code == 404
    async with client(app, "2001:db8:1:2::3") as third, client(app, "2001:db8:1:3::1") as other:
        assert (await third.get("/nothing")).status_code == 429
        assert (await other.get("/nothing")).status_code == 404


async def test_no_quota_means_no_count():
    async with client(application()) as anybody:
        assert "ratelimit" not in (await anybody.get("/nothing")).headers
    assert Limits.of(settings(rate_address="0", rate_subject="0")).rates == {}
    assert set(Limits.of(settings()).rates) == {"address", "subject"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/who", 200),
        ("/healthz", 200),
        ("/nothing", 404),
        ("/wrong", 500),
        ("/", 200),
        ("/docs", 200),
        ("/openapi.json", 200),
    ],
)
async def test_every_answer_has_the_headers_that_browsers_heed(path, status):
    async with client(application(address=100), Authorization="ada") as ada:
        answer = await ada.get(path)
    assert answer.status_code == status
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == ("private" if path == "/who" else "no-store")
    policy = headers["content-security-policy"]
    nothing = ("default-src", "base-uri", "form-action", "frame-ancestors")
    assert {f"{name} 'none'" for name in nothing} <= set(policy.split("; "))
    assert ("script-src" in policy) == (path == "/docs")
    assert len(headers.get_list("content-security-policy")) == 1
    assert "access-control-allow-origin" not in headers


async def test_an_error_of_ours_says_nothing_of_itself_and_is_logged():
    with capture_logs() as logs:
        async with client(application(), Authorization="ada") as ada:
            answer = await ada.get("/wrong")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json() == {
        "type": "urn:rollcall:problem:internal",
        "title": "Internal error",
        "status": 500,
        "detail": "this is our fault, and it was logged",
    }
    assert [(one["event"], one["log_level"]) for one in logs] == [("request failed", "error")]


async def test_what_is_too_long_is_refused_before_anything_looks_at_it():
    async with client(application(address=100), Authorization="ada") as ada:
        at_most = f"/who?{'q' * (MAX_TARGET_BYTES - len('/who'))}"
        assert (await ada.get(at_most)).status_code == 200
        longer = await ada.get(f"{at_most}q")
        assert (longer.status_code, longer.json()["type"]) == (414, "urn:rollcall:problem:target-too-long")
        assert longer.headers["ratelimit"], "a refusal counts, too"
        big = await ada.get("/who", headers={"X-Big": "x" * MAX_HEADERS_BYTES})
        assert (big.status_code, big.json()["type"]) == (431, "urn:rollcall:problem:headers-too-large")
        many = await ada.get("/who", headers=[("X-Many", "")] * (MAX_HEADERS_BYTES // 10))
        assert many.status_code == 431


async def test_pages_of_other_origins_are_told_nothing_unless_they_are_listed():
    ask = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH", "Authorization": "ada"}
    async with client(application(), **ask) as page:
        refused = await page.options("/people")
        assert (refused.status_code, refused.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert not [name for name in refused.headers if name.startswith("access-control")]
        assert not [name for name in (await page.get("/who")).headers if name.startswith("access-control")]
    app = application(ORIGIN, address=3)
    async with client(app, **ask) as page:
        answer = await page.get("/who")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert set(answer.headers["access-control-expose-headers"].split(", ")) == set(EXPOSED)
        assert "access-control-allow-credentials" not in answer.headers
        preflight = await page.options("/who", headers={"Access-Control-Request-Headers": "if-match, prefer"})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-headers"] == "if-match, prefer"
        for _ in range(2):
            await page.get("/who")
        refused = await page.get("/who")
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (429, ORIGIN)
    async with client(app, "203.0.113.8", **{**ask, "Origin": "https://evil.example"}) as stranger:
        assert "access-control-allow-origin" not in (await stranger.get("/who")).headers
        refused = await stranger.options("/people")
        assert (refused.status_code, refused.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("network", ["proxy", "10.0.0.1/8", "10.0.0.0/33", "*.x", "::g"])
def test_trusted_proxies_are_addresses_and_networks(network):
    with pytest.raises(ValidationError, match="is no address or network"):
        settings(trusted_proxies=f"10.0.0.1 {network}")
    assert settings(trusted_proxies="10.0.0.1  fd00::/8").trusted_proxies == ("10.0.0.1", "fd00::/8")
    assert settings(trusted_proxies="*").trusted_proxies == ("*",)


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "people.example", "https://people.example/", "https://a@b", "ftp://x", "https://*.x"],
)
def test_only_exact_origins_can_be_listed(origin):
    with pytest.raises(ValidationError, match="is no origin"):
        settings(cors_origins=f"https://good.example {origin}")
    assert settings(cors_origins="https://a.example, http://[::1]:3000").cors_origins == (
        "https://a.example",
        "http://[::1]:3000",
    )


@asynccontextmanager
async def served(app=None):
    """A server with its own way to read requests, on a free port."""
    (port,) = free_ports(1)
    task = asyncio.create_task(serve(app or application(), "127.0.0.1", port))
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    break
        yield port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_head_that_never_ends_is_cut_off_and_one_that_ends_is_served(monkeypatch):
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.3)
    async with served() as port, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /who HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"x" * 70_000)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 431 ") and b"headers-too-large" in answer
        assert all(b"%b: %b\r\n" % field in answer for field in ALWAYS)
        writer.close()

        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"what is this?\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in answer
        writer.close()

        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /who?" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 414 ") and b"target-too-long" in answer
        writer.close()

        for start in (b"", b"GET /who HTTP/1.1\r\nHost: x\r\nX-Slow: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(start)
            assert await reader.read() == b""
            writer.close()

        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(4):
            writer.write(b"GET /who HTTP/1.1\r\nHost: x\r\nAuthorization: ada\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), number
            assert await reader.readexactly(3) == b"ada"
            # A head that has ended keeps no deadline.
            await asyncio.sleep(0.2 * number)
        writer.write(b"GET /wh")
        assert await reader.read() == b"", "a later head may take its time"
        writer.close()


async def test_a_connection_rests_longer_than_clients_keep_one():
    # httpx, and uvicorn by itself, keep one for 5 s: a request that is sent just then would be lost.
    async with served() as port, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for rest in (5.5, 0):
            writer.write(b"GET /who HTTP/1.1\r\nHost: x\r\nAuthorization: ada\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(3) == b"ada"
            await asyncio.sleep(rest)
        writer.close()


async def test_a_client_that_takes_nothing_is_cut_off_and_what_answers_it_ends(monkeypatch):
    monkeypatch.setattr(http_protocol, "STALL_SECONDS", 0.3)
    app = application()
    async with served(app) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**10)
        writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await app.state.left.wait()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(2**40)
        writer.close()


async def test_what_serves_is_not_looked_through_for_garbage_while_requests_wait():
    gc.unfreeze()
    app = application()
    async with served(app):
        frozen = gc.get_freeze_count()
        assert frozen > 10_000
        assert not [one for one in gc.get_objects() if one is app]
        assert gc.get_threshold() == GARBAGE_THRESHOLDS
    gc.unfreeze()
