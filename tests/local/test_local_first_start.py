"""What an unfinished first start left is put aside; what a finished one made is never touched."""

from pathlib import Path

import pytest

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
    assert list(places.data.iterdir()) == []
    assert (places.state / "data.unfinished" / "half").exists()
    assert "this one begins anew" in capsys.readouterr().err


def test_data_of_a_finished_start_or_an_earlier_version_stays(places: Places) -> None:
    first_start.begin(places)
    names = [f"%2F_{queue.name}".encode() for queue in queues(2)]
    first_start.finish(places, broker(places, *names), 2, pause=lambda _: None)
    first_start.begin(places)
    assert (places.data / "rabbitmq" / "mnesia").is_dir()
    assert not (places.state / "first-start").exists()


def test_it_is_not_finished_while_the_broker_has_not_listed_its_queues(places: Places, monkeypatch) -> None:
    monkeypatch.setattr(first_start, "_WRITTEN_S", 0.0)
    first_start.begin(places)
    with pytest.raises(SetupError, match="does not write its queues to disk"):
        first_start.finish(places, broker(places, b"%2F_commands.0"), 2, pause=lambda _: None)
    assert (places.state / "first-start").exists()
