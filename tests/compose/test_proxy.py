"""The proxy's own rules, on stand-ins for the APIs: what it repeats, holds back and refuses."""

import json
import re
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from devstack.servers.ports import LOOPBACK, free_ports
from service_kit.http.guard import ALWAYS
from tests.compose.composefile import ROOT
from tests.compose.loopback import caddy, wait


class StandIn(BaseHTTPRequestHandler):
    """An API that is ready, and then answers, streams, or hangs up on a request that it has read."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        if self.path == "/people/import?early":
            self.begin_early()
            return
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/readyz":
            self.reply("{}")
            return
        self.server.seen.append(self.command)
        if self.server.hangs_up:
            self.close_connection = True
        elif self.path == "/stream":
            self.stream()
        elif self.path.startswith("/cut"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.close_connection = True
        else:
            self.reply(json.dumps({"name": self.server.name, "headers": dict(self.headers)}))

    def reply(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def begin_early(self) -> None:
        """Answer before the body is read, and tell at the end how long it was."""
        self.send_response(202)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"begun ")
        left = int(self.headers["Content-Length"])
        while left and (part := self.rfile.read(min(left, 1 << 16))):
            left -= len(part)
        self.wfile.write(b"cut" if left else b"ended")

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        # The second part comes when the client has seen the first, or never.
        if self.server.seen_first.wait(60):
            self.wfile.write(b"data: second\n\n")

    def log_message(self, *_: object) -> None:
        pass


for _method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"):
    setattr(StandIn, f"do_{_method}", StandIn.answer)


class Server(ThreadingHTTPServer):
    """A stand-in that is listening."""

    def __init__(self, name: str, port: int, *, hangs_up: bool) -> None:
        super().__init__((LOOPBACK, port), StandIn)
        self.name, self.hangs_up = name, hangs_up
        self.seen: list[str] = []
        self.seen_first = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the proxy may leave before a health check is answered."""


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """Two stand-ins for each API, the first of each hanging up."""
    names = ["command-api-1", "command-api-2", "query-api-1", "query-api-2"]
    started = {
        name: Server(name, port, hangs_up=name.endswith("1"))
        for name, port in zip(names, free_ports(4), strict=True)
    }
    yield started
    for server in started.values():
        server.shutdown()
        server.server_close()


