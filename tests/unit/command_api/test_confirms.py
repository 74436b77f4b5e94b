"""Which partitions are probed, and what readiness says of those that take nothing."""

from datetime import UTC, datetime

import pytest

from command_api.dispatch.confirms import PROBE_SECONDS, STALE_SECONDS, Confirms
from events.errors import BrokerUnavailable


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def confirms(clock) -> Confirms:
    made = Confirms(3, clock, lambda: datetime(2026, 1, 1, 12, tzinfo=UTC))
    for partition in range(3):
        made.note_confirm(partition)
    return made


def test_a_new_process_has_proved_nothing():
    fresh = Confirms(2)
    assert fresh.due() == [0, 1]
    with pytest.raises(BrokerUnavailable, match=r"commands\.0, commands\.1: no confirm yet"):
        fresh.check_partitions()


def test_a_confirm_is_good_for_a_while_and_probed_before_it_is_not(confirms, clock):
    confirms.check_partitions()
    assert confirms.due() == []
    clock.seconds += PROBE_SECONDS + 1
    assert confirms.due() == [0, 1, 2]
    confirms.check_partitions()
    confirms.note_confirm(1)
    clock.seconds += STALE_SECONDS - PROBE_SECONDS
    with pytest.raises(BrokerUnavailable) as fault:
        confirms.check_partitions()
    assert fault.value.detail == (
        "RabbitMQ: commands.0, commands.2: no confirm since 2026-01-01T11:59:14.000Z (nothing published since)"
    )


def test_a_failure_counts_at_once_until_the_next_confirm(confirms):
    confirms.note_refusal(2, "no answer in time")
    assert confirms.due() == [2] and confirms.failing(2)
    with pytest.raises(BrokerUnavailable, match=r"commands\.2: no confirm since .* \(no answer in time\)"):
        confirms.check_partitions()
    confirms.note_confirm(2)
    confirms.check_partitions()
    assert not confirms.failing(2)
