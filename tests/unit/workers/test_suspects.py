"""Which messages are suspects, what they hold back, and in what order they are tried."""

import asyncio

import pytest

from tests.store.given import update
from tests.store.mortal import retry
from workers.consuming.deliveries import Batch, Delivery, DeliveryQueue, Partition, acknowledge_batch
from workers.parking.suspects import ATTEMPTS, SUSPECT, TOGETHER, Suspects

ANA, BEN, EVE = (f"0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b{n:02}" for n in range(3))


class Channel:
    def __init__(self) -> None:
        self.acknowledged: list[tuple[int, bool]] = []

    async def basic_ack(self, tag: int, *, multiple: bool, wait: bool) -> None:
        self.acknowledged.append((tag, multiple))


@pytest.fixture
def partition() -> Partition:
    return Partition(0, None, Channel())  # type: ignore[arg-type]


def delivery(partition: Partition, returns: int = 0, tag: int = 1) -> Delivery:
    return Delivery(partition, tag, b"", None, None, None, returns)


def held(partition: Partition, *people: str) -> Suspects:
    suspects = Suspects()
    for person_id in people:
        suspects.add(delivery(partition, SUSPECT), update(person_id, address="x"))
    return suspects


def on_record(suspects: Suspects, *attempts: int | None) -> None:
    for one, count in zip(suspects.unknown(), attempts, strict=True):
        one.known, one.attempts = True, count


def tried(suspects: Suspects) -> list[tuple[list[str], bool]]:
    """Return the people of each trial, and whether it was a lone one, until nothing is held."""
    trials = []
    while trial := suspects.choose():
        trials.append(([one.message.person_id for one in trial.messages], trial.lone))
        suspects.take(trial)
    return trials


def test_what_was_delivered_often_is_a_suspect_and_what_follows_of_its_person_waits(partition):
    suspects = Suspects()
    assert not suspects.concerns(delivery(partition, SUSPECT - 1), update(ANA, address="x"))
    assert suspects.concerns(delivery(partition, SUSPECT), update(ANA, address="x"))
    suspects.add(delivery(partition, SUSPECT), update(ANA, address="x"))
    assert suspects.concerns(delivery(partition), update(ANA, address="x"))
    assert not suspects.concerns(delivery(partition), update(BEN, address="x"))


def test_suspects_of_which_nothing_is_on_record_are_tried_together(partition):
    suspects = held(partition, ANA, BEN, ANA, EVE)
    assert tried(suspects) == [([ANA, ANA, BEN, EVE], False)]
    assert len(suspects) == 0
    assert [len(people) for people, _ in tried(held(partition, *[ANA] * (TOGETHER + 1)))] == [TOGETHER, 1]


def test_after_a_trial_that_ended_its_worker_each_is_tried_alone_the_least_tried_first(partition):
    suspects = held(partition, ANA, BEN, EVE)
    on_record(suspects, 2, 0, 1)
    assert tried(suspects) == [([BEN], True), ([EVE], True), ([ANA], True)]


def test_nobody_overtakes_a_suspect_of_the_same_person(partition):
    suspects = held(partition, ANA, ANA, BEN)
    on_record(suspects, 3, None, None)
    assert tried(suspects) == [([BEN], True), ([ANA], True), ([ANA], True)]


def test_what_had_all_its_attempts_is_not_tried_any_more(partition):
    suspects = held(partition, ANA, BEN)
    on_record(suspects, None, ATTEMPTS)
    trial = suspects.choose()
    assert (trial.messages[0].message.person_id, trial.over) == (BEN, True)


def test_what_an_operator_asks_is_tried_alone(partition):
    suspects = held(partition, ANA)
    suspects.add(delivery(partition, SUSPECT), retry(BEN))
    suspects.add(delivery(partition), update(BEN, address="x"))
    assert tried(suspects) == [([ANA], True), ([BEN], True), ([BEN], True)]


def test_what_is_handed_over_is_forgotten(partition):
    suspects = held(partition, ANA)
    suspects.add(delivery(Partition(1, None, None), SUSPECT), update(BEN, address="x"))
    partition.leaving = True
    assert tried(suspects) == [([BEN], True)]


async def test_what_is_set_aside_is_not_acknowledged_with_what_comes_after_it(partition):
    first, second, third = (delivery(partition, tag=tag) for tag in (1, 2, 3))
    partition.set_aside.add(2)
    await acknowledge_batch(Batch([first, third]))
    await acknowledge_batch(Batch([second], is_trial=True))
    await acknowledge_batch(Batch([delivery(partition, tag=4), delivery(partition, tag=5)]))
    assert partition.channel.acknowledged == [(1, False), (3, False), (2, False), (5, True)]


async def test_the_queue_of_deliveries_waits_no_longer_than_it_is_told():
    deliveries = DeliveryQueue()
    async with asyncio.timeout(60):
        assert await deliveries.take_some(10, 0.01) == []
    assert not deliveries.closed
