"""Suspects tried on record: whenever the worker ends, all is applied in order, and only the guilty is parked."""

import asyncio

import pytest

from events.person.outcomes import Applied, Parked
from tests.store import mortal
from tests.store.given import check_stream, create, run, stream, update
from tests.store.mortal import Fate, Town, retry
from workers.deciding import person_batch
from workers.outcomes import BEHIND, ENDED
from workers.parking.attempts import Attempts
from workers.parking.suspects import ATTEMPTS, SUSPECT


@pytest.fixture
def town(monkeypatch) -> Town:
    mortal.without_pause(monkeypatch)
    town = Town()
    town.returns = SUSPECT
    return town


@pytest.fixture
def one(stores):
    """The store on one driver: the cuts are many."""
    return stores["pymongo"]


async def on_record(store, *person_ids: str) -> list[int]:
    found = store._db["attempts"].find({"person_id": {"$in": person_ids}}, sort=[("attempts", 1)])
    return [document["attempts"] for document in await found.to_list(None)]


async def waiting(store, person_id: str) -> list[str]:
    found = store._db["parked"].find({"person_id": person_id}, sort=[("position", 1)])
    return [document["reason"] for document in await found.to_list(None)]


async def applied(store, person_id: str) -> list[str]:
    return [event.command_id for event in await stream(store, person_id)][1:]


async def two(store) -> tuple[str, str]:
    ana, ben = create(), create()
    await run(store, ana, ben)
    return ana.person_id, ben.person_id


def changes(*people: str) -> list:
    return [update(person_id, address=f"{n}") for n in range(3) for person_id in people]


def names(commands, person_id: str) -> list[str]:
    return [command.command_id for command in commands if command.person_id == person_id]


async def test_innocent_suspects_are_applied_in_order_and_leave_no_record(store, town):
    ana, ben = await two(store)
    sent = changes(ana, ben)
    town.send(*sent)
    assert await town.work(store)
    for person_id in (ana, ben):
        assert await applied(store, person_id) == names(sent, person_id)
        await check_stream(store, person_id, 4)
    assert {type(reply) for reply in town.replies} == {Applied}
    assert await on_record(store, ana, ben) == []


@pytest.mark.parametrize("half", [False, True])
async def test_a_worker_may_end_anywhere_in_a_trial(one, town, half):
    cut, lived = 0, False
    while not lived:
        ana, ben = await two(one)
        sent = changes(ana, ben)
        town.queue, town.announced = [], []
        town.send(*sent)
        lived = await town.work(one, Fate(cut, half=half))
        if not lived:
            counts = await on_record(one, ana, ben)
            assert set(counts) <= {0}  # they were together
            # It may have ended with all acknowledged, and only the record left.
            assert not town.queue or await town.work(one)
        for person_id in (ana, ben):
            assert await applied(one, person_id) == names(sent, person_id)
            firsts = [one for one in dict.fromkeys(town.announced) if one in names(sent, person_id)]
            assert firsts == names(sent, person_id)
        assert await waiting(one, ana) == await waiting(one, ben) == []
        cut += 1
    assert cut > 5


async def test_the_one_that_ends_each_worker_is_parked_after_five_lone_attempts(one, town, monkeypatch):
    ana, ben = await two(one)
    sent = changes(ana, ben)
    deadly, fate = sent[0].command_id, Fate()
    decide = person_batch.decide

    def mortally(command, *rest):
        if command.command_id == deadly:
            fate.cut = 0  # whatever is written from now on is not
            fate.seen.append("decide")
            raise mortal.Killed
        return decide(command, *rest)

    monkeypatch.setattr(person_batch, "decide", mortally)
    deaths = 0
    town.send(*sent)
    while not await town.work(one, fate := Fate()):
        deaths += 1
        assert await on_record(one, ana) == ([0] * 3 if deaths == 1 else [0, 0, deaths - 1])
        if deaths > 2:  # the one with the fewest attempts goes first
            assert await applied(one, ben) == names(sent, ben)
    assert deaths == 1 + ATTEMPTS
    assert await waiting(one, ana) == [ENDED.kind, BEHIND.kind, BEHIND.kind]
    assert next(reply.reason for reply in town.replies if isinstance(reply, Parked)) == ENDED.kind
    assert await on_record(one, ana, ben) == []

    town.send(retry(ana))
    deaths = 0
    while not await town.work(one, fate := Fate()):
        deaths += 1
    assert deaths == ATTEMPTS
    assert await waiting(one, ana) == [ENDED.kind, BEHIND.kind, BEHIND.kind]


async def test_an_attempt_that_is_broken_off_is_taken_back(store, town):
    ana, _ = await two(store)
    attempts = Attempts(store._db["attempts"])
    key = (ana, update(ana, address="x").command_id)
    now = mortal.inputs().clock()
    for before in (None, 0, 3):
        began = asyncio.Event()

        async def attempt(before=before, began=began) -> None:
            async with attempts.on_record({key: before}, lone=True, now=now):
                assert await attempts.known([key]) == {key: (before or 0) + 1}
                began.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(attempt())
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await attempts.known([key]) == ({} if before is None else {key: before})
    await attempts.forget([key], now)
    assert await on_record(store, ana) == []
