"""Which position a snapshot names: never one whose events it could lack; and how a position is written."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.feed.errors import PositionGone
from events.feed.position import MARGIN, PATTERN, Position, event_id_of
from query_api.feed.positions import EVENTUAL_SECONDS, STRONG_SECONDS, Positions

EVENT = "0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_process_that_knows_nothing_names_none():
    assert Positions(Clock()).before_read(strong=False) is None


@pytest.mark.parametrize(("strong", "bound"), [(True, STRONG_SECONDS), (False, EVENTUAL_SECONDS)])
def test_an_offset_is_named_once_it_is_older_than_any_copy_may_be(strong, bound):
    clock = Clock()
    positions = Positions(clock)
    positions.start_after(Position(6))
    positions.reached(Position(7, EVENT))
    clock.now += bound - 0.001
    assert positions.before_read(strong=strong) == Position(6)
    clock.now += 0.002
    assert positions.before_read(strong=strong) == Position(7, EVENT)


def test_what_was_known_of_another_stream_is_forgotten():
    positions = Positions(Clock())
    positions.start_after(Position(6))
    positions.reached(Position(7, EVENT))
    positions.forget()
    assert positions.before_read(strong=True) is None


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 50)), max_size=40), st.booleans())
def test_no_position_is_ever_younger_than_the_bound(steps, strong):
    clock = Clock()
    positions = Positions(clock)
    positions.start_after(Position(-1))
    bound = STRONG_SECONDS if strong else EVENTUAL_SECONDS
    offset, history = -1, [(0.0, -1)]
    for pause, events in steps:
        clock.now += pause
        offset += events
        positions.reached(Position(offset, EVENT))
        history.append((clock.now, offset))
        named = positions.before_read(strong=strong)
        assert named is not None
        assert named.offset <= max(seen for at, seen in history if at <= clock.now - bound)
    # Not so old either that it would be of no use.
    clock.now += bound + 1
    assert positions.before_read(strong=strong).offset >= offset - 50 * len(steps)


@pytest.mark.parametrize("text", ["-1", "0", "1234", f"1234-{EVENT}"])
def test_a_position_is_written_as_it_was_read(text):
    assert str(Position.parse(text)) == text
    assert re.fullmatch(f"^(now|{PATTERN})$", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "-2",
        "7-",
        "7-x",
        f"-1-{EVENT}",
        f"7-{EVENT}\n",
        f"7-{EVENT.upper()}",
        "9" * 19,
        "7\r\nid: 8",
        "٣",
    ],
)
def test_what_is_no_position_is_refused(text):
    with pytest.raises(ValueError, match="is no position"):
        Position.parse(text)
    assert not re.fullmatch(f"(?:{PATTERN})", text)


@pytest.mark.parametrize("value", [None, 7, "", "x", f"{EVENT}\n", f"{EVENT}\r\ndata: x"])
def test_what_is_no_event_of_ours_names_nothing(value):
    assert event_id_of(value) == ""
    assert event_id_of(EVENT) == EVENT


def test_the_way_on_begins_before_the_event_by_the_time_in_its_id():
    position = Position(7, EVENT)
    since = datetime.fromtimestamp(int(EVENT.replace("-", "")[:12], 16) / 1000, UTC) - MARGIN
    assert position.since == since
    gone = PositionGone("why", position)
    assert gone.event_id == EVENT
    assert f"from={since:%Y-%m-%dT%H:%M:%S}" in gone.next
    assert gone.next in gone.detail


@pytest.mark.parametrize(
    "event_id", ["", "ffffffff-ffff-7fff-bfff-ffffffffffff", EVENT[:14] + "4" + EVENT[15:]]
)
def test_without_a_time_the_way_on_is_the_whole_log(event_id):
    assert "from=" not in PositionGone("why", Position(7, event_id)).next
