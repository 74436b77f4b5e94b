import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import httpx
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from devstack.demo.sending import send_people
from devstack.servers.ports import is_free
from events.person.schema.reading import default_schema
from operations.accounts.signing_keys import ensure_signing_key
from tests.devstack.conftest import RUN, Machine


def eventually(question: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not question():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def wait_ready(machine: Machine, process: subprocess.Popen[bytes]) -> None:
    def ready() -> bool:
        assert process.poll() is None, machine.said
        return "Stop with Ctrl-C" in machine.said

    # Long after a quiet machine has done it; should it end first, that is told at once.
    eventually(ready, 300, "not ready, see what it said")


def curl_lines(machine: Machine) -> list[str]:
    return [line for line in machine.said.splitlines() if line.startswith("curl ")]


def paste(line: str) -> dict[str, object]:
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_up_serves_survives_a_restart_and_leaves_nothing_behind(machine: Machine) -> None:
    first = machine.up("--workers", "2")
    wait_ready(machine, first)
    login, create, page, search = curl_lines(machine)
    tokens = paste(login.replace('"…"', '"violet tractor sings"'))
    assert "ops" in str(tokens["scope"])
    answered = paste(create)
    eventually(lambda: paste(search)["count"] == 1, 120, "the search does not find her")
    (created,) = cast("list[dict[str, object]]", paste(page)["items"])
    assert (created["first_name"], created["version"]) == ("Ada", 1)
    # A machine that is too busy to decide within the time that the command waits says whom it will make.
    assert created["id"] == answered.get("id", answered.get("person_id"))

    status = machine.run("status")
    assert status.returncode == 0, status.stdout
    assert "worker-1" in status.stdout
    broker = machine.run("broker")
    assert re.fullmatch(
        rf"amqp://rollcall-subscriber:[0-9a-f]+@127\.0\.0\.1:{machine.ports[3]}/\n", broker.stdout
    )
    letters = machine.run("dead-letters", "list")
    assert (letters.returncode, letters.stderr) == (0, "Nobody is parked, and no message is dead.\n")
    verified = machine.run("verify", "--jobs", "1")
    assert (verified.returncode, "nothing was altered" in verified.stderr) == (0, True), verified.stderr
    assert_only_users_are_let_in(machine)
    second = machine.run("up")
    assert (second.returncode, second.stdout) == (1, "")
    assert f"running already (process {first.pid}" in second.stderr
    assert machine.run("reset").returncode == 1
    assert machine.run("accounts", "list").stdout == "admin\tadmin\tactive\n"
    assert machine.run("accounts", "rotate-key").returncode == 0
    kek = machine.state / "secrets" / "kek"
    made = kek.read_text()
    listed = machine.run("keys", "list")
    assert (listed.returncode, f"{made.split()[0]}  current" in listed.stdout) == (0, True), listed.stderr
    assert made.split()[1] not in listed.stdout + listed.stderr + machine.said
    # Known to all before one wraps under it; here all are restarted at once.
    assert machine.run("keys", "add").returncode == 0
    other = kek.read_text().split()[2]

    down = machine.run("down")
    assert down.returncode == 0
    assert first.wait(60) == 0
    assert machine.processes() == []
    assert all(is_free(port) for port in machine.ports)

    assert machine.run("keys", "use", other).returncode == 0
    third = machine.up()
    wait_ready(machine, third)
    for words in (("rotate",), ("retire", made.split()[0])):
        done = machine.run("keys", *words)
        assert done.returncode == 0, done.stderr
    assert (kek.read_text().split()[0], kek.stat().st_mode & 0o777) == (other, 0o600)
    assert "First administrator" not in machine.said
    assert [p["id"] for p in paste(curl_lines(machine)[-2])["items"]] == [created["id"]]  # type: ignore[attr-defined]
    # Ctrl-C twice, by someone impatient.
    os.killpg(third.pid, signal.SIGINT)
    time.sleep(0.2)
    os.killpg(third.pid, signal.SIGINT)
    assert third.wait(60) == 0
    assert machine.processes() == []


def assert_only_users_are_let_in(machine: Machine) -> None:
    """On loopback too, MongoDB's members ask who comes; each service comes as a user of its own."""
    uri = machine.run("mongo", "--uri").stdout.strip()
    with MongoClient[dict[str, object]](uri) as operator:
        assert operator.rollcall.people.count_documents({}) == 1
    with MongoClient[dict[str, object]]("127.0.0.1", machine.ports[0], directConnection=True) as stranger:
        for attempt in (
            lambda: stranger.rollcall.people.find_one(),
            lambda: stranger.admin.command("listDatabases"),
        ):
            with pytest.raises(OperationFailure, match="requires authentication"):
                attempt()
    for name, user in (("command-api", "command"), ("query-api", "query"), ("worker-1", "worker")):
        pid = json.loads((machine.state / "run" / f"{name}.process").read_text())["pid"]
        environ = Path(f"/proc/{pid}/environ").read_text().split("\0")
        for setting in ("ROLLCALL_MONGO_URI", "ROLLCALL_AMQP_URL"):
            (address,) = [one for one in environ if one.startswith(f"{setting}=")]
            assert f"//rollcall-{user}:" in address
    secrets = [path for path in (machine.state / "secrets").rglob("*") if path.is_file()]
    assert len(secrets) > 5
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}


