"""Pauses grow up to a cap, and patience ends when nothing is achieved for too long."""

from service_kit.retries import BACKOFF_CAP, Patience, backoff


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pauses_grow_up_to_the_cap():
    for attempt in range(1, 40):
        longest = min(BACKOFF_CAP, 0.1 * 2.0 ** min(attempt, 10))
        assert longest / 2 <= backoff(attempt) <= longest


def test_patience_ends_before_a_pause_that_outlasts_it():
    clock = Clock()
    patience = Patience(60.0, clock)
    assert patience.pause() is not None
    clock.now += 59.95
    assert patience.pause() is None


def test_patience_begins_anew_when_something_was_achieved():
    clock = Clock()
    patience = Patience(60.0, clock)
    for _ in range(9):
        patience.pause()
    clock.now += 60.0
    patience.renew()
    first = patience.pause()
    assert first is not None
    assert first <= 0.2


def test_patience_without_a_limit_never_ends():
    clock = Clock()
    patience = Patience(clock=clock)
    clock.now += 1e9
    assert patience.pause() is not None
