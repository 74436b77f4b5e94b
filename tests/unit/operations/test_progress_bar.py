"""What a long verb shows of how far it is: a bar on a terminal, plain lines elsewhere."""

import contextlib
import os
import pty

import pytest

from operations import progress_bar
from operations.progress_bar import ProgressBar


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(progress_bar, "_EVERY_S", 0.0)
    monkeypatch.setattr(progress_bar, "_REDRAW_S", 0.0)


def test_a_file_gets_plain_lines(capsys):
    with ProgressBar("events") as bar:
        bar.show(0.5, 2_000)
    told = capsys.readouterr()
    assert told.out == ""
    assert "50%  2,000 events" in told.err
    assert "left" in told.err
    assert "\x1b" not in told.err


def everything(leader: int) -> str:
    """Return what a terminal got, once its other end is closed."""
    got = b""
    # Some of it comes at a time; the end is an error.
    with contextlib.suppress(OSError):
        while part := os.read(leader, 100_000):
            got += part
    os.close(leader)
    return got.decode()


def test_a_terminal_gets_a_bar_that_makes_room_and_is_gone_in_the_end(monkeypatch):
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "100")
        with ProgressBar("events") as bar:
            bar.show(None, 1)
            bar.clear()
            bar.show(0.25, 1_000)
    drawn = everything(leader)
    assert "━" in drawn
    assert "25%  1,000 events" in drawn
    assert drawn.endswith("\x1b[2K")


def test_a_terminal_that_is_gone_ends_nothing(monkeypatch):
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with ProgressBar("events") as bar:
            bar.show(0.1, 1)
            os.close(leader)
            bar.show(0.2, 2)
