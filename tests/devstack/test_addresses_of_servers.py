"""Where `./run` says that the servers are, to the verbs for operators."""

import json
import os

import pytest

from devstack.parts import operators_environment
from devstack.paths import Paths
from operations.addresses import DatabaseAddress, database_address
from operations.errors import SetupError

SET = [{"name": f"mongod-{n}", "kind": "mongod", "port": 27310 + n} for n in range(3)]
ROUTER = {"name": "router", "kind": "router", "port": 27340}


@pytest.fixture
def described(tmp_path, monkeypatch):
    """Writes down what runs, as `up` does."""
    monkeypatch.setenv("ROLLCALL_STATE_DIR", str(tmp_path))
    for name in ("ROLLCALL_MONGO_URI", "ROLLCALL_MONGO_DB"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "run").mkdir()
    return lambda parts: (tmp_path / "run" / "up.json").write_text(
        json.dumps({"parts": parts, "declarations": {}})
    )


def handed_over() -> DatabaseAddress:
    return database_address({**os.environ, **operators_environment(Paths.find(), os.environ)})


def test_it_is_what_up_runs(described):
    described(SET)
    hosts = "127.0.0.1:27310,127.0.0.1:27311,127.0.0.1:27312"
    assert handed_over().uri == f"mongodb://{hosts}/?replicaSet=rollcall"
    assert handed_over().database == "rollcall"
    described([*SET, ROUTER])
    assert handed_over().uri == "mongodb://127.0.0.1:27340/"


def test_a_setting_wins(described, monkeypatch):
    described(SET)
    monkeypatch.setenv("ROLLCALL_MONGO_URI", "mongodb://elsewhere/")
    monkeypatch.setenv("ROLLCALL_MONGO_DB", "other")
    assert (handed_over().uri, handed_over().database) == ("mongodb://elsewhere/", "other")
    assert "elsewhere" not in repr(handed_over())


@pytest.mark.parametrize("parts", [None, [], [{"name": "MongoDB", "kind": "yours"}]])
def test_where_there_is_none_it_says_what_to_do(described, parts):
    if parts is not None:
        described(parts)
    with pytest.raises(SetupError, match="ROLLCALL_MONGO_URI"):
        handed_over()
