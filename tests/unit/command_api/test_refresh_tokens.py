"""What a refresh token is worth, and when an attempt to log in is looked at."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_api.accounts.attempts import (
    FORGOTTEN_AFTER,
    LONGEST_DELAY,
    Attempts,
    Budget,
    Limit,
    delay,
)
from command_api.accounts.families import (
    ABSOLUTE,
    GRACE,
    IDLE,
    MOST,
    Family,
    RefreshToken,
    RefreshTokenState,
    judge,
    read_token,
)

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
FIRST = RefreshToken("kq3v0d2n1yq8h5w7c9b4ag", "5b" * 32)
FAMILY = Family(FIRST.family_id, "ada", 1, b"k" * 32, FIRST.digest, None, NOW, NOW, revoked=False)
A_MOMENT = timedelta(milliseconds=1)


def test_a_token_is_good_until_it_is_exchanged_and_its_successor_from_then_on():
    second = FIRST.successor(FAMILY.key)
    assert second != FIRST
    assert judge(FAMILY, FIRST, NOW) is RefreshTokenState.EXCHANGE
    assert judge(FAMILY, second, NOW) is RefreshTokenState.REUSED  # nobody has it yet
    after = FAMILY.exchanged(FIRST, NOW)
    assert judge(after, second, NOW) is RefreshTokenState.EXCHANGE
    assert judge(after, FIRST, NOW + GRACE) is RefreshTokenState.REPEAT
    assert judge(after, FIRST, NOW + GRACE + A_MOMENT) is RefreshTokenState.REUSED
    # Another tab has gone on: the first one gets what that tab has.
    further = after.exchanged(second, NOW + GRACE)
    assert judge(further, FIRST, NOW + GRACE) is RefreshTokenState.REPEAT
    assert judge(further, FIRST, NOW + GRACE + A_MOMENT) is RefreshTokenState.REUSED
    assert further.newest(FIRST) == further.newest(second) == second.successor(FAMILY.key)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=60))
def test_a_token_is_worth_something_until_the_grace_after_its_exchange_is_over(presented):
    """However tabs take turns: within the grace nobody is logged out, and everybody gets the newest token."""
    tokens, exchanged, family, now = [FIRST], [], FAMILY, NOW
    for back, seconds in presented:
        now += timedelta(seconds=seconds)
        token = tokens[max(0, len(tokens) - 1 - back)]
        state = judge(family, token, now)
        if token is tokens[-1]:
            lately = [at for at in exchanged if now - at <= GRACE]
            many = len(lately) >= MOST
            assert state is (RefreshTokenState.REPEAT if many else RefreshTokenState.EXCHANGE)
        else:
            good = now - exchanged[tokens.index(token)] <= GRACE
            assert state is (RefreshTokenState.REPEAT if good else RefreshTokenState.REUSED)
        if state is RefreshTokenState.EXCHANGE:
            family = family.exchanged(token, now)
            tokens.append(token.successor(family.key))
            exchanged.append(now)
        elif state is RefreshTokenState.REPEAT:
            assert family.newest(token) == tokens[-1]
        assert len(family.earlier) < MOST


def test_a_family_ends_by_itself_and_when_it_is_revoked():
    assert judge(FAMILY, FIRST, NOW + IDLE - A_MOMENT) is RefreshTokenState.EXCHANGE
    assert judge(FAMILY, FIRST, NOW + IDLE) is RefreshTokenState.NOTHING
    busy = replace(FAMILY, exchanged_at=NOW + ABSOLUTE - timedelta(days=1))
    assert judge(busy, FIRST, NOW + ABSOLUTE - A_MOMENT) is RefreshTokenState.EXCHANGE
    assert judge(busy, FIRST, NOW + ABSOLUTE) is RefreshTokenState.NOTHING
    for over in (None, replace(FAMILY, revoked=True)):
        assert judge(over, FIRST, NOW) is RefreshTokenState.NOTHING


def test_what_is_kept_of_a_token_does_not_make_it_or_the_next_one():
    after = FAMILY.exchanged(FIRST, NOW)
    for secret in (FIRST.secret, FIRST.successor(FAMILY.key).secret):
        assert secret not in (after.current, after.previous, after.key.hex())
    # An old token without the family's key tells nothing of the later ones.
    assert FIRST.successor(b"o" * 32) != FIRST.successor(FAMILY.key)


def test_a_token_is_read_as_it_is_written_and_nothing_else_is_one():
    assert read_token(str(FIRST)) == FIRST
    for text in ("", "x", FIRST.secret, f"{FIRST}0", f" {FIRST}", str(FIRST).upper(), f"{FIRST}\n"):
        assert read_token(text) is None, text


def test_the_delay_begins_after_some_failures_doubles_and_stays_at_a_quarter_of_an_hour():
    assert [delay(failures, 5) for failures in range(9)] == [0, 0, 0, 0, 0, 1, 2, 4, 8]
    assert delay(14, 5) == 512
    assert delay(15, 5) == delay(10**9, 5) == LONGEST_DELAY == 900


LIMIT = Limit("x", "account", 5)


def test_an_attempt_waits_for_the_delay_to_the_millisecond():
    known = Attempts(7, NOW)
    assert LIMIT.seconds_left(known, NOW) == 4
    assert LIMIT.seconds_left(known, NOW + timedelta(seconds=3, milliseconds=1)) == 1
    assert LIMIT.seconds_left(known, NOW + timedelta(seconds=4)) == 0
    assert LIMIT.seconds_left(None, NOW) == LIMIT.seconds_left(Attempts(4, NOW), NOW) == 0


def test_failures_are_forgotten_but_not_while_they_lock():
    assert LIMIT.counted(None, NOW) == Attempts(1, NOW)
    later = NOW + FORGOTTEN_AFTER
    assert LIMIT.counted(Attempts(20, NOW), later) == Attempts(21, later)
    assert LIMIT.counted(Attempts(20, NOW), later + A_MOMENT) == Attempts(1, later + A_MOMENT)
    assert timedelta(seconds=LONGEST_DELAY) < FORGOTTEN_AFTER


def test_where_failures_fade_a_few_now_and_then_never_add_up():
    limit, known, now = Limit("x", "account", 3, timedelta(minutes=1)), None, NOW
    for _ in range(50):
        now += timedelta(seconds=max(61, limit.seconds_left(known, now)))
        known = limit.counted(known, now)
    assert known.failures == 1
    # Nor does a flood keep others waiting for longer than some failures take to fade.
    for _ in range(50):
        now += timedelta(seconds=limit.seconds_left(known, now))
        known = limit.counted(known, now)
    assert limit.seconds_left(known, now) <= 128


def test_a_budget_is_spent_and_comes_back_slowly():
    budget = Budget(most=3, per_second=1, left=3, at=100.0)
    assert [budget.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [budget.take(101.5), budget.take(101.5)] == [True, False]
    assert [budget.take(1000.0) for _ in range(4)] == [True, True, True, False]
    assert not budget.take(0.0)  # a clock that goes back gives nothing


@pytest.mark.parametrize("text", ["a.b", "☃" * 22 + "." + "0" * 64])
def test_a_token_of_another_form_is_none(text):
    assert read_token(text) is None
