"""The compose file's own command lines, files and environments, run on loopback (see loopback.py)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest
import yaml
from pymongo import MongoClient

from devstack.servers.mongod import find_mongod
from operations.env import variables
from service_kit.auth.signing import read_key
from service_kit.auth.tokens import SCOPES, issue_token
from tests.compose.composefile import ROOT, ComposeFile
from tests.compose.loopback import Loopback, wait
from tests.pictures import photo
from tests.system import new_person


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Iterator[Loopback]:
    """Databases and brokers, initialised."""
    stack = Loopback(ComposeFile.load(variables()), tmp_path_factory.mktemp("compose"))
    brokers = list(stack.file.image("rabbitmq"))
    try:
        stack.start_port_mapper()
        for name in brokers:
            stack.start_broker(name)
        for name in stack.file.running("mongod"):
            stack.start(name, stack.mongod(name))
        for name in stack.file.running("mongos"):
            stack.start(name, stack.router(name))
        stack.changes = stack.initialise()
        for name in brokers:
            wait(lambda name=name: stack.healthy(name), 60, f"{name} is healthy")
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def proxy(here) -> Iterator[httpx.Client]:
    """The services and the proxy, and a client of it with every scope."""
    ours = [n for n in here.file.image("rollcall") if n != "initialise"]
    for name in ours:
        here.start_ours(name)
    address = here.start_proxy()
    for name in ours:
        wait(lambda name=name: probe(here, name), 40, f"{name} is ready")
    signer = read_key(here.file.environ["ROLLCALL_SIGNING_KEY"].encode())
    token = issue_token(
        key=signer.private,
        kid=signer.kid,
        algorithm="EdDSA",
        issuer="rollcall",
        audience="rollcall",
        subject="tester",
        scopes=SCOPES,
        ttl_seconds=3600,
    )
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=40) as client:
        wait(lambda: client.get("/readyz").status_code == 200, 20, "the proxy passes on")
        yield client


def probe(here: Loopback, service: str) -> bool:
    """Run the image's health check as in the container; whether it passes."""
    done = subprocess.run(
        [sys.executable, "-m", "service_kit.http.probe"],
        env=here.our_environment(service),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


FILE = ComposeFile.load(variables())


@pytest.mark.parametrize("name", FILE.running("mongod"))
def test_a_members_command_line_is_one_that_mongod_understands(name):
    command = [str(find_mongod()), *FILE.services[name]["command"][1:], "--outputConfig"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    understood = yaml.safe_load(done.stdout.replace("outputConfig: true\n", ""))
    assert understood["security"]["keyFile"] == "/run/secrets/mongo_key"
    assert understood["sharding"]["clusterRole"] in {"configsvr", "shardsvr"}
    assert understood["net"] == {"bindIp": "*", "port": 27017}


def test_the_initialiser_makes_the_cluster_once(here):
    assert "initiated replica set shard-2 of 3 members" in here.changes
    assert here.initialise() == "nothing changed\n"
    with MongoClient("127.0.0.1", here.port("mongos-2", 27017)) as client:
        shards = {shard["_id"] for shard in client.config.shards.find()}
    assert shards == {"shard-1", "shard-2"}


def ctl(here: Loopback, *arguments: str) -> str:
    done = subprocess.run(
        ["rabbitmqctl", "-q", *arguments],
        env=here.broker_environment("rabbitmq-1"),
        cwd=here.place("rabbitmq-1"),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_the_services_users_of_the_broker_are_the_only_ones(here):
    users = json.loads(ctl(here, "list_users", "--formatter", "json"))
    names = ("rollcall-command", "rollcall-query", "rollcall-worker")
    assert sorted(users, key=str) == [{"user": name, "tags": []} for name in names]


def test_every_queue_is_on_all_three_brokers(here, proxy):
    queues = json.loads(ctl(here, "list_queues", "name", "members", "--formatter", "json"))
    counts = {
        queue["name"]: len(queue["members"]) for queue in queues if queue["name"].startswith("commands.")
    }
    assert len(counts) >= 8
    assert set(counts.values()) == {3}


def test_a_person_is_created_through_the_proxy_and_read_back(proxy):
    created = proxy.post("/people", json=new_person(), headers={"Prefer": "wait=20"})
    assert created.status_code == 201, created.text
    person = created.json()
    read = proxy.get(f"/people/{person['id']}", params={"min_version": 1})
    assert (read.status_code, read.json()) == (200, person)
    accepted = proxy.patch(f"/people/{person['id']}", json={"occupation": "Engineer"})
    assert accepted.status_code == 202
    # The address of its status is on the same host.
    wait(lambda: proxy.get(accepted.headers["Location"]).status_code == 200, 10, "the command's status")
    gone = proxy.delete(f"/people/{person['id']}", headers={"Prefer": "wait=20"})
    assert gone.status_code == 200


def test_an_image_goes_through_the_proxy_both_ways(proxy):
    waiting = {"Prefer": "wait=20"}
    path = f"/people/{proxy.post('/people', json=new_person(), headers=waiting).json()['id']}"
    changed = proxy.patch(f"{path}/image", files={"file": ("me.jpg", photo())}, headers=waiting)
    assert changed.status_code == 200, changed.text
    shown = proxy.get(changed.json()["image_url"], headers={"Range": "bytes=0-2"})
    assert (shown.status_code, shown.content) == (206, b"\xff\xd8\xff")
    # A ticket names the address that the client knows.
    ticket = proxy.post(f"{path}/image/upload-ticket").json()
    assert ticket["url"].startswith(f"{str(proxy.base_url).rstrip('/')}/images/uploads?ticket=")
    assert httpx.post(ticket["url"], files={"file": photo("PNG")}, timeout=40).status_code == 201
    done = proxy.post(ticket["confirm"], json={"ticket": ticket["ticket"]}, headers=waiting)
    assert done.json()["image_url"] != changed.json()["image_url"]


def test_the_log_names_the_client_and_not_the_proxy(proxy):
    with httpx.Client(
        base_url=proxy.base_url,
        headers={**proxy.headers, "X-Forwarded-For": "203.0.113.7", "Prefer": "wait=20"},
        transport=httpx.HTTPTransport(local_address="127.0.0.9"),
        timeout=40,
    ) as client:
        created = client.post("/people", json=new_person())
    assert created.status_code == 201, created.text
    history = proxy.get(f"/people/{created.json()['id']}/history", params={"consistency": "strong"})
    (event,) = history.json()["items"]
    assert event["source_address"] == "127.0.0.9"


def test_the_first_administrator_logs_in_through_the_proxy(here, proxy):
    line = [sys.executable, "-m", "operations", "accounts", "add", "admin", "--roles", "admin"]
    environment = here.our_environment("command-api-1")
    done = subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    body = {"name": "admin", "password": done.stdout.strip(), "new_password": "violet tractor sings"}
    tokens = proxy.post("/auth/login", json=body)
    assert tokens.status_code == 200, tokens.text
    assert len(proxy.get("/.well-known/jwks.json").json()["keys"]) == 2
    bearer = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    found = proxy.get("/events?type=account.*&consistency=strong", headers=bearer)
    assert [event["type"] for event in found.json()["items"]] == [
        "account.logged_in",
        "account.password_changed",
        "account.created",
    ]


def test_both_apis_show_their_own_pages(proxy):
    assert '"/openapi.json"' in proxy.get("/docs").text
    assert proxy.get("/openapi.json").json()["info"]["title"] == "Rollcall query API"
    assert '"/command/openapi.json"' in proxy.get("/command/docs").text
    document = proxy.get("/command/openapi.json").json()
    assert document["info"]["title"] == "Rollcall command API"
    # What its page tries out goes to the address without the prefix, which is ours too.
    assert "servers" not in document


@pytest.mark.parametrize("path", ["/", "/command/"])
def test_a_page_links_only_what_the_proxy_passes_on(proxy, path):
    links = proxy.get(path).json()["links"]
    assert {link: proxy.get(link).status_code for link in links} == dict.fromkeys(links, 200)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/command/metrics",
        "//metrics",
        "/%6detrics",
        "/metrics/",
        "/command/%6Detrics",
        "/command//metrics",
        "/command/command/metrics",
    ],
)
def test_metrics_are_not_public(proxy, path):
    # The whole address: of `//metrics` alone, `metrics` would be the host.
    assert proxy.get(f"{str(proxy.base_url).rstrip('/')}{path}").status_code == 404


def test_what_the_proxy_itself_refuses_is_a_problem(proxy):
    refused = proxy.request("TRACE", "/people")
    assert refused.status_code == 405
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["status"] == 405


def test_nobody_notices_an_api_that_dies(here, proxy):
    here.children["command-api-1"].kill()
    here.children["query-api-2"].kill()

    def create(_):
        # What had been sent to the one that died is 502, and repeated by the client.
        body, headers = new_person(), {"Prefer": "wait=20", "Idempotency-Key": str(uuid4())}
        created = proxy.post("/people", json=body, headers=headers)
        if created.status_code == 502:
            created = proxy.post("/people", json=body, headers=headers)
        return created.status_code, proxy.get(f"/people/{created.json()['id']}?min_version=1").status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(create, range(20))) == {(201, 200)}