def test_what_a_killed_up_leaves_is_ended_and_a_dead_worker_is_replaced(machine: Machine) -> None:
    process = machine.up()
    wait_ready(machine, process)
    record = json.loads((machine.state / "run" / "worker-0.process").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    eventually(lambda: machine.run("status").returncode == 0, 120, "the worker did not come back")
    assert "worker-0 ended (status -9); starting it again in 1 s" in machine.said

    process.kill()
    process.wait()
    assert machine.run("status").returncode == 3
    assert machine.run("down").returncode == 0
    assert machine.processes() == []
    assert all(is_free(port) for port in machine.ports)


def test_up_sharded_with_three_brokers_serves_and_its_data_stays_what_it_is(machine: Machine) -> None:
    process = machine.up("--sharded", "--brokers", "3", "--demo")
    wait_ready(machine, process)
    assert "500 of 500 people accepted" in machine.said
    assert "the development router does not authenticate" in machine.said
    *_, page, search = curl_lines(machine)
    eventually(lambda: len(paste(page)["items"]) == 5, 120, "the demo people are not there")  # type: ignore[arg-type]
    assert paste(search)["count"] > 0  # type: ignore[operator]
    status = machine.run("status")
    assert status.returncode == 0, status.stdout
    for part in ("mongod-config-0", "mongod-shard-1-1", "mongod-shard-2-0", "router", "rabbitmq-2"):
        assert part in status.stdout
    # What dies is started again, the router too.
    record = json.loads((machine.state / "run" / "router.process").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    eventually(lambda: machine.run("status").returncode == 0, 120, "the router did not come back")
    assert machine.run("down").returncode == 0
    assert process.wait(60) == 0
    assert machine.processes() == []
    assert all(is_free(port) for port in machine.ports)

    for options, words in (
        ((), "is that of a sharded cluster: start with `--sharded`"),
        (("--sharded", "--shards", "1"), "shard-2 would be missing: start it with `--shards 2`"),
        (("--sharded",), "is that of 3 nodes, which cannot run as 1"),
    ):
        refused = machine.run("up", *options)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert words in refused.stderr
        assert machine.processes() == []


def test_other_partitions_are_refused_and_a_moved_state_has_people_and_commands_that_wait(
    machine: Machine,
) -> None:
    process = machine.up()
    wait_ready(machine, process)
    paste(curl_lines(machine)[1])
    token = machine.run("token", "--sub", "mover").stdout.strip()
    worker = json.loads((machine.state / "run" / "worker-0.process").read_text())["pid"]
    os.kill(worker, signal.SIGSTOP)
    assert send_people(machine.url_of("COMMAND"), token, default_schema(), 20) == (20, 0)
    down = subprocess.Popen([str(RUN), "down"], env=machine.env, cwd=machine.state.parent)
    eventually(lambda: "Stopping" in machine.said, 120, "it does not stop")
    os.kill(worker, signal.SIGKILL)
    assert (down.wait(60), process.wait(60)) == (0, 0)

    machine.env["ROLLCALL_PARTITIONS"] = "4"
    refused = machine.run("up")
    assert (refused.returncode, machine.processes()) == (1, [])
    assert refused.stderr.endswith(
        "RabbitMQ was set up with another number of partitions than 4: set ROLLCALL_PARTITIONS as it was, or "
        "begin anew with `./run reset`.\n"
    )
    del machine.env["ROLLCALL_PARTITIONS"]

    moved = machine.state.with_name("moved")
    machine.state.rename(moved)
    machine.env["ROLLCALL_STATE_DIR"] = str(moved)
    wait_ready(machine, machine.up())
    client = httpx.Client(base_url=machine.url_of("QUERY"), headers={"Authorization": f"Bearer {token}"})
    with client:
        eventually(lambda: count(client) == 21, 120, "what waited is not applied")
        people = {one["id"] for one in client.get("/people?limit=50&consistency=strong").json()["items"]}
        with client.stream("GET", "/events/stream?from=first", timeout=30) as feed:
            told = (json.loads(line[6:]) for line in feed.iter_lines() if line.startswith("data: "))
            assert {next(told)["subject"] for _ in range(21)} == people
    assert not machine.state.exists()


def count(client: httpx.Client) -> int:
    return len(client.get("/people?limit=50").json()["items"])


@pytest.mark.parametrize(
    ("variable", "option"), [("ROLLCALL_MONGO_URI", "--sharded"), ("ROLLCALL_AMQP_URL", "--brokers")]
)
def test_servers_of_the_user_and_a_cluster_of_our_own_contradict(
    machine: Machine, variable: str, option: str
) -> None:
    machine.env[variable] = "mongodb://127.0.0.1:1" if "MONGO" in variable else "amqp://a:b@127.0.0.1:1"
    refused = machine.run("up", option, *(["3"] if option == "--brokers" else []))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{option} starts servers of its own, and {variable} names others" in refused.stderr


def test_an_interrupt_while_starting_leaves_nothing_behind(machine: Machine) -> None:
    process = machine.up()
    eventually(lambda: "Starting RabbitMQ" in machine.said, 120, "it did not start")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert machine.processes() == []
    assert list((machine.state / "run").glob("*.process")) == []


@pytest.mark.parametrize(
    ("variable", "owner"),
    [
        ("ROLLCALL_COMMAND_PORT", "command API"),
        ("ROLLCALL_WORKER_PORT", "worker 0"),
        ("ROLLCALL_LOCAL_PORTS", "MongoDB member 0"),
    ],
)
def test_a_port_in_use_is_one_sentence_and_nothing_is_started(
    machine: Machine, variable: str, owner: str
) -> None:
    port = int(machine.env[variable])
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        refused = machine.run("up")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.strip() == (
        f"Port {port}, which the {owner} needs, is in use by another program: stop that program, "
        f"or set {variable} to a free port."
    )
    assert machine.processes() == []
    assert list((machine.state / "data").iterdir()) == []


def test_no_token_is_made_without_a_key_or_a_log_that_tells_of_it(machine: Machine) -> None:
    no_key = machine.run("token", "--sub", "ada", "--scopes", "people:read")
    assert (no_key.returncode, no_key.stdout) == (1, "")
    assert "run `./run up` first" in no_key.stderr

    ensure_signing_key(machine.state / "secrets" / "signing-keys", "EdDSA")
    no_log = machine.run("token", "--sub", "ada", "--scopes", "people:read people:write")
    assert (no_log.returncode, no_log.stdout) == (1, "")
    assert "No database is known here" in no_log.stderr


def test_a_wrong_command_line_is_a_usage_error(machine: Machine) -> None:
    done = machine.run("up", "--workers", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: ./run" in done.stderr


def test_what_runs_not_can_be_asked_stopped_and_reset(machine: Machine) -> None:
    assert machine.run("status").returncode == 3
    assert machine.run("broker").returncode == 1
    assert "is not running" in machine.run("down").stderr
    (machine.state / "data" / "mongo").mkdir()
    assert machine.run("reset").returncode == 0
    assert not (machine.state / "data").exists()
    assert (machine.state / "data.before-reset" / "mongo").is_dir()
    assert machine.run("reset", "--purge").returncode == 0
    assert not (machine.state / "data.before-reset").exists()


def test_a_state_directory_that_cannot_be_made_is_one_sentence(machine: Machine) -> None:
    machine.state.write_text("a file")
    done = machine.run("status")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "ROLLCALL_STATE_DIR" in done.stderr
