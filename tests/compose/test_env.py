import base64
import re
import stat
import subprocess
import sys

import pytest

from operations.__main__ import main
from operations.env import add_to_env, variables, write_env
from operations.env import main as alone
from operations.errors import SetupError
from service_kit.auth.signing import read_key
from service_kit.broker.users import password_hash
from tests.compose.composefile import ROOT

PASSWORDS = [name for name in variables() if name.endswith("_PASSWORD")]


SETTINGS = [
    *("ROLLCALL_BIND", "ROLLCALL_PORT", "ROLLCALL_TRUSTED_PROXIES"),
    *("ROLLCALL_PERSON_SCHEMA", "ROLLCALL_SIGNUP", "ROLLCALL_ROLES", "ROLLCALL_CORS_ORIGINS"),
    *("ROLLCALL_ERASE_DELETED_AFTER", "ROLLCALL_RATE_ADDRESS", "ROLLCALL_RATE_SUBJECT"),
]
"""The variables that are no secrets."""


def read(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_file_is_its_owners_alone_and_holds_every_variable(tmp_path):
    path = tmp_path / ".env"
    write_env(path, force=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(read(path)) == list(variables())


def test_secrets_are_fresh_each_time():
    first, second = variables(), variables()
    assert [name for name in first if first[name] == second[name]] == SETTINGS


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_password_needs_no_escaping_and_cannot_be_guessed(name):
    assert re.fullmatch(r"[A-Za-z0-9_-]{43,}", variables()[name])


def test_keys_are_of_the_form_that_the_servers_want():
    made = variables()
    assert re.fullmatch(r"[A-Za-z0-9+/=]{6,1024}", made["ROLLCALL_MONGO_KEY"])
    assert re.fullmatch(r"[A-Za-z0-9]{32,255}", made["ROLLCALL_ERLANG_COOKIE"])
    for name in ("ROLLCALL_SIGNING_KEY", "ROLLCALL_SIGNING_KEY_NEXT"):
        assert read_key(made[name].encode()).algorithm == "EdDSA"
    assert re.fullmatch(r"\d{8}-[0-9a-f]{8} [0-9a-f]{64}", made["ROLLCALL_KEK"])
    hashes = {name: value for name, value in made.items() if name.endswith("_HASH")}
    assert len(hashes) == 3
    for name, hashed in hashes.items():
        salt = base64.b64decode(hashed)[:4]
        assert password_hash(made[name.removesuffix("_HASH")], salt) == hashed


def test_a_file_that_is_there_is_kept(tmp_path):
    path = tmp_path / ".env"
    path.write_text("old")
    with pytest.raises(
        SetupError, match="is there, .* `./run env --add` adds .* `./run env --force` makes another"
    ):
        write_env(path, force=False)
    assert path.read_text() == "old"
    write_env(path, force=True)
    assert (tmp_path / ".env.before").read_text() == "old"
    assert "ROLLCALL_SIGNING_KEY" in read(path)


def test_a_file_of_an_earlier_version_gets_what_it_lacks_and_keeps_what_it_has(tmp_path, capsys):
    path = tmp_path / ".env"
    write_env(path, force=False)
    whole = read(path)
    lacking = ["ROLLCALL_RABBITMQ_QUERY_PASSWORD", "ROLLCALL_RABBITMQ_QUERY_PASSWORD_HASH", "ROLLCALL_SIGNUP"]
    lacking.append("ROLLCALL_RABBITMQ_WORKER_PASSWORD_HASH")
    left = {name: value for name, value in whole.items() if name not in lacking}
    path.write_text("# mine\nMY_OWN=1=2\n" + "".join(f"{name}={value}\n" for name, value in left.items()))
    capsys.readouterr()
    add_to_env(path)
    added = read(path)
    assert {**added, **left, "MY_OWN": "1=2"} == added
    assert (added.keys() - {"MY_OWN"}, path.read_text()[:7]) == (whole.keys(), "# mine\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for service in ("QUERY", "WORKER"):
        hashed = added[f"ROLLCALL_RABBITMQ_{service}_PASSWORD_HASH"]
        password = added[f"ROLLCALL_RABBITMQ_{service}_PASSWORD"]
        assert password_hash(password, base64.b64decode(hashed)[:4]) == hashed
    said = capsys.readouterr().err
    assert all(name in said and added[name] not in said for name in lacking if name != "ROLLCALL_SIGNUP")
    before = path.read_text()
    add_to_env(path)
    assert (path.read_text(), "nothing" in capsys.readouterr().err) == (before, True)
    with pytest.raises(SetupError, match="cannot be added to"):
        add_to_env(tmp_path / "absent")


@pytest.mark.parametrize("run", [lambda *more: main(["env", *more]), lambda *more: alone(more)])
def test_the_verb_says_what_comes_next_and_no_secret(tmp_path, monkeypatch, capsys, run):
    monkeypatch.setattr("operations.env.ROOT", tmp_path)
    assert run() == 0
    said = capsys.readouterr()
    assert "docker compose up" in said.err
    secret = [value for name, value in read(tmp_path / ".env").items() if name not in SETTINGS]
    assert len(secret) > 8
    assert not any(value in said.err + said.out for value in secret)
    assert run() == 1
    assert "is there" in capsys.readouterr().err
    assert run("--force") == 0


def test_the_verb_needs_no_package():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "operations.env", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([ROOT / "run", "env", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--force" in done.stdout
