"""Disks that lose power or run full do so: the other long tests rest on it."""

import errno
import os
import subprocess
import sys

import pytest

from tests.power import Disk, cut

pytestmark = pytest.mark.long
WRITER = """
import os, sys, time
with open(sys.argv[1], "wb") as file:
    file.write(b"synced")
    file.flush()
    os.fsync(file.fileno())
    with open(sys.argv[2], "wb") as other:
        other.write(b"not synced")
        other.flush()
        print("written", flush=True)
        time.sleep(600)
"""


def writer(disk: Disk) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(disk.folder / "kept"), str(disk.folder / "lost")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def loops() -> str:
    return subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=True).stdout


def test_a_power_cut_keeps_what_was_synced_and_loses_what_was_not(tmp_path):
    with Disk(tmp_path / "one", 64) as one, Disk(tmp_path / "other", 64) as other:
        writers = [writer(one), writer(other)]
        cut([one, other])
        for process in writers:
            assert process.wait(60) == -9
            process.stdout.close()
        for disk in (one, other):
            assert (disk.folder / "kept").read_bytes() == b"synced"
            lost = disk.folder / "lost"
            assert not lost.exists() or lost.read_bytes() == b""
            (disk.folder / "after").write_text("it goes on")
    assert not (tmp_path / "one").is_mount()
    assert str(tmp_path) not in loops()


def test_a_full_disk_takes_nothing_until_it_is_freed(tmp_path):
    with Disk(tmp_path / "disk", 64) as disk:
        disk.fill()
        assert disk.free_bytes == 0
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), (disk.folder / "x").open("wb") as file:
            file.write(b"x" * 10_000)
        disk.free()
        assert disk.free_bytes > 40_000_000
        (disk.folder / "x").write_bytes(b"x" * 10_000)


def test_a_test_that_fails_leaves_no_disk_behind(tmp_path):
    with pytest.raises(ZeroDivisionError), Disk(tmp_path / "disk", 64) as disk:
        process = writer(disk)
        raise ZeroDivisionError
    assert process.wait(60) == -9
    process.stdout.close()
    assert not disk.folder.is_mount()
    assert str(tmp_path) not in loops()
