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
    counted,
    delay,
    seconds_left,
)
from command_api.accounts.families import (
    ABSOLUTE,
    GRACE,
    IDLE,
    Family,
    RefreshToken,
    Verdict,
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
    assert judge(FAMILY, FIRST, NOW) is Verdict.EXCHANGE
    assert judge(FAMILY, second, NOW) is Verdict.REUSED  # nobody has it yet
    after = FAMILY.exchanged(FIRST, NOW)
    assert judge(after, second, NOW) is Verdict.EXCHANGE
    assert judge(after, FIRST, NOW + GRACE) is Verdict.REPEAT
    assert judge(after, FIRST, NOW + GRACE + A_MOMENT) is Verdict.REUSED
    # Whoever has the successor has used it: the first one cannot be a lost answer any more.
    assert judge(after.exchanged(second, NOW), FIRST, NOW) is Verdict.REUSED


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_of_a_family_no_more_than_two_tokens_are_ever_worth_something(presented):
    tokens, family = [FIRST], FAMILY
    for index in presented:
        token = tokens[min(index, len(tokens) - 1)]
        if judge(family, token, NOW) is Verdict.EXCHANGE:
            family = family.exchanged(token, NOW)
            tokens.append(token.successor(family.key))
    worth = [token for token in tokens if judge(family, token, NOW) in (Verdict.EXCHANGE, Verdict.REPEAT)]
    assert worth == tokens[-2:]


def test_a_family_ends_by_itself_and_when_it_is_revoked():
    assert judge(FAMILY, FIRST, NOW + IDLE - A_MOMENT) is Verdict.EXCHANGE
    assert judge(FAMILY, FIRST, NOW + IDLE) is Verdict.NOTHING
    busy = replace(FAMILY, exchanged_at=NOW + ABSOLUTE - timedelta(days=1))
    assert judge(busy, FIRST, NOW + ABSOLUTE - A_MOMENT) is Verdict.EXCHANGE
    assert judge(busy, FIRST, NOW + ABSOLUTE) is Verdict.NOTHING
    for over in (None, replace(FAMILY, revoked=True)):
        assert judge(over, FIRST, NOW) is Verdict.NOTHING


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


def test_an_attempt_waits_for_the_delay_to_the_millisecond():
    known = Attempts(7, NOW)
    assert seconds_left(known, 5, NOW) == 4
    assert seconds_left(known, 5, NOW + timedelta(seconds=3, milliseconds=1)) == 1
    assert seconds_left(known, 5, NOW + timedelta(seconds=4)) == 0
    assert seconds_left(None, 5, NOW) == seconds_left(Attempts(4, NOW), 5, NOW) == 0


def test_failures_are_forgotten_but_not_while_they_lock():
    assert counted(None, NOW) == Attempts(1, NOW)
    later = NOW + FORGOTTEN_AFTER
    assert counted(Attempts(20, NOW), later) == Attempts(21, later)
    assert counted(Attempts(20, NOW), later + A_MOMENT) == Attempts(1, later + A_MOMENT)
    assert timedelta(seconds=LONGEST_DELAY) < FORGOTTEN_AFTER


def test_a_budget_is_spent_and_comes_back_slowly():
    budget = Budget(most=3, per_second=1, left=3, at=100.0)
    assert [budget.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [budget.take(101.5), budget.take(101.5)] == [True, False]
    assert [budget.take(1000.0) for _ in range(4)] == [True, True, True, False]
    assert not budget.take(0.0)  # a clock that goes back gives nothing


@pytest.mark.parametrize("text", ["a.b", "☃" * 22 + "." + "0" * 64])
def test_a_token_of_another_form_is_none(text):
    assert read_token(text) is None
