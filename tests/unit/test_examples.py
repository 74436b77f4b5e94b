"""The examples as somebody meets them at a terminal; no broker is needed for that."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = {
    "ROLLCALL_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/",
    "ROLLCALL_QUERY_URL": "http://127.0.0.1:1",
    "ROLLCALL_SUBSCRIBER_TOKEN_FILE": "token",
}
EXAMPLES = ("mirror_to_csv", "notify_changes")


def start(name: str, folder: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"examples.{name}", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_says_that_it_waits_and_ends_quietly(name, tmp_path):
    with start(name, tmp_path, **NOBODY) as process:
        assert process.stderr.readline() == "Waiting for changes; Ctrl-C ends this.\n"
        assert "broker lost" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in rest


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_without_a_broker_says_where_it_is(name, tmp_path):
    with start(name, tmp_path) as process:
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (1, "Set ROLLCALL_AMQP_URL: `./run broker` prints it.\n")


def test_the_mirror_wants_values_and_says_who_opens_them(tmp_path):
    with start("mirror_to_csv", tmp_path, ROLLCALL_AMQP_URL=NOBODY["ROLLCALL_AMQP_URL"]) as process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said.startswith("Set ROLLCALL_QUERY_URL, and ROLLCALL_SUBSCRIBER_TOKEN_FILE:")


def test_the_mirror_keeps_a_file_that_it_did_not_make(tmp_path):
    export = "id,version,last_name\n0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c,1,Lovelace\n"
    (tmp_path / "people.csv").write_text(export)
    with start("mirror_to_csv", tmp_path, "people.csv", **NOBODY) as process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said.startswith("people.csv is no mirror, an export perhaps")
    assert (tmp_path / "people.csv").read_text() == export
