"""The address of the database for other clients, and the shell that opens it."""

from pathlib import Path

import pytest
from pymongo.uri_parser import parse_uri

from devstack.__main__ import main
from devstack.mongo_shell import uri_with_database
from devstack.parts import Part, forget_description, operators_environment, save_description
from devstack.paths import Paths
from devstack.servers.mongo_users import ADMIN, LocalUsers
from operations.addresses import DatabaseAddress


@pytest.fixture
def here(tmp_path, monkeypatch) -> Paths:
    for name in ("ROLLCALL_MONGO_URI", "ROLLCALL_MONGO_DB", "ROLLCALL_AMQP_URL"):
        monkeypatch.delenv(name, raising=False)
    # `main` adds the settings of what runs here; whatever it adds is taken back at the end.
    for name in ("ROLLCALL_SIGNING_KEYS", "ROLLCALL_STATE_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    paths = Paths.find()
    paths.create()
    return paths


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mongodb://a:1,b:2/?replicaSet=rs", "mongodb://a:1,b:2/people?replicaSet=rs"),
        ("mongodb://a:1", "mongodb://a:1/people"),
        ("mongodb://u:p%40w@a:1/", "mongodb://u:p%40w@a:1/people?authSource=admin"),
        ("mongodb://u:p@a/users?tls=true", "mongodb://u:p@a/people?tls=true&authSource=users"),
        ("mongodb://u:p@a/?authSource=x", "mongodb://u:p@a/people?authSource=x"),
        ("mongodb://u@a/?authMechanism=MONGODB-X509", "mongodb://u@a/people?authMechanism=MONGODB-X509"),
        ("mongodb+srv://a.example/", "mongodb+srv://a.example/people"),
    ],
)
def test_the_database_is_in_the_path_and_users_stay_where_they_are(uri, expected):
    assert uri_with_database(DatabaseAddress(uri, "people")) == expected


def test_the_address_of_what_runs_here_is_all_that_is_printed(here, capsys):
    save_description(here, [Part(f"mongod-{port}", "mongod", port=port) for port in (27101, 27102)])
    assert main(["mongo", "--uri"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "mongodb://127.0.0.1:27101,127.0.0.1:27102/rollcall?replicaSet=rollcall\n",
        "",
    )
    assert parse_uri(said.out.strip())["database"] == "rollcall"


def test_the_password_of_the_database_that_runs_here_is_in_no_argument(here, capsys, monkeypatch):
    users = LocalUsers(here.mongo_secrets, "rollcall")
    save_description(here, [Part("mongod-0", "mongod", port=27101)])
    uri = users.uri_of(ADMIN, "mongodb://127.0.0.1:27101/?replicaSet=rollcall")
    assert main(["mongo", "--uri"]) == 0
    expected = uri.replace("/?", "/rollcall?")
    assert capsys.readouterr().out.strip() == expected
    parsed = parse_uri(expected)
    assert (parsed["username"], parsed["options"]["authSource"], len(parsed["password"])) == (
        "admin",
        "admin",
        96,
    )
    (here.state / "programs").mkdir()
    (here.state / "programs" / "mongosh").touch(mode=0o755)
    calls = []
    monkeypatch.setattr("os.execv", lambda path, words: calls.append(words))
    main(["mongo"])
    ((_, *words),) = calls
    opening = Path(words[-1])
    assert words[:-1] == ["--nodb", "--shell"]
    assert opening.read_text() == f'db = connect("{expected}");\n'
    assert opening.stat().st_mode & 0o777 == 0o600


def test_verbs_go_by_the_declarations_of_what_runs_here_unless_others_are_set(here):
    files = {"ROLLCALL_PERSON_SCHEMA": "/a/club.json", "ROLLCALL_ROLES": "/a/roles.json"}
    assert not files.keys() & operators_environment(here, {}).keys()
    save_description(here, [], {**files, "ROLLCALL_AMQP_URL": "amqp://a:b@c/"})
    assert files.items() <= operators_environment(here, {}).items()
    found = operators_environment(here, {"ROLLCALL_ROLES": "/b/roles.json"})
    assert found.keys() & files.keys() == {"ROLLCALL_PERSON_SCHEMA"}
    assert "amqp" not in (here.run / "up.json").read_text()
    forget_description(here)
    assert not files.keys() & operators_environment(here, {}).keys()


def test_verbs_know_the_key_encryption_keys_while_nothing_runs_unless_others_are_set(here):
    assert "ROLLCALL_KEK_FILE" not in operators_environment(here, {})
    here.kek_file.parent.mkdir(parents=True, exist_ok=True)
    here.kek_file.touch()
    assert operators_environment(here, {})["ROLLCALL_KEK_FILE"] == str(here.kek_file)
    assert "ROLLCALL_KEK_FILE" not in operators_environment(here, {"ROLLCALL_KEK_FILE": "/mine"})
    save_description(here, [], {"ROLLCALL_KEK_FILE": "/theirs"})
    assert operators_environment(here, {})["ROLLCALL_KEK_FILE"] == "/theirs"
    forget_description(here)


def test_what_the_user_has_set_wins(here, capsys, monkeypatch):
    save_description(here, [Part("mongod-1", "mongod", port=27101)])
    monkeypatch.setenv("ROLLCALL_MONGO_URI", "mongodb://elsewhere/")
    monkeypatch.setenv("ROLLCALL_MONGO_DB", "people")
    assert main(["mongo", "--uri"]) == 0
    assert capsys.readouterr().out == "mongodb://elsewhere/people\n"


def test_nothing_that_runs_and_no_shell_are_told(here, capsys, monkeypatch):
    assert main(["mongo"]) == 1
    assert "start one with `./run up`" in capsys.readouterr().err
    monkeypatch.setenv("ROLLCALL_MONGO_URI", "mongodb://elsewhere/")
    assert main(["mongo"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "neither mongosh nor mongo" in said.err and "`./run mongo --uri`" in said.err


@pytest.mark.parametrize(("programs", "chosen"), [(["mongo"], "mongo"), (["mongo", "mongosh"], "mongosh")])
def test_the_newer_shell_is_opened_on_the_address(here, monkeypatch, programs, chosen):
    folder = here.state / "programs"
    folder.mkdir()
    for name in programs:
        (folder / name).touch(mode=0o755)
    calls = []
    monkeypatch.setattr("os.execv", lambda path, words: calls.append((path, words)))
    monkeypatch.setenv("ROLLCALL_MONGO_URI", "mongodb://elsewhere/")
    main(["mongo"])
    shell = str(folder / chosen)
    assert calls == [(shell, [shell, "mongodb://elsewhere/rollcall"])]
