"""What an unfinished first start left is put aside; what a finished one made is never touched."""

import argparse
import shutil
from pathlib import Path

import pytest

from cli.running import reset
from local import first_start
from local.errors import SetupError
from local.places import Places
from service_kit.topology import queues


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(tmp_path, tmp_path / "state")
    found.create()
    return found


def broker(places: Places, *names: bytes) -> Path:
    """Make the lists of what a node holds."""
    folder = places.data / "rabbitmq"
    for system, content in (("quorum", b" ".join(names)), ("coordination", b"rabbit_stream_coordinator")):
        path = folder / "mnesia" / "rollcall@localhost" / system / "rollcall@localhost" / "names.dets"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return folder


def test_a_first_start_that_was_cut_off_is_put_aside(places: Places, capsys) -> None:
    first_start.begin(places)
    (places.data / "half").touch()
    first_start.begin(places)
    assert not (places.data / "half").exists()
    assert (places.state / "data.unfinished-1" / "half").exists()
    assert "this one begins anew" in capsys.readouterr().err


def test_nothing_that_was_put_aside_is_ever_removed(places: Places) -> None:
    first_start.begin(places)
    for number in (1, 2, 3):
        (places.data / "half").write_text(str(number))
        first_start.begin(places)
    kept = {path.name: (path / "half").read_text() for path in places.state.glob("data.*")}
    assert kept == {f"data.unfinished-{number}": str(number) for number in (1, 2, 3)}


def test_data_that_was_restored_in_place_of_an_unfinished_start_s_stays(places: Places) -> None:
    first_start.begin(places)
    shutil.rmtree(places.data)
    places.data.mkdir()
    (places.data / "mongo").write_text("restored")
    for _ in range(2):
        first_start.begin(places)
        assert (places.data / "mongo").read_text() == "restored"
    first_start.finish(places, places.data / "rabbitmq", 2, pause=lambda _: None)


def test_a_reset_of_an_empty_start_keeps_what_an_earlier_one_put_aside(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLCALL_STATE_DIR", str(places.state))
    (places.data / "mongo").write_text("good")
    reset(argparse.Namespace(purge=False))
    places.create()
    first_start.begin(places)
    reset(argparse.Namespace(purge=False))
    assert (places.state / "data.before-reset" / "mongo").read_text() == "good"


def test_data_of_a_finished_start_or_an_earlier_version_stays(places: Places) -> None:
    first_start.begin(places)
    names = [f"%2F_{queue.name}".encode() for queue in queues(2)]
    first_start.finish(places, broker(places, *names), 2, pause=lambda _: None)
    first_start.begin(places)
    assert (places.data / "rabbitmq" / "mnesia").is_dir()
    assert not first_start.unfinished(places)


def test_it_is_not_finished_while_the_broker_has_not_listed_its_queues(places: Places, monkeypatch) -> None:
    monkeypatch.setattr(first_start, "_WRITTEN_S", 0.0)
    first_start.begin(places)
    with pytest.raises(SetupError, match="does not write its queues to disk"):
        first_start.finish(places, broker(places, b"%2F_commands.0"), 2, pause=lambda _: None)
    assert first_start.unfinished(places)
