"""What an operator sees: health, readiness, metrics, logs, and how processes start and stop."""

import json
import os
import subprocess
import sys

import httpx
import pytest

from tests.system import ROOT, TEST_KEKS, eventually, new_person

WAIT = {"Prefer": "wait=10"}


@pytest.mark.parametrize("module", ["command_api", "query_api", "workers"])
async def test_health_readiness_and_metrics_need_no_token(services, module):
    async with httpx.AsyncClient(base_url=services[module].url) as client:
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        ready = (await client.get("/readyz")).json()
        assert ready["ready"] is True
        assert set(ready["parts"].values()) == {"ok"}
        assert "rollcall_" in (await client.get("/metrics")).text


async def test_metrics_count_what_happened(system, services, commands):
    person = (await commands.post("/people", json=new_person(), headers=WAIT)).json()
    await commands.patch(f"/people/{person['id']}", json={"gender": "M"}, headers={**WAIT, "If-Match": '"9"'})
    texts = await _metrics(services)
    assert 'rollcall_commands_accepted_total{type="person.create"}' in texts["command_api"]
    worker = await eventually(lambda: _with_depths(services))  # once a second
    for metric in (
        'rollcall_commands_applied_total{type="person.create"}',
        'rollcall_commands_rejected_total{code="version-mismatch"}',
        "rollcall_messages_dead_lettered_total",
        "rollcall_batch_messages_count",
        "rollcall_apply_seconds_bucket",
        'rollcall_queue_messages{queue="commands.0"}',
        'rollcall_queue_messages{queue="commands.dead"}',
    ):
        assert metric in worker
    # A router hides its members: their lag is to be asked of them.
    assert ("rollcall_replication_lag_seconds{member=" in texts["query_api"]) != system.routed
    assert 'route="/people/{person_id}"' in texts["command_api"]


async def _metrics(services) -> dict[str, str]:
    async with httpx.AsyncClient() as client:
        return {name: (await client.get(f"{s.url}/metrics")).text for name, s in services.items()}


async def _with_depths(services) -> str | None:
    text = (await _metrics(services))["workers"]
    return text if 'queue="commands.dead"' in text else None


async def test_logs_are_json_lines_that_bear_the_command_id(services, commands):
    response = await commands.post("/people", json=new_person(), headers=WAIT)
    command_id = response.headers["x-command-id"]
    for name, word in (("command_api", "accepted"), ("workers", "applied")):
        line = await eventually(lambda name=name: _line_of(services[name], command_id))
        assert (line["event"], line["person_id"]) == (word, response.json()["id"])


async def _line_of(service, command_id):
    """Return what a service logged of a command; a worker logs it after it has replied."""
    lines = [json.loads(line) for line in service.words().splitlines()]
    return next((line for line in lines if line.get("command_id") == command_id), None)


async def test_no_secret_and_nothing_personal_is_logged(system, services, commands):
    body = new_person()
    await commands.post("/people", json=body, headers=WAIT)
    for service in services.values():
        words = service.words()
        for secret in (system.key, system.rabbit.url, body["email"], body["phone"]):
            assert secret not in words


BROKEN = [
    ("command_api", {"ROLLCALL_JWT_KEY_FILE": ""}, "ROLLCALL_JWT_KEY_FILE"),
    ("query_api", {"ROLLCALL_JWT_KEY_FILE": ""}, "ROLLCALL_JWT_KEY_FILE"),
    ("command_api", {"ROLLCALL_JWT_KEY_FILE": "/nowhere"}, "/nowhere"),
    ("query_api", {"ROLLCALL_JWT_KEY_FILE": "SHORT"}, "too short"),
    ("workers", {"ROLLCALL_AMQP_URL": ""}, "ROLLCALL_AMQP_URL"),
    ("workers", {"ROLLCALL_AMQP_URL": "amqp://guest:guest@broker.example/"}, "default user"),
    ("workers", {"ROLLCALL_MONGO_URI": ""}, "ROLLCALL_MONGO_URI"),
    ("query_api", {"ROLLCALL_MONGO_URI": ""}, "ROLLCALL_MONGO_URI"),
    *(
        (module, {"ROLLCALL_KEK_FILE": path}, path or "ROLLCALL_KEK_FILE")
        for module in ("command_api", "query_api", "workers")
        for path in ("", "/nowhere")
    ),
]


@pytest.mark.parametrize(("module", "changes", "words"), BROKEN)
def test_no_service_starts_with_a_missing_or_default_secret(tmp_path, module, changes, words):
    whole = {
        "PATH": os.environ["PATH"],
        "ROLLCALL_MONGO_URI": "mongodb://127.0.0.1:1",
        "ROLLCALL_AMQP_URL": "amqp://somebody:something@127.0.0.1:1",
        "ROLLCALL_JWT_KEY_FILE": str(tmp_path / "key"),
        "ROLLCALL_KEK_FILE": str(tmp_path / "keks"),
    }
    keks = tmp_path / "keks"
    keks.write_text("".join(f"{name} {key.hex()}\n" for name, key in TEST_KEKS.items()))
    keks.chmod(0o600)
    (tmp_path / "key").write_text("x" * 32)
    if changes.get("ROLLCALL_JWT_KEY_FILE") == "SHORT":
        (tmp_path / "key").write_text("secret")
        changes = {"ROLLCALL_JWT_KEY_FILE": str(tmp_path / "key")}
    environment = {**whole, **changes}
    ended = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={name: value for name, value in environment.items() if value},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("cannot start: ")
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("prefix", ["", "/command"])
async def test_the_command_api_answers_under_the_prefix_of_a_shared_address(commands, prefix):
    page = (await commands.get(f"{prefix}/docs")).text
    assert f'"{prefix}/openapi.json"' in page
    assert (await commands.get(f"{prefix}/openapi.json")).json()["paths"]["/people"]
    response = await commands.post(f"{prefix}/people", json=new_person(), headers=WAIT)
    assert response.status_code == 201
