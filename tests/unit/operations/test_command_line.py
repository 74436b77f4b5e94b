"""What the command line says to somebody who types it for the first time, or once more."""

import asyncio
import getpass
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from devstack.__main__ import VERBS as DEVELOPMENT_VERBS
from events.accounts.errors import AccountExists
from events.log.applied_schema import schema_text
from events.person.schema.reading import parse_schema
from operations import addresses
from operations.__main__ import VERBS, main, parser, run_verb
from operations.accounts import verb as accounts_verb
from operations.accounts.signing_keys import ensure_signing_key
from operations.addresses import known_roles
from operations.errors import SetupError
from operations.proof import checkpoint as checkpoints
from operations.proof.proof import end_politely
from operations.terminal import user_name
from operations.transfer.exports import export_target, form_of
from service_kit.mongo import connection as mongo
from service_kit.mongo import schema_record

ROOT = Path(__file__).resolve().parents[3]


class TakenDirectory:
    """Has every name already."""

    async def create(self, name, *_, **__) -> None:
        raise AccountExists(f"the name {name} is taken")


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["help", "help"]])
@pytest.mark.parametrize(("program", "verbs"), [("./run", DEVELOPMENT_VERBS), ("rollcall", VERBS)])
def test_help_lists_every_verb(capsys, program, verbs, words):
    with pytest.raises(SystemExit) as ended:
        run_verb(program, verbs, words)
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(re.search(rf"^    {name}\s", said, re.MULTILINE) for name in verbs)
    assert f"`{program} help VERB`" in said


@pytest.mark.parametrize("words", [["accounts"], ["accounts", "add"], ["test"], ["up"]])
def test_help_with_a_verb_is_that_verbs_own(capsys, words):
    usages = []
    for line in (["help", *words], [*words, "--help"]):
        with pytest.raises(SystemExit) as ended:
            run_verb("./run", DEVELOPMENT_VERBS, line)
        assert ended.value.code == 0
        usages.append(capsys.readouterr().out)
    assert usages[0] == usages[1]
    assert usages[0].startswith(f"usage: ./run {' '.join(words)} ")


@pytest.mark.parametrize(
    "line",
    [
        "frobnicate",
        "up --sharded --shards 0",
        "up --brokers 2",
        "token --sub ' '",
        "token --sub ada --scopes people:everything",
        "token --sub ada --ttl tomorrow",
    ],
)
def test_a_wrong_command_line_is_a_usage_error(capsys, line):
    with pytest.raises(SystemExit) as ended:
        run_verb("./run", DEVELOPMENT_VERBS, shlex.split(line))
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert "usage: ./run" in said.err


@pytest.fixture
def clone(tmp_path) -> Path:
    """A copy of what the script needs, in which nothing is installed, and where no folder can be made."""
    root = tmp_path / "clone"
    kinds = shutil.ignore_patterns("__pycache__")
    for package in ("devstack", "operations", "service_kit", "events"):
        shutil.copytree(ROOT / package, root / package, ignore=kinds)
    for name in ("run", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root / name)
    (root / ".rollcall").touch()
    return root


