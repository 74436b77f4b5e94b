"""`import` and `export` on the command line: progress, results, exit statuses, and going on after a cut."""

import asyncio
import csv
import os
import socket
import zipfile
from http.client import HTTPResponse
from pathlib import Path

import pytest

from operations.__main__ import main
from operations.transfer.api import Api, Interrupted
from tests.default_schema import FIELD_NAMES
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
    assert (here / "out.csv").stat().st_mode & 0o777 == 0o600, "its owner's alone, as are all such files"
    assert not list(here.glob("*.new"))
    assert await run("import", "out.csv", "--upsert", "--dry-run") == 0
    assert "60 rows: 60 would be accepted" in capsys.readouterr().out


async def test_what_was_rejected_is_told_by_the_exit_status_and_in_a_file(here, capsys):
    rows = people(3)
    rows[1]["email"] = "nobody"
    (here / "some.csv").write_bytes(csv_of(rows))
    assert await run("import", "some.csv", "--dry-run", "--errors", "dry.csv") == 3
    assert "3 rows: 2 would be accepted, 1 rejected.\n" in capsys.readouterr().out
    assert await run("import", "some.csv", "--errors", "errors.csv") == 3
    assert capsys.readouterr().out == "3 rows: 2 applied, 1 rejected.\n"
    assert (here / "errors.csv").read_text().splitlines()[1].startswith("2,email,")
    assert (here / "errors.csv").stat().st_mode & 0o777 == 0o600
    assert (here / "dry.csv").read_text().splitlines()[1].startswith("2,email,")
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


async def test_an_address_of_one_api_alone_is_refused_with_what_is_expected(here, services, capsys):
    (here / "some.csv").write_bytes(csv_of(people(1)))
    words = (
        "--url names the address where both APIs answer, that of the proxy, and not that of one API alone."
    )
    commands, queries = services["command_api"].url, services["query_api"].url
    for line, lack in (
        (("import", "some.csv", "--url", commands), "has no GET /imports/"),
        (("import", "some.csv", "--url", queries), "has no POST /people/import"),
        (("import", "some.csv", "--url", f"{queries}/elsewhere"), "has no GET /imports/"),
        (("export", "out.csv", "--url", commands), "has no GET /people/export"),
    ):
        assert await run(*line) == 1, line
        told = capsys.readouterr().err
        assert (words in told, f"{line[-1]} {lack}" in told) == (True, True), told
    assert [path.name for path in here.iterdir()] == ["some.csv"]


async def test_what_cannot_be_done_is_one_sentence(here, capsys, monkeypatch):
    (here / "some.csv").write_bytes(csv_of(people(1)))
    (here / "bad.csv").write_bytes(b"nickname\nAna\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"http://127.0.0.1:{server.getsockname()[1]}"
    for line, words in (
        (("import", "none.csv"), "none.csv cannot be read"),
        (("import", "some.doc"), "the name must end with"),
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


async def test_a_file_in_another_encoding_with_titles_of_its_own(here, capsys):
    rows = people(2, first_name="Íñigo")
    titles = [{"email": "Correo personal", "first_name": "NOMBRE"}.get(name, name) for name in FIELD_NAMES]
    header, rest = csv_of(rows).decode().split("\r\n", 1)
    assert header.split(",") == list(FIELD_NAMES)
    lines = [";".join([*titles, "Notas"]), *[line.replace(",", ";") + ";x" for line in rest.splitlines()]]
    (here / "some.csv").write_bytes("\r\n".join(lines).encode("cp1252"))
    more = ("--map", "Correo personal=email", "--map", "notas=")
    assert await run("import", "some.csv", *more) == 1
    assert "--encoding windows-1252" in capsys.readouterr().err
    assert await run("import", "some.csv", "--encoding", "windows-1252") == 1
    assert "Correo personal is no column that is known" in capsys.readouterr().err
    assert await run("import", "some.csv", *more, "--encoding", "windows-1252", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "Row 1: " in said
    assert "first_name=Íñigo" in said
    assert await run("import", "some.csv", *more, "--encoding", "windows-1252") == 0
    assert capsys.readouterr().out == "2 rows: 2 applied, 0 rejected.\n"


async def test_a_bad_byte_ends_an_import_and_the_same_command_with_the_encoding_goes_on(here, capsys):
    rows = people(700, address="Calle 1", occupation=f"Clerk {here.name}")
    rows[-1]["address"] = "Avenida Boyaca"
    body = csv_of(rows)
    body = body.decode().encode("ascii", "replace").replace(b"Boyaca", b"Boyac\xe1")
    assert body.index(0xE1) > 66_000
    (here / "some.csv").write_bytes(body)
    assert await run("import", "some.csv") == 1
    said = capsys.readouterr().err
    assert "row 700 is no UTF-8: byte 0xE1" in said
    assert "The 699 rows before that are in" in said
    assert await run("import", "some.csv", "--encoding", "windows-1252") in (0, 3)
    assert "700 rows" in capsys.readouterr().out


async def test_people_go_out_as_a_workbook_and_come_in_again(here, capsys):
    rows = people(40, occupation=f"=Baker {here.name}")
    (here / "some.csv").write_bytes(csv_of(rows))
    assert await run("import", "some.csv") in (0, 3)
    chosen = ("--filter", f"occupation==Baker {here.name}")
    assert await run("export", "out.xlsx", *chosen) == 0
    assert zipfile.is_zipfile(here / "out.xlsx")
    capsys.readouterr()
    assert await run("import", "out.xlsx", "--upsert", "--sheet", "people") == 0
    assert "40 rows" in capsys.readouterr().out
    assert await run("import", "out.xlsx", "--sheet", "none") == 1
    assert "“People”" in capsys.readouterr().err
    assert await run("export", "out.csv", "--bom", *chosen) == 0
    assert (here / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfid,")
    assert await run("export", "out.xlsx", "--bom") == 1
