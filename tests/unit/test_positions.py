"""Which position a snapshot names: never one whose events it could lack."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.positions import EVENTUAL_SECONDS, STRONG_SECONDS, Positions


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
    positions.start_after(6)
    positions.reached(7)
    clock.now += bound - 0.001
    assert positions.before_read(strong=strong) == 6
    clock.now += 0.002
    assert positions.before_read(strong=strong) == 7


def test_what_was_known_of_another_stream_is_forgotten():
    positions = Positions(Clock())
    positions.start_after(6)
    positions.reached(7)
    positions.forget()
    assert positions.before_read(strong=True) is None


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 50)), max_size=40), st.booleans())
def test_no_position_is_ever_younger_than_the_bound(steps, strong):
    clock = Clock()
    positions = Positions(clock)
    positions.start_after(-1)
    bound = STRONG_SECONDS if strong else EVENTUAL_SECONDS
    offset, history = -1, [(0.0, -1)]
    for pause, events in steps:
        clock.now += pause
        offset += events
        positions.reached(offset)
        history.append((clock.now, offset))
        named = positions.before_read(strong=strong)
        assert named is not None
        assert named <= max(seen for at, seen in history if at <= clock.now - bound)
    # Not so old either that it would be of no use.
    clock.now += bound + 1
    assert positions.before_read(strong=strong) >= offset - 50 * len(steps)