def run_script(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    unset = ("PYTHONPATH", "ROLLCALL_STATE_DIR", "PYTHONPYCACHEPREFIX")
    environ = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run([clone / "run", *words], capture_output=True, text=True, env=environ)


@pytest.mark.parametrize("words", [[], ["help"], ["--help"]])
def test_the_list_of_verbs_needs_no_package_and_no_folder(clone, words):
    done = run_script(clone, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n    up " in done.stdout
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("words", [["up", "--help"], ["help", "accounts"]])
def test_help_is_the_list_where_nothing_can_be_installed(clone, words):
    done = run_script(clone, *words)
    assert done.returncode == 0
    assert "cannot be written to" in done.stderr
    assert "\n    up " in done.stdout
    refused = run_script(clone, "status")
    assert (refused.returncode, refused.stdout) == (1, "")


def test_an_account_that_is_there_is_told_with_the_way_on(monkeypatch, capsys):
    def refuse(_settings, work) -> None:
        asyncio.run(work(SimpleNamespace(directory=TakenDirectory())))

    monkeypatch.setenv("ROLLCALL_MONGO_URI", "mongodb://127.0.0.1:9/")
    monkeypatch.setattr(schema_record, "WAIT_MS", 100)
    monkeypatch.setattr(accounts_verb, "_run", refuse)
    assert run_verb("./run", VERBS, ["accounts", "add", "grace", "--roles", "viewer"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "There is an account grace already" in said.err
    assert "`./run accounts reset-password grace`" in said.err


def test_a_replay_to_a_file_that_is_there_says_how_to_go_on(tmp_path, capsys):
    file = tmp_path / "log.ndjson"
    file.write_text("kept\n")
    assert main(["replay", "--to", "ndjson", "--out", str(file)]) == 1
    said = capsys.readouterr().err
    assert f"{file} is there" in said
    assert "name another with --out, or remove it" in said
    assert file.read_text() == "kept\n"


def test_no_token_is_made_that_the_log_cannot_tell_of_or_no_service_takes(monkeypatch, capsys, tmp_path):
    ensure_signing_key(tmp_path / "keys", "EdDSA")
    monkeypatch.setenv("ROLLCALL_SIGNING_KEYS", str(tmp_path / "keys"))
    monkeypatch.delenv("ROLLCALL_MONGO_URI", raising=False)
    for words, said in (
        ([], "No database is known here"),
        (["--ttl", "2d"], "good for 86400 seconds at most"),
    ):
        assert main(["token", *words]) == 1
        printed = capsys.readouterr()
        assert (printed.out, said in printed.err) == ("", True), printed.err
    monkeypatch.setattr(mongo, "SELECTION_MS", 100)
    monkeypatch.setattr(schema_record, "WAIT_MS", 100)
    monkeypatch.setenv("ROLLCALL_MONGO_URI", "mongodb://127.0.0.1:9/")
    assert main(["token"]) == 1
    printed = capsys.readouterr()
    assert (printed.out, "cannot be put on record" in printed.err) == ("", True), printed.err


def test_scopes_and_roles_of_the_files_are_known_and_listed(monkeypatch, capsys, tmp_path):
    (tmp_path / "roles.json").write_text('{"clerk": ["notes:read"]}')
    (tmp_path / "schema.json").write_text(
        '{"version": 1, "type": "object", "properties": '
        '{"pay": {"type": "integer", "rollcall": {"read": "payroll:read"}}}}'
    )
    monkeypatch.setenv("ROLLCALL_ROLES", str(tmp_path / "roles.json"))
    monkeypatch.setenv("ROLLCALL_PERSON_SCHEMA", str(tmp_path / "schema.json"))
    monkeypatch.setenv("ROLLCALL_SIGNING_KEYS", str(tmp_path / "none"))
    monkeypatch.delenv("ROLLCALL_MONGO_URI", raising=False)
    for words, listed in (
        (["token", "--help"], "audit:read events:read ops payroll:read notes:read"),
        (["accounts", "add", "--help"], "viewer editor auditor admin clerk"),
        (["token", "--scopes", "x:y"], "x:y is no scope: choose from people:read"),
        (
            ["accounts", "invite", "--roles", "x"],
            "x is no role: choose from viewer editor auditor admin clerk",
        ),
    ):
        with pytest.raises(SystemExit):
            main(words)
        printed = capsys.readouterr()
        assert listed in " ".join((printed.out + printed.err).split())
    assert main(["token", "--scopes", "payroll:read,notes:read"]) == 1
    assert "There are no signing keys" in capsys.readouterr().err
    assert main(["accounts", "invite", "--roles", "clerk"]) == 1
    assert "No database is known here" in capsys.readouterr().err


def paid(number: int, scope: str) -> str:
    """Return a schema's file with a field that a scope opens."""
    field = {"type": "integer", "rollcall": {"read": scope}}
    return json.dumps({"version": number, "type": "object", "properties": {"pay": field}})


def test_scopes_of_the_schema_in_force_are_known_and_the_files_where_the_record_is_away(
    monkeypatch, capsys, tmp_path
):
    (tmp_path / "schema.json").write_text(paid(3, "payroll:read"))
    environment = {
        "ROLLCALL_PERSON_SCHEMA": str(tmp_path / "schema.json"),
        "ROLLCALL_MONGO_URI": "mongodb://127.0.0.1:9/",
    }
    monkeypatch.setattr(schema_record, "WAIT_MS", 100)
    assert "payroll:read" in known_roles(environment).scopes
    on_record = [
        SimpleNamespace(schema=schema, text=schema_text(schema))
        for schema in map(parse_schema, (paid(1, "payroll:read"), paid(2, "wages:read")))
    ]

    @contextmanager
    def open_record(_uri, _database):
        yield SimpleNamespace(read=lambda: SimpleNamespace(applied=on_record))

    monkeypatch.setattr(addresses, "open_record", open_record)
    scopes = known_roles(environment).scopes
    assert ("wages:read" in scopes, "payroll:read" in scopes) == (True, False)
    said = capsys.readouterr()
    assert (said.out, "schema not applied" in said.err) == ("", True)


@pytest.mark.parametrize("uri", ["http://h", "mongodb://ana:secret@h:9:9/", "mongodb://ana@b:secret@h/"])
def test_an_address_that_is_none_leaves_the_scopes_of_the_file(tmp_path, uri):
    (tmp_path / "schema.json").write_text(paid(3, "payroll:read"))
    environment = {"ROLLCALL_PERSON_SCHEMA": str(tmp_path / "schema.json"), "ROLLCALL_MONGO_URI": uri}
    assert "payroll:read" in known_roles(environment).scopes
    for asks in (addresses.person_schema, addresses.database_settings):
        with pytest.raises(SetupError, match="^ROLLCALL_MONGO_URI is not a connection string") as caught:
            asks(environment)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("error", [KeyError("no such uid"), OSError("no such uid")])
def test_a_user_without_a_name_acts_by_number(monkeypatch, error):
    def unknown() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert user_name() == f"uid-{os.getuid()}"


def test_an_export_is_what_its_ending_says():
    assert [form_of(path) for path in (None, Path("a.csv"), Path("a.NDJSON"), Path("a.xlsx"))] == [
        *("ndjson", "csv", "ndjson", "xlsx")
    ]
    for name in ("people.xls", "people", "people.json"):
        with pytest.raises(SetupError, match=rf"{name} does not end in \.csv or \.ndjson"):
            form_of(Path(name))


def test_an_export_of_events_asks_for_what_its_options_say():
    def target(*words, form="ndjson"):
        return export_target(parser("rollcall", VERBS, "export").parse_args(["export", *words]), form)

    assert target("--filter", "gender=F") == "/people/export?gender=F"
    assert target("--events") == "/events"
    words = ("--events", "--opened", "--withhold", "email,@source_address", "--filter", "person_id=p")
    assert target(*words) == "/events?person_id=p&opened=true&withhold=email%2C%40source_address"
    assert target("--events", "--bom", form="csv") == "/events?bom=true"
    for wrong in (["--opened"], ["--events", "--withhold", "email"], ["--bom"]):
        with pytest.raises(SetupError):
            target(*wrong)
    with pytest.raises(SetupError):
        target("--events", form="xlsx")


@pytest.fixture
def handlers():
    """Puts the handlers of signals back."""
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_that_a_destructor_swallowed_comes_again(number):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end_if_asked = end_politely()
    end_if_asked()
    with suppress(KeyboardInterrupt):
        signal.raise_signal(number)
    with pytest.raises(KeyboardInterrupt):
        end_if_asked()


@pytest.mark.usefixtures("handlers")
def test_a_schedule_of_checkpoints_ends_though_an_interrupt_was_swallowed(monkeypatch, tmp_path):
    made: list[int] = []

    def make(*_arguments: object) -> int:
        made.append(1)
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(checkpoints.Key, "read", lambda _path: None)
    monkeypatch.setattr(checkpoints, "_add", make)
    monkeypatch.setattr(checkpoints.time, "sleep", lambda _seconds: pytest.fail("it goes on"))
    words = ["checkpoint", "--to", str(tmp_path), "--key", str(tmp_path / "key"), "--every", "1h"]
    assert main(words) == 130
    assert made == [1]
