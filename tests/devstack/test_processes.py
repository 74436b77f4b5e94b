import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from devstack.processes import Child, stop_all, wait_until
from devstack.records import ProcessRecord, end_leftovers, load, start_time
from operations.errors import SetupError

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); time.sleep(60)",
]


def child(tmp_path: Path, argv: list[str] = SLEEP, name: str = "sleeper") -> Child:
    return Child(name, argv, log=tmp_path / f"{name}.log", run=tmp_path)


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while start_time(pid) is not None:
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def test_a_running_child_is_recorded_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    one = child(tmp_path)
    one.start()
    assert [(r.name, r.pid, r.alive) for r in load(tmp_path)] == [("sleeper", one.pid, True)]
    one.stop()
    assert not one.running
    assert one.status == -signal.SIGTERM
    assert load(tmp_path) == []


def test_a_child_that_does_not_stop_in_time_is_killed(tmp_path: Path) -> None:
    deaf = child(tmp_path, STUBBORN)
    deaf.start()
    wait_until(lambda: deaf.last_words() == "deaf", [deaf], what="child", timeout_s=10)
    began = time.monotonic()
    stop_all([deaf], 0.3)
    assert deaf.status == -signal.SIGKILL
    assert time.monotonic() - began < 5


def test_waiting_for_a_child_that_ends_names_its_last_words_and_its_log(tmp_path: Path) -> None:
    broken = child(tmp_path, [sys.executable, "-c", "raise SystemExit('no such planet')"])
    broken.start()
    with pytest.raises(SetupError, match=r"status 1: no such planet\): see .*sleeper.log"):
        wait_until(lambda: False, [broken], what="planet", timeout_s=10)


def test_waiting_has_an_end(tmp_path: Path) -> None:
    one = child(tmp_path)
    one.start()
    try:
        with pytest.raises(SetupError, match="The dream was not ready within 0 s"):
            wait_until(lambda: False, [one], what="dream", timeout_s=0.2)
    finally:
        one.kill()


def test_a_program_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="/nowhere/mongod cannot be started"):
        child(tmp_path, ["/nowhere/mongod"]).start()


def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from devstack.processes import Child;"
        "c = Child('orphan', [sys.executable, '-c', 'import time; time.sleep(60)'],"
        " log=Path(sys.argv[1]) / 'log'); c.start(); print(c.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        assert start_time(orphan) is not None
        parent.kill()
    wait_for_end(orphan)


def test_leftovers_are_ended_even_deaf_ones(tmp_path: Path) -> None:
    polite, deaf = child(tmp_path), child(tmp_path, STUBBORN, "deaf")
    polite.start()
    deaf.start()
    wait_until(lambda: deaf.last_words() == "deaf", [deaf], what="child", timeout_s=10)
    assert {r.name for r in end_leftovers(tmp_path, patience_s=0.3)} == {"sleeper", "deaf"}
    assert (polite.status, deaf.status) == (-signal.SIGTERM, -signal.SIGKILL)
    assert end_leftovers(tmp_path) == []


def test_a_process_that_only_has_the_same_id_is_left_alone(tmp_path: Path) -> None:
    other = child(tmp_path)
    other.start()
    try:
        [record] = load(tmp_path)
        replace(record, started=record.started - 1).save(tmp_path)
        assert end_leftovers(tmp_path) == []
        replace(record, boot="another").save(tmp_path)
        assert end_leftovers(tmp_path) == []
        assert other.running
    finally:
        other.kill()


def test_an_unreadable_record_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "torn.process").write_text('{"name": "to')
    assert load(tmp_path) == []
    assert end_leftovers(tmp_path) == []


def test_the_record_of_this_process_is_alive() -> None:
    me = ProcessRecord.of("me", os.getpid())
    assert me is not None
    assert me.alive


def test_no_child_leaves_its_memory_in_a_core_dump(tmp_path: Path) -> None:
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE), flush=True)"
    one = child(tmp_path, [sys.executable, "-c", program])
    one.start()
    assert one.wait(time.monotonic() + 10)
    assert one.last_words() == "(0, 0)"
