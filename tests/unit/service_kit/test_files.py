"""Files that a loss of power leaves old or new, and the house's one way to write them."""

import ast
import os
import stat
from pathlib import Path

import pytest

from service_kit import files
from service_kit.files import make_folder, whole_file, write_whole

ROOT = Path(__file__).resolve().parents[3]
WRITERS = {
    "operations/proof/chain_walk.py": "parts of a checkpoint's heads, in a folder that is gone when it is written",
    "operations/proof/checkpoint_folder.py": "an empty lock",
    "operations/replay/verb.py": "as far as it came is of use, and it is synced at its end",
    "service_kit/erasure_journal.py": "lines are added to a file, and synced",
    "devstack/processes.py": "logs",
    "devstack/install/progress.py": "a log",
    "devstack/supervisor.py": "a lock",
    "query_api/exports/workbook.py": "parts of an archive that is sent, and never on disk",
}


class PowerCut(Exception):
    """The end of everything, as far as the caller can tell."""


class Disk:
    """Counts the steps that a file takes, and ends after so many of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
        self.steps: list[str] = []
        self._last = last
        for module, name in ((os, "open"), (os, "fchmod"), (os, "fsync"), (Path, "replace")):
            monkeypatch.setattr(module, name, self._counted(name, getattr(module, name)))

    def _counted(self, name, do):
        def step(*args, **more):
            if len(self.steps) == self._last:
                raise PowerCut
            self.steps.append(name)
            if name == "replace":
                assert self.steps.count("fsync") == 1, "named before it is on disk"
            return do(*args, **more)

        return step


@pytest.mark.parametrize("last", range(6))
@pytest.mark.parametrize("before", [None, "old"])
def test_whatever_happens_there_is_the_old_or_the_new(tmp_path, monkeypatch, last, before):
    path = tmp_path / "secret"
    if before:
        path.write_text(before)
    with monkeypatch.context() as patch:
        disk = Disk(patch, last)
        try:
            write_whole(path, "new")
        except PowerCut:
            assert last < 5
    if last == 5:
        assert disk.steps == ["open", "fsync", "replace", "open", "fsync"]
    expected = "new" if "replace" in disk.steps else before
    assert (path.read_text() if path.exists() else None) == expected
    assert [one.name for one in tmp_path.iterdir()] == (["secret"] if expected else [])


def test_it_is_its_owners_alone_before_it_has_content(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        with whole_file(path) as file:
            (fresh,) = (one for one in tmp_path.iterdir() if one != path)
            assert stat.S_IMODE(fresh.stat().st_mode) == 0o600
            file.write(b"new")
    finally:
        os.umask(before)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_power_cut_left_of_an_earlier_one_is_no_hindrance(tmp_path):
    path = tmp_path / "secret"
    (tmp_path / f"secret.{os.getpid()}.new").write_text("half")
    write_whole(path, "whole")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("whole", [path])


def test_what_is_no_file_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is no file"):
        write_whole(tmp_path / "pipe", "x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_each_folder_that_is_made_is_on_disk_in_the_one_above(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b", mode=0o700)
    assert synced == [tmp_path, tmp_path / "a"]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def writes(call: ast.Call) -> bool:
    """Return whether a call writes to a file past the one way, as far as its name and mode tell."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    modes = [one.value for one in (*call.args, *(more.value for more in call.keywords)) if is_text(one)]
    if name == "open":
        flags = ast.unparse(call)
        return any(set(mode) & set("wax+") and len(mode) < 4 for mode in modes) or "O_CREAT" in flags
    return name in ("write_text", "write_bytes", "mkstemp", "NamedTemporaryFile", "copyfile", "copy2")


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_the_house_writes_files_in_one_way():
    packages = ("command_api", "devstack", "events", "operations", "query_api", "service_kit", "subscriber")
    found = {
        str(path.relative_to(ROOT))
        for package in (*packages, "verifier", "workers", "mongo-cluster")
        for path in (ROOT / package).rglob("*.py")
        if any(
            isinstance(node, ast.Call) and writes(node)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    }
    assert found == set(WRITERS)
