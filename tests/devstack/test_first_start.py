"""What an unfinished first start left is put aside; what a finished one made is never touched."""

import argparse
import shutil
from pathlib import Path

import pytest

from devstack import first_start
from devstack.paths import Paths
from devstack.running import reset
from operations.errors import SetupError
from service_kit.broker.topology import queues


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path, tmp_path / "state")
    found.create()
    return found


def broker(paths: Paths, *names: bytes) -> Path:
    """Make the lists of what a node holds."""
    folder = paths.data / "rabbitmq"
    for system, content in (("quorum", b" ".join(names)), ("coordination", b"rabbit_stream_coordinator")):
        path = folder / "mnesia" / "rollcall@localhost" / system / "rollcall@localhost" / "names.dets"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return folder


def test_a_first_start_that_was_cut_off_is_put_aside(paths: Paths, capsys) -> None:
    first_start.begin(paths)
    (paths.data / "half").touch()
    first_start.begin(paths)
    assert not (paths.data / "half").exists()
    assert (paths.state / "data.unfinished-1" / "half").exists()
    assert "this one begins anew" in capsys.readouterr().err


def test_nothing_that_was_put_aside_is_ever_removed(paths: Paths) -> None:
    first_start.begin(paths)
    for number in (1, 2, 3):
        (paths.data / "half").write_text(str(number))
        first_start.begin(paths)
    kept = {path.name: (path / "half").read_text() for path in paths.state.glob("data.*")}
    assert kept == {f"data.unfinished-{number}": str(number) for number in (1, 2, 3)}


def test_data_that_was_restored_in_place_of_an_unfinished_start_s_stays(paths: Paths) -> None:
    first_start.begin(paths)
    shutil.rmtree(paths.data)
    paths.data.mkdir()
    (paths.data / "mongo").write_text("restored")
    for _ in range(2):
        first_start.begin(paths)
        assert (paths.data / "mongo").read_text() == "restored"
    first_start.finish(paths, paths.data / "rabbitmq", 2, pause=lambda _: None)


def test_a_reset_of_an_empty_start_keeps_what_an_earlier_one_put_aside(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLCALL_STATE_DIR", str(paths.state))
    (paths.data / "mongo").write_text("good")
    reset(argparse.Namespace(purge=False))
    paths.create()
    first_start.begin(paths)
    reset(argparse.Namespace(purge=False))
    assert (paths.state / "data.before-reset" / "mongo").read_text() == "good"


def test_data_of_a_finished_start_or_an_earlier_version_stays(paths: Paths) -> None:
    first_start.begin(paths)
    names = [f"%2F_{queue.name}".encode() for queue in queues(2)]
    first_start.finish(paths, broker(paths, *names), 2, pause=lambda _: None)
    first_start.begin(paths)
    assert (paths.data / "rabbitmq" / "mnesia").is_dir()
    assert not first_start.unfinished(paths)


def test_it_is_not_finished_while_the_broker_has_not_listed_its_queues(paths: Paths, monkeypatch) -> None:
    monkeypatch.setattr(first_start, "_WRITTEN_S", 0.0)
    first_start.begin(paths)
    with pytest.raises(SetupError, match="does not write its queues to disk"):
        first_start.finish(paths, broker(paths, b"%2F_commands.0"), 2, pause=lambda _: None)
    assert first_start.unfinished(paths)
