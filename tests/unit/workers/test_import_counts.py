"""How often imports are counted."""

import pytest

from workers.imports.counts import Rest, pause_of


def rest(pause: float, counts: tuple[int, int]) -> Rest:
    return Rest(0.0, pause, counts, None)


@pytest.mark.parametrize(
    ("before", "state", "counts", "seconds", "pause"),
    [
        (None, "applying", (0, 0), 0.001, 0.5),
        (None, "applying", (10**6, 0), 2.0, 40.0),
        (None, "applying", (10**6, 0), 9.0, 60.0),
        (rest(0.5, (3, 1)), "applying", (4, 1), 0.001, 0.5),
        (rest(0.5, (3, 1)), "applying", (3, 1), 0.001, 1.0),
        (rest(4.0, (3, 1)), "applying", (3, 1), 0.001, 5.0),
        (rest(4.0, (3, 1)), "interrupted", (3, 1), 0.001, 8.0),
        (rest(60.0, (3, 1)), "interrupted", (3, 1), 0.001, 60.0),
        (rest(40.0, (10**6, 0)), "applying", (10**6, 0), 2.0, 40.0),
    ],
)
def test_an_import_rests_longer_when_its_counting_is_dear_or_shows_nothing_new(
    before, state, counts, seconds, pause
):
    assert pause_of(before, state, counts, seconds) == pause
