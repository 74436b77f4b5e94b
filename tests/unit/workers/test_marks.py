"""The marks of a partition: which are kept, and from which time on the log counts after a loss."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from workers.announcing.marks import Mark, lower_bound_from, lowered, mark_of, thinned

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def mark(seconds_ago: int, lower_bound: int | None = None) -> Mark:
    """Return a mark of so long ago; its lower bound lies a while before, unless it is given."""
    made = NOW - timedelta(seconds=seconds_ago)
    lowest = NOW - timedelta(seconds=seconds_ago + 30 if lower_bound is None else lower_bound)
    return Mark(10**6 - seconds_ago, f"e{seconds_ago}", lowest, made)


def test_a_mark_is_read_as_it_was_written():
    assert mark_of(mark(5).document()) == mark(5)


def test_the_floor_of_an_older_mark_covers_what_came_after_it():
    marks = [mark(0), mark(15, lower_bound=900), mark(30)]
    assert lower_bound_from(marks, marks[0]) == NOW - timedelta(seconds=30)
    assert lower_bound_from(marks, marks[2]) == NOW - timedelta(seconds=900)


def test_an_older_event_lowers_the_newest_mark_and_a_newer_one_does_not():
    marks = [mark(0), mark(60)]
    assert lowered(marks, NOW - timedelta(hours=2))[0].lower_bound == NOW - timedelta(hours=2)
    assert lowered(marks, NOW) == marks


def test_marks_of_a_busy_day_become_few():
    marks: list[Mark] = []
    for seconds in range(0, 86_400, 15):
        now = NOW + timedelta(seconds=seconds)
        marks = thinned([Mark(seconds, f"e{seconds}", now - timedelta(seconds=30), now), *marks], now)
    assert len(marks) <= 10
    assert marks[0].offset == 86_385
    ages = [(marks[0].made_at - one.made_at).total_seconds() for one in marks]
    # After a loss, a little more than what was lost is looked at.
    assert any(60 <= age <= 600 for age in ages)
    assert any(1800 <= age <= 14_400 for age in ages)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=40))
def test_thinning_keeps_the_ends_and_raises_no_floor(times):
    marks = [mark(ago, lower_bound) for ago, lower_bound in sorted(times)]
    kept = thinned(marks, NOW)
    assert (kept[0].offset, kept[-1].offset) == (marks[0].offset, marks[-1].offset)
    for one in kept:
        before = next(other for other in marks if other.offset == one.offset and other.made_at == one.made_at)
        assert lower_bound_from(kept, one) <= lower_bound_from(marks, before)
