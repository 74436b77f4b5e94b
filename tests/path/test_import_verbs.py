"""`import` and `export` on the command line: progress, results, exit statuses, and going on after a cut."""

import asyncio
import csv
import os
import socket
from http.client import HTTPResponse
from pathlib import Path

import pytest

from cli.__main__ import main
from cli.api import Api, Interrupted
from tests.people_files import csv_of, people

pytestmark = pytest.mark.parametrize("system", ["replica-set"], indirect=True, scope="session")


@pytest.fixture
def here(system, services, monkeypatch, tmp_path) -> Path:
    """Point the command line at the services that run."""
    monkeypatch.setenv("ROLLCALL_COMMAND_PORT", str(services["command_api"].port))
    monkeypatch.setenv("ROLLCALL_QUERY_PORT", str(services["query_api"].port))
    monkeypatch.setenv("ROLLCALL_TOKEN", system.token())
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def run(*line: str) -> int:
    return await asyncio.to_thread(main, line)


async def test_a_file_is_imported_once_and_exported(here, capsys):
    rows = people(60, occupation=f"Tailor {here.name}")
    (here / "some.csv").write_bytes(csv_of(rows))
    assert await run("import", "some.csv") == 0
    assert await run("import", "some.csv") == 0
    said = capsys.readouterr()
    assert said.out == "60 rows: 60 applied, 0 rejected.\n" * 2
    assert len(set(said.err.splitlines())) == 1, "the same file has the same id"
    assert await run("export", "out.csv", "--filter", f"occupation=Tailor {here.name}") == 0
    with (here / "out.csv").open(newline="") as file:
        assert {row["email"] for row in csv.DictReader(file)} == {row["email"] for row in rows}
    assert not list(here.glob("*.new"))
    assert await run("import", "out.csv", "--upsert", "--dry-run") == 0
    assert "60 rows: 60 would be accepted" in capsys.readouterr().out


async def test_what_was_rejected_is_told_by_the_exit_status_and_in_a_file(here, capsys):
    rows = people(3)
    rows[1]["email"] = "nobody"
    (here / "some.csv").write_bytes(csv_of(rows))
    assert await run("import", "some.csv", "--errors", "errors.csv") == 3
    assert capsys.readouterr().out == "3 rows: 2 applied, 1 rejected.\n"
    assert (here / "errors.csv").read_text().splitlines()[1].startswith("2,email,")
    assert await run("import", "some.csv", "--errors", "/dev/full") == 1
    assert "/dev/full cannot be written: it is there, and is no file" in capsys.readouterr().err


async def test_an_export_that_is_cut_is_told_from_a_disk_that_fails_and_leaves_the_old_one(
    here, capsys, monkeypatch
):
    (here / "out.csv").write_text("old")

    def cut(*_):
        raise ConnectionResetError("the line was cut")

    for where, words in ((HTTPResponse, "is not whole"), (os, "cannot be written")):
        with monkeypatch.context() as patch:
            patch.setattr(where, "read" if where is HTTPResponse else "fsync", cut)
            assert await run("export", "out.csv") == 1
        assert words in capsys.readouterr().err
        assert [(path.name, path.read_text()) for path in here.iterdir()] == [("out.csv", "old")]


async def test_what_cannot_be_done_is_one_sentence(here, capsys, monkeypatch):
    (here / "some.csv").write_bytes(csv_of(people(1)))
    (here / "bad.csv").write_bytes(b"nickname\nAna\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"http://127.0.0.1:{server.getsockname()[1]}"
    for line, words in (
        (("import", "none.csv"), "none.csv cannot be read"),
        (("import", "some.txt"), "the name must end with"),
        (("import", "bad.csv"), "no header row"),
        (("import", "some.csv", "--url", nobody), "does not answer"),
        (("export", "out.csv", "--url", nobody), "not whole"),
        (("export", "out.csv", "--filter", "nickname=x"), "nickname"),
        (("export", "nowhere/out.csv"), "cannot be written: No such file"),
        (("export", "/dev/full"), "is no file"),
    ):
        assert await run(*line) == 1
        said = capsys.readouterr().err.splitlines()
        assert words in said[-1], said
    assert not (here / "out.csv").exists()


async def test_an_import_that_is_cut_goes_on_by_itself(here, capsys, monkeypatch):
    (here / "some.csv").write_bytes(csv_of(people(20)))
    whole, cuts = Api.answer, iter([True, False])

    def answer(self, method, target, headers, body=None):
        if method == "POST" and next(cuts):
            raise Interrupted("the line was cut")
        return whole(self, method, target, headers, body)

    monkeypatch.setattr(Api, "answer", answer)
    assert await run("import", "some.csv") == 0
    said = capsys.readouterr()
    assert "the line was cut; going on" in said.err
    assert said.out == "20 rows: 20 applied, 0 rejected.\n"
