"""The journal of erasures: what a crash leaves of it, and what cannot be written."""

import pytest

from events.errors import StoreUnavailable
from service_kit.erasure_journal import ENDING, ErasureJournal, JournalLine, read_journal


def line(person_id: str) -> JournalLine:
    return JournalLine(person_id, "e", "c", "asked", "ada", "2026-01-31T08:00:00.000Z", ("name",))


def test_lines_of_all_workers_are_read_back_in_order(tmp_path):
    one, other = ErasureJournal(tmp_path / "journal"), ErasureJournal(tmp_path / "journal")
    one.append([line("a"), line("b")])
    other.append([line("c")])
    one.append([line("d")])
    assert {read.person_id for read in read_journal(tmp_path / "journal")} == {"a", "b", "c", "d"}
    assert next(iter(read_journal(tmp_path / "journal"))) == line("a")
    assert len(list((tmp_path / "journal").iterdir())) == 2


def test_one_file_of_it_is_read_alone(tmp_path):
    for name in "ab":
        ErasureJournal(tmp_path).append([line(name)])
    read = [[one.person_id for one in read_journal(file)] for file in tmp_path.iterdir()]
    assert sorted(read) == [["a"], ["b"]]
    assert list(read_journal(tmp_path / "none")) == []


def test_a_line_that_a_crash_cut_is_none(tmp_path):
    ErasureJournal(tmp_path).append([line("a")])
    (file,) = tmp_path.glob(f"*{ENDING}")
    with file.open("a") as stream:
        stream.write('{"person_id": "b", "ev')
    assert [read.person_id for read in read_journal(tmp_path)] == ["a"]


def test_a_line_that_is_no_erasure_is_named(tmp_path):
    (tmp_path / f"x{ENDING}").write_text("{}\n")
    with pytest.raises(ValueError, match=r"line 1 of x\.erasures"):
        list(read_journal(tmp_path))


def test_a_folder_that_cannot_be_written_is_trouble_that_passes(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="journal"):
        ErasureJournal(tmp_path / "file" / "journal").append([line("a")])
