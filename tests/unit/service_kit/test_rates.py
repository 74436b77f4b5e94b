"""How many requests a key may send, told by a clock of the test's own."""

import pytest

from service_kit.http.rates import Quota, QuotaUse, Rate


def test_a_quota_may_be_used_at_once_and_comes_back_evenly():
    rate = Rate(Quota(4, 2))
    assert [rate.take("a", 100.0).remaining for _ in range(4)] == [3, 2, 1, 0]
    assert rate.take("a", 100.0) == QuotaUse(False, 0, 1)
    assert not rate.take("a", 100.49).allowed
    assert rate.take("a", 100.5) == QuotaUse(True, 0, 2)
    assert not rate.take("a", 100.5).allowed
    assert rate.take("a", 500.0) == QuotaUse(True, 3, 1)


def test_what_was_refused_does_not_count():
    rate = Rate(Quota(1, 10))
    assert rate.take("a", 0.0).allowed
    assert [rate.take("a", float(second)).seconds for second in range(1, 10)] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert rate.take("a", 10.0).allowed


def test_over_a_long_time_no_more_than_the_quota_passes():
    rate = Rate(Quota(30, 10))
    passed = sum(rate.take("a", step / 100).allowed for step in range(100_00))
    assert passed == 30 + 3 * 100 - 1


def test_keys_are_apart_and_the_one_that_came_least_recently_is_forgotten():
    rate = Rate(Quota(2, 1000), remembered=2)
    assert [rate.take(key, 0.0).remaining for key in ("a", "b", "a")] == [1, 1, 0]
    assert rate.take("c", 2.0).allowed
    assert not rate.take("a", 3.0).allowed, "forgotten, though it came later than b"
    assert rate.take("b", 4.0).remaining == 1, "remembered more than it may"
    assert len(rate._due) == 2


def test_a_quota_is_read_or_refused():
    assert Quota.read("1000/10") == Quota(1000, 10)
    assert Quota.read("0") is None


@pytest.mark.parametrize(
    "text", ["", "1000", "10/s", "0/10", "10/0", "-1/5", "1/2/3", "1.5/1", "1e3/1", " 1/1"]
)
def test_a_quota_has_one_form(text):
    with pytest.raises(ValueError, match="requests/seconds"):
        Quota.read(text)
