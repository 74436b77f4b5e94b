"""Nothing that goes wrong on this machine ends the one who looks after all."""

import http.server
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from devstack import services, supervisor
from devstack.paths import Paths
from devstack.processes import Child
from devstack.servers.broken_members import ask
from devstack.supervisor import Stopped, StopRequest
from operations.errors import SetupError

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


class Node:
    """A broker's node that answers as it is told to."""

    name = "a@h"
    server = SimpleNamespace(name="rabbitmq")

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer

    def ctl(self, *_arguments: str, **_options: object) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Passes(StopRequest):
    """Lets some passes of the loop happen."""

    def __init__(self, passes: int) -> None:
        super().__init__()
        self.left = passes

    def pause(self, seconds: float) -> None:
        self.left -= 1
        if not self.left:
            raise Stopped


@pytest.mark.parametrize("broken", ["log", "record"])
def test_a_process_that_cannot_be_written_about_is_told_of_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    (tmp_path / "file").touch()
    missing = tmp_path / "file" / "below"
    log, run = (missing / "log", None) if broken == "log" else (tmp_path / "log", missing)
    child = Child("worker-0", SLEEPER, log=log, run=run)
    clock = iter(range(0, 100_000, 40))
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: next(clock))
    system = SimpleNamespace(children=[child], rabbit=None, services=[])
    try:
        with pytest.raises(Stopped):
            supervisor._watch(system, Passes(8))
        assert "worker-0" in capsys.readouterr().err
        assert child.running == (broken == "record")
        child.kill()
        with pytest.raises(SetupError, match="Not a directory"):
            child.start()
    finally:
        child.kill()


@pytest.mark.parametrize("answer", [OSError(28, "No space left on device"), SetupError("down")])
def test_a_node_that_cannot_be_asked_says_nothing(answer: Exception) -> None:
    assert ask(Node(answer)) is None


@pytest.mark.parametrize("answer", ["", "[]", "{}", "null", '{"disk_nodes": [], "running_nodes": []}'])
def test_a_node_that_is_not_understood_is_told_of(answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(Node(answer)) is None
    assert "rabbitmq: what it says of itself is not understood" in capsys.readouterr().err


def test_a_process_whose_record_stays_is_ended(tmp_path: Path) -> None:
    child = Child("worker-0", SLEEPER, log=tmp_path / "log", run=tmp_path)
    child.start()
    record = tmp_path / "worker-0.process"
    record.unlink()
    record.mkdir()
    child.stop()
    assert not child.running


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"parts": 1}', b"x"])
def test_whatever_answers_in_the_place_of_a_service_is_not_ready(answer: bytes) -> None:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert not services.readiness("127.0.0.1", server.server_port).startswith("ready")
        finally:
            server.shutdown()


def test_all_is_stopped_although_the_description_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_places: Paths) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(supervisor, "forget_description", fails)
    stopped = []
    system = SimpleNamespace(
        prepare=lambda: None, start=lambda _pause: None, stop=lambda: stopped.append(1), environment={}
    )
    paths = Paths(tmp_path, tmp_path / "state")
    stop = StopRequest()
    stop._note(15, None)
    with pytest.raises(OSError, match="Read-only"):
        supervisor.supervise(paths, system, stop, lambda: None)
    assert stopped