@contextmanager
def running(
    servers: dict[str, Server], directory: Path, options: str = "", **environment: str
) -> Iterator[None]:
    """Run the proxy on its own file, with the stand-ins' addresses in it.

    Args:
        servers: The stand-ins.
        directory: What it writes is there.
        options: More of Caddy's global options.
        environment: As the container has it.
    """
    text = (ROOT / "proxy" / "Caddyfile").read_text().replace("admin off", f"admin off\n{options}", 1)
    config = directory / "Caddyfile"
    config.write_text(
        re.sub(r"([a-z]+-api-\d):\d+", lambda m: f"{LOOPBACK}:{servers[m[1]].server_port}", text)
    )
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [caddy(), "run", "--config", str(config), "--adapter", "caddyfile"],
            stdout=log,
            stderr=log,
            env={"HOME": str(directory), **environment},
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def proxy(servers, tmp_path_factory) -> Iterator[httpx.Client]:
    (port,) = free_ports(1)
    address = f"http://{LOOPBACK}:{port}"
    with (
        running(servers, tmp_path_factory.mktemp("proxy"), ROLLCALL_SITES=address),
        httpx.Client(base_url=address, timeout=20) as client,
    ):
        wait(lambda: ready(client), 20, "the proxy")
        yield client


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def spoken(
    port: int, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, ciphers: str | None = None
) -> tuple[str | None, bool]:
    """Return the version of TLS that the proxy chooses, and whether the cipher is one with forward secrecy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings(action="ignore"):  # that a version is too old
        context.minimum_version = min(newest, ssl.TLSVersion.TLSv1_2)
        context.maximum_version = newest
    if ciphers is not None:
        context.set_ciphers(ciphers)
    with (
        socket.create_connection((LOOPBACK, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="people.example") as secured,
    ):
        name, version, _ = secured.cipher() or ("", None, 0)
        return version, name.startswith(("TLS_", "ECDHE-"))


def test_the_log_of_a_request_that_fails_has_neither_its_address_nor_its_headers(servers, tmp_path):
    (port,) = free_ports(1)
    address = f"http://{LOOPBACK}:{port}"
    whole = {name: servers[name[:-1] + "2"] for name in servers}
    with running(whole, tmp_path, ROLLCALL_SITES=address), httpx.Client(base_url=address) as client:
        wait(lambda: ready(client), 20, "the proxy")
        told = {"X-Correlation-Id": "canary-of-headers", "Referer": "http://x/canary-of-referer"}
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/cut/canary-of-paths?q=canary-of-queries", headers=told)
    log = (tmp_path / "log").read_text()
    assert "aborting with incomplete response" in log
    assert "canary" not in log


def until_tried(proxy: httpx.Client, server: Server, method: str) -> list[httpx.Response]:
    """Send requests until a server has been given one."""
    answers, deadline = [], time.monotonic() + 20
    server.seen.clear()
    while not server.seen:
        assert time.monotonic() < deadline
        answers.append(proxy.request(method, "/people", json={} if method != "GET" else None))
    return answers


def test_a_query_that_an_api_hangs_up_on_goes_to_the_other(proxy, servers):
    answers = until_tried(proxy, servers["query-api-1"], "GET")
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["name"] for answer in answers} == {"query-api-2"}


def test_a_command_that_an_api_may_have_taken_is_not_repeated(proxy, servers):
    servers["command-api-2"].seen.clear()
    answers = until_tried(proxy, servers["command-api-1"], "POST")
    assert servers["command-api-1"].seen == ["POST"]
    assert len(servers["command-api-2"].seen) == len(answers) - 1
    lost = answers[-1]
    assert (lost.status_code, lost.headers["Retry-After"]) == (502, "2")
    assert lost.json() | {"title": ""} == {
        "type": "about:blank",
        "title": "",
        "status": 502,
        "detail": "answered by the proxy",
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_commands_go_to_the_command_api(proxy, servers, method):
    wait(lambda: proxy.request(method, "/people").status_code == 200, 10, "the one that answers")
    assert method in servers["command-api-2"].seen


def test_queries_go_to_the_query_api(proxy):
    assert proxy.get("/people").json()["name"] == "query-api-2"
    assert proxy.get("/docs").json()["name"] == "query-api-2"


def test_what_is_posted_to_read_comes_from_the_query_api(proxy, servers):
    for path in ("/events/stream/tickets", "/events/stream/tickets/", "/events/open", "/events/open/"):
        answers = []

        def given(path: str = path, answers: list[httpx.Response] = answers) -> bool:
            answers.append(proxy.post(path))
            return answers[-1].status_code == 200

        wait(given, 10, "the one that answers")
        assert answers[-1].json()["name"] == "query-api-2"


@pytest.mark.parametrize(
    ("path", "method", "api"),
    [
        ("/people", "POST", "command-api-2"),
        ("/people/1", "PATCH", "command-api-2"),
        ("/people/1", "DELETE", "command-api-2"),
        ("/people", "GET", "query-api-2"),
        ("/people", None, "query-api-2"),
        ("/events/stream/tickets", "POST", "query-api-2"),
        ("/events/open", "POST", "query-api-2"),
        ("/command/people", "GET", "command-api-2"),
    ],
)
def test_a_preflight_is_answered_by_the_api_that_owns_the_route(proxy, path, method, api):
    headers = {"Origin": "https://people.example", "Access-Control-Request-Method": method}
    asked = {name: value for name, value in headers.items() if value is not None}
    answers: list[httpx.Response] = []

    def answered() -> bool:
        answers.append(proxy.options(path, headers=asked))
        return answers[-1].status_code == 200

    wait(answered, 10, "the one that answers")
    assert answers[-1].json()["name"] == api


def test_the_client_is_named_by_the_proxy_alone(proxy):
    sent = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    seen = proxy.get("/people", headers=sent).json()["headers"]
    assert (seen["X-Forwarded-For"], seen["X-Forwarded-Proto"]) == (LOOPBACK, "http")


@pytest.mark.parametrize(
    ("trusted", "sent", "client"),
    [
        ("10.0.0.0/8 127.0.0.1", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("127.0.0.0/8", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.0/8", "203.0.113.7", LOOPBACK),
        ("127.0.0.1", "", LOOPBACK),
    ],
)
def test_behind_another_proxy_the_client_is_the_last_that_is_not_trusted(
    servers, tmp_path, trusted, sent, client
):
    (port,) = free_ports(1)
    address = f"http://{LOOPBACK}:{port}"
    with (
        running(servers, tmp_path, ROLLCALL_SITES=address, ROLLCALL_TRUSTED_PROXIES=trusted),
        httpx.Client(base_url=address, timeout=20) as behind,
    ):
        wait(lambda: ready(behind), 20, "the proxy")
        seen = behind.get("/people", headers={"X-Forwarded-For": sent} if sent else {}).json()["headers"]
        assert seen["X-Forwarded-For"] == client


def test_under_a_domain_s_name_it_speaks_https_and_inside_it_stays_what_it_was(servers, tmp_path):
    plain, secure, inside = free_ports(3)
    # Certificates of its own making, since none can be fetched here.
    options = (
        f"local_certs\nskip_install_trust\nhttp_port {plain}\nhttps_port {secure}\ndefault_bind {LOOPBACK}"
    )
    sites = f"people.example, http://:{inside}"
    there = {"headers": {"Host": "people.example"}, "extensions": {"sni_hostname": "people.example"}}
    with (
        running(servers, tmp_path, options, ROLLCALL_SITES=sites),
        httpx.Client(base_url=f"https://{LOOPBACK}:{secure}", verify=False, timeout=20) as outer,
        httpx.Client(base_url=f"http://{LOOPBACK}:{inside}", timeout=20) as inner,
    ):

        def certified() -> bool:
            try:
                return outer.get("/readyz", **there).status_code == 200
            except httpx.TransportError:
                return False

        wait(lambda: ready(inner), 20, "the proxy")
        wait(certified, 20, "its certificate")
        answer = outer.get("/people", **there)
        assert answer.json()["headers"]["X-Forwarded-Proto"] == "https"
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        refused = outer.request("TRACE", "/people", **there)
        assert refused.headers["Strict-Transport-Security"] == answer.headers["Strict-Transport-Security"]
        assert spoken(secure) == ("TLSv1.3", True)
        assert spoken(secure, ssl.TLSVersion.TLSv1_2) == ("TLSv1.2", True)
        for newest, ciphers, alert in (
            (ssl.TLSVersion.TLSv1_1, "ALL", "ALERT_PROTOCOL_VERSION"),
            (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA", "ALERT_HANDSHAKE_FAILURE"),
        ):
            with pytest.raises(ssl.SSLError, match=alert):
                spoken(secure, newest, f"{ciphers}:@SECLEVEL=0")
        keys = inner.get("/.well-known/jwks.json", headers={"Host": "proxy:8080"})
        assert keys.json()["name"].startswith("command-api-")
        moved = httpx.get(f"http://{LOOPBACK}:{plain}/people", headers={"Host": "people.example"})
        assert (moved.status_code, moved.headers["Location"]) == (308, "https://people.example/people")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("TRACE", "/people", 405), ("GET", "/metrics", 404), ("POST", "/people", 413)],
)
def test_what_the_proxy_answers_itself_has_the_headers_of_the_apis(proxy, method, path, status):
    answer = proxy.request(method, path, content=b" " * (16 * 10**6 + 1) if status == 413 else None)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    # It denies framing by its policy.
    kept = [
        field for field in ALWAYS if field[0] not in (b"x-frame-options", b"cross-origin-resource-policy")
    ]
    assert len(kept) == 4
    for name, value in kept:
        assert answer.headers[name.decode()] == value.decode(), name


def test_a_stream_is_passed_on_as_it_comes(proxy, servers):
    with proxy.stream("GET", "/stream") as answer:
        parts = answer.iter_text()
        assert next(parts) == "data: first\n\n"
        servers["query-api-2"].seen_first.set()
        assert "".join(parts) == "data: second\n\n"


def test_a_body_has_a_limit_but_for_imports(proxy):
    body = b" " * (16 * 10**6 + 1)
    wait(lambda: proxy.post("/people/import", content=body).status_code == 200, 10, "the import")
    refused = proxy.post("/people", content=body)
    assert (refused.status_code, refused.headers["Content-Type"]) == (413, "application/problem+json")


def test_the_configuration_is_in_its_own_form():
    done = subprocess.run(
        [caddy(), "fmt", "--diff", str(ROOT / "proxy" / "Caddyfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    changed = [line for line in done.stdout.splitlines() if re.match(r"[-+](?![-+])", line)]
    assert (done.returncode, changed) == (0, [])


def test_an_answer_that_begins_before_its_request_has_ended_cuts_nothing_off(proxy):
    begun = "/people/import?early"
    # The tests before let the proxy give up some replicas for a while.
    wait(lambda: proxy.post(begun, content=b"x").status_code == 202, 10, "a replica")
    for _ in range(4):
        answer = proxy.post(begun, content=b"x" * 20_000_000)
        assert (answer.status_code, answer.text) == (202, "begun ended")
