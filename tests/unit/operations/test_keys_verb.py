"""`rollcall keys` as far as it needs no server: the file of key-encryption keys, changed a line at a time."""

import stat

import pytest

from operations.__main__ import main
from operations.keys.kek_lines import read_keys
from tests.store.given_keys import KEKS


@pytest.fixture
def path(tmp_path, monkeypatch):
    file = tmp_path / "secrets" / "kek"
    monkeypatch.setenv("ROLLCALL_KEK_FILE", str(file))
    return file


def test_a_key_is_added_last_and_used_once_all_know_it(path, capsys):
    assert main(["keys", "add"]) == 0
    (first,) = read_keys(path)
    assert main(["keys", "add"]) == 0
    said = capsys.readouterr()
    there, second = read_keys(path)
    assert there == first
    before = read_keys(path)
    assert f"Restart every service, so that all know it; then `rollcall keys use {second}`." in said.err
    assert not said.out and not any(key.hex() in said.err for key in before.values())
    assert main(["keys", "use", second]) == 0
    assert (list(read_keys(path)), read_keys(path)) == ([second, first], before)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)] == [0o600, 0o700]


def test_a_line_for_a_secret_that_is_kept_elsewhere_is_printed_and_nothing_else(path, capsys):
    assert main(["keys", "add", "--print"]) == 0
    said = capsys.readouterr()
    assert (said.err, path.exists()) == ("", False)
    path.parent.mkdir()
    path.write_text(said.out)
    path.chmod(0o600)
    assert len(read_keys(path)) == 1


def test_a_file_that_will_not_do_is_not_changed(path, capsys):
    path.parent.mkdir()
    id_, key = next(iter(KEKS.items()))
    path.write_text(f"{id_} {key.hex()[:-2]}\n")
    path.chmod(0o600)
    before = path.read_bytes()
    for words in (["add"], ["use", id_], ["retire", id_]):
        assert main(["keys", *words]) == 2
        assert "line 1 has 62 digits of a key: a key has 64" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_what_is_not_there_is_said(path, monkeypatch, capsys):
    assert main(["keys", "use", "other"]) == 2
    assert "No such file" in capsys.readouterr().err
    main(["keys", "add"])
    capsys.readouterr()
    assert main(["keys", "use", "other"]) == 2
    assert capsys.readouterr().err.startswith("There is no key other in ")
    monkeypatch.delenv("ROLLCALL_KEK_FILE")
    assert main(["keys", "list"]) == 2
    assert "or set ROLLCALL_KEK_FILE" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_to_be_changed_where_it_comes_from(path, monkeypatch, capsys):
    main(["keys", "add"])
    (id_,) = before = list(read_keys(path))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("operations.keys.kek_lines.write_whole", refuse)
    assert main(["keys", "use", id_]) == 2
    assert (
        "cannot be written here (Permission denied): change it where it comes from."
        in capsys.readouterr().err
    )
    assert list(read_keys(path)) == before
