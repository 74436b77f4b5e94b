"""Where the verbs for operators find the log."""

import json

import pytest

from cli.proof import log_address
from local.errors import SetupError

SET = [{"name": f"mongod-{n}", "kind": "mongod", "port": 27310 + n} for n in range(3)]
ROUTER = {"name": "router", "kind": "router", "port": 27340}


@pytest.fixture
def described(tmp_path, monkeypatch):
    """Writes down what runs, as `up` does."""
    monkeypatch.setenv("ROLLCALL_STATE_DIR", str(tmp_path))
    for name in ("ROLLCALL_MONGO_URI", "ROLLCALL_MONGO_DB"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "run").mkdir()
    return lambda parts: (tmp_path / "run" / "up.json").write_text(json.dumps(parts))


def test_it_is_what_up_runs(described):
    described(SET)
    hosts = "127.0.0.1:27310,127.0.0.1:27311,127.0.0.1:27312"
    assert log_address().uri == f"mongodb://{hosts}/?replicaSet=rollcall"
    assert log_address().database == "rollcall"
    described([*SET, ROUTER])
    assert log_address().uri == "mongodb://127.0.0.1:27340/"


def test_a_setting_wins(described, monkeypatch):
    described(SET)
    monkeypatch.setenv("ROLLCALL_MONGO_URI", "mongodb://elsewhere/")
    monkeypatch.setenv("ROLLCALL_MONGO_DB", "other")
    assert (log_address().uri, log_address().database) == ("mongodb://elsewhere/", "other")
    assert "elsewhere" not in repr(log_address())


@pytest.mark.parametrize("parts", [None, [], [{"name": "MongoDB", "kind": "yours"}]])
def test_where_there_is_none_it_says_what_to_do(described, parts):
    if parts is not None:
        described(parts)
    with pytest.raises(SetupError, match="ROLLCALL_MONGO_URI"):
        log_address()
