"""One person's commands fail: that person waits, all others go on, and nothing is lost, doubled or reordered."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from events.person.decider import fold
from events.person.outcomes import Applied, Parked, Rejected
from events.person.rejections import Dropped
from service_kit.ids import new_id
from tests.store import mortal
from tests.store.given import NOW, check_stream, create, delete, new_value, run, stream, update
from tests.store.mortal import Fate, Town, damage, drop, repair, retry
from tests.system import eventually
from tests.transport import known_keys
from workers.consuming import pipeline
from workers.deciding import person_batch
from workers.outcomes import BEHIND
from workers.parking.expiry import ParkedExpiry
from workers.parking.parked import WaitingCommands
from workers.parking.retrying import ControlHandler


@pytest.fixture
def town(monkeypatch) -> Town:
    mortal.without_pause(monkeypatch)
    return Town()


@pytest.fixture
def one(stores):
    """The store on one driver: the cuts are many."""
    return stores["pymongo"]


async def line(store, person_id) -> list[str]:
    return [
        command_id
        for command_id, _ in await WaitingCommands(store._db["parked"], known_keys()).oldest(person_id, 1000)
    ]


async def why(store, person_id) -> list[tuple[str, int]]:
    found = store._db["parked"].find({"person_id": person_id}, sort=[("position", 1)])
    return [(document["reason"], document["attempts"]) for document in await found.to_list(None)]


def names(commands) -> list[str]:
    return [command.command_id for command in commands]


def first_times(ids) -> list[str]:
    return list(dict.fromkeys(ids))


async def people(store, *, damaged: bool = True) -> tuple[str, str]:
    """Return the ids of one who is damaged and one who is well."""
    ill, well = create(), create()
    await run(store, ill, well)
    if damaged:
        await damage(store, ill.person_id)
    return ill.person_id, well.person_id


async def heal(store, person_id) -> None:
    await repair(store, person_id, fold(person_id, await stream(store, person_id)))


async def applied(store, person_id) -> list[str]:
    return [event.command_id for event in await stream(store, person_id)][1:]


async def test_one_is_parked_and_the_other_goes_on(store, town):
    ill, well = await people(store)
    mine = [update(ill, address=f"{n}") for n in range(3)]
    theirs = [update(well, address=f"{n}") for n in range(3)]
    town.send(*(command for pair in zip(mine, theirs, strict=True) for command in pair))
    assert await town.work(store)
    assert await applied(store, well) == town.announced == names(theirs)
    assert await applied(store, ill) == []
    assert await line(store, ill) == names(mine)
    assert await why(store, ill) == [("ValueError", 1), (BEHIND.kind, 0), (BEHIND.kind, 0)]
    told = [type(outcome) for outcome in town.replies]
    assert told == [Parked, Applied] * 3
    assert "no time" not in town.replies[0].detail


@pytest.mark.parametrize("at_once", [1, 500])
async def test_later_commands_wait_though_the_cause_is_gone_and_a_retry_applies_all_in_order(
    store, town, monkeypatch, at_once
):
    monkeypatch.setattr(pipeline, "BATCH", at_once)
    ill, _ = await people(store)
    before = [update(ill, address="a"), update(ill, occupation="b")]
    town.send(*before)
    assert await town.work(store)
    await heal(store, ill)
    between, after = update(ill, 3, address="c"), update(ill, 4, address="d")
    town.send(between, before[0], retry(ill), after)
    assert await town.work(store)
    wanted = names([*before, between, after])
    assert await applied(store, ill) == town.announced == wanted
    assert await line(store, ill) == []
    await check_stream(store, ill, 5)


@pytest.mark.parametrize("at_once", [1, 2, 500])
async def test_one_command_that_fails_holds_up_those_behind_it(one, town, monkeypatch, at_once):
    ill, well = await people(one, damaged=False)
    mine = [update(ill, address=f"{n}") for n in range(4)]
    theirs = [update(well, address=f"{n}") for n in range(4)]
    decide = person_batch.decide

    def faulty(command, *rest):
        if command.command_id == mine[1].command_id:
            raise ZeroDivisionError("a bug of ours")
        return decide(command, *rest)

    monkeypatch.setattr(pipeline, "BATCH", at_once)
    with monkeypatch.context() as patch:
        patch.setattr(person_batch, "decide", faulty)
        town.send(*(command for pair in zip(mine, theirs, strict=True) for command in pair))
        assert await town.work(one)
    assert await applied(one, ill) == [mine[0].command_id]
    assert await applied(one, well) == names(theirs)
    assert await line(one, ill) == names(mine[1:])
    assert await why(one, ill) == [("ZeroDivisionError", 1), (BEHIND.kind, 0), (BEHIND.kind, 0)]
    town.send(mine[0], last := update(ill, address="z"), retry(ill))
    assert await town.work(one)
    assert await applied(one, ill) == names([*mine, last])
    assert first_times(c for c in town.announced if c not in names(theirs)) == names([*mine, last])
    await check_stream(one, ill, 6)


async def test_a_retry_in_vain_says_so_and_changes_nothing(store, town):
    ill, _ = await people(store)
    commands = [update(ill, address="a"), update(ill, address="b")]
    town.send(*commands, retry(ill), retry(ill))
    assert await town.work(store)
    assert await line(store, ill) == names(commands)
    assert await why(store, ill) == [("ValueError", 3), (BEHIND.kind, 0)]
    assert town.announced == []


async def test_what_is_dropped_is_refused_on_record_and_the_rest_waits_for_a_retry(store, town):
    ill, _ = await people(store)
    commands = [update(ill, address="a"), update(ill, address="b"), update(ill, address="c")]
    town.send(*commands, drop(ill, commands[1].command_id))
    assert await town.work(store)
    assert await line(store, ill) == names([commands[0], commands[2]])
    await heal(store, ill)
    town.send(retry(ill), commands[1])
    assert await town.work(store)
    assert await applied(store, ill) == names([commands[0], commands[2]])
    refused = await store.eventless([ill], [commands[1].command_id])
    record = refused[commands[1].command_id]
    assert (record["code"], "grace" in record["detail"]) == (Dropped.code, True)
    assert town.replies[-1] == Rejected(code="dropped", detail=record["detail"])


async def test_what_has_waited_too_long_is_dropped_by_the_rule_and_no_other(empty, town):
    store, _ = empty
    ill, _ = await people(store)
    commands = [update(ill, address="a"), update(ill, address="b"), update(ill, address="c")]
    town.send(*commands)
    assert await town.work(store)
    parked = store._db["parked"]
    for command, days in zip(commands, (31, 30, 29), strict=True):
        since = {"$set": {"parked_at": NOW - timedelta(days=days)}}
        await parked.update_one({"person_id": ill, "command_id": command.command_id}, since)
    asked = []

    async def hand_in(controls) -> None:
        asked.extend(controls)

    client, name, keep = store._db.client, store._db.name, timedelta(days=30)
    expiry = ParkedExpiry(client, name, keep, hand_in, lambda: NOW, new_id)
    assert await expiry.ask() == 1
    assert [one.data.command_ids for one in asked] == [(commands[0].command_id,)]
    town.send(*asked)
    assert await town.work(store)
    assert await line(store, ill) == names(commands[1:])
    (record,) = (await store.eventless([ill], [commands[0].command_id])).values()
    assert (record["code"], "by rollcall" in record["detail"]) == (Dropped.code, True)
    assert await expiry.ask() == 0


async def test_all_of_a_line_is_dropped(store, town):
    ill, _ = await people(store)
    commands = [update(ill, address="a"), delete(ill)]
    town.send(*commands, drop(ill))
    assert await town.work(store)
    assert await line(store, ill) == []
    assert len(await store.eventless([ill], names(commands))) == 2
    await heal(store, ill)
    town.send(last := update(ill, 1, address="z"))
    assert await town.work(store)
    assert await applied(store, ill) == [last.command_id]


async def test_a_dropped_command_keeps_no_value(store, town, monkeypatch):
    ill, _ = await people(store, damaged=False)
    value = new_value()
    move = update(ill, document_id=value)
    insert = store.append_each

    async def refuse(events):
        if any(event.command_id == move.command_id for event in events):
            raise ValueError("a document that cannot be")
        return await insert(events)

    monkeypatch.setattr("workers.store.Store.append_each", lambda _, events: refuse(events))
    town.send(move)
    assert await town.work(store)
    assert (await run(store, create(document_id=value))).rejections
    town.send(drop(ill))
    assert await town.work(store)
    monkeypatch.undo()
    assert not (await run(store, create(document_id=value))).rejections


@pytest.mark.parametrize("at_once", [1, 500])
async def test_an_event_that_cannot_be_projected_parks_its_person_with_what_followed(
    one, town, monkeypatch, at_once
):
    ill, well = await people(one, damaged=False)
    mine = [update(ill, address=f"{n}") for n in range(4)]
    theirs = [update(well, address=f"{n}") for n in range(4)]
    project = type(one).project

    async def refuse(self, changes):
        if ill in [change.after.person_id for change in changes]:
            raise ValueError("a document that cannot be")
        await project(self, changes)

    monkeypatch.setattr(pipeline, "BATCH", at_once)
    with monkeypatch.context() as patch:
        patch.setattr(type(one), "project", refuse)
        town.send(*(command for pair in zip(mine, theirs, strict=True) for command in pair))
        assert await town.work(one)
        assert town.announced == names(theirs)
        assert await line(one, ill) == names(mine)
        town.send(drop(ill, mine[0].command_id), retry(ill))  # what is in the log cannot be given up
        assert await town.work(one)
        assert await line(one, ill) == names(mine)
    town.send(last := update(ill, address="z"), retry(ill))
    assert await town.work(one)
    assert await applied(one, ill) == names([*mine, last])
    assert first_times(town.announced[4:]) == names([*mine, last])
    await check_stream(one, ill, 6)
    await check_stream(one, well, 5)


async def test_what_was_decided_while_its_person_was_being_parked_waits_too(one, town, monkeypatch):
    ill, _ = await people(one, damaged=False)
    mine = [update(ill, address=f"{n}") for n in range(3)]
    project, refused = type(one).project, []

    async def refuse_once(self, changes):
        if refused:
            await project(self, changes)
            return
        await eventually(lambda: _has(one, ill, 2))  # the next batch is decided by now
        refused.append(changes)
        raise ValueError("a document that cannot be")

    monkeypatch.setattr(pipeline, "BATCH", 1)
    monkeypatch.setattr(type(one), "project", refuse_once)
    town.send(*mine)
    assert await town.work(one)
    assert town.announced == []
    assert await line(one, ill) == names(mine)
    town.send(retry(ill))
    assert await town.work(one)
    assert town.announced == await applied(one, ill) == names(mine)
    await check_stream(one, ill, 4)


async def _has(store, person_id: str, events: int) -> bool:
    return len(await applied(store, person_id)) >= events


async def test_a_retry_waits_for_what_came_before_it(one, town, monkeypatch):
    ill, _ = await people(one)
    mine = [update(ill, address=f"{n}") for n in range(3)]
    town.send(mine[0])
    assert await town.work(one)
    await heal(one, ill)
    park, carry_out, early = WaitingCommands.park, ControlHandler.carry_out, asyncio.Event()

    async def late(self, waiting, now):
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await early.wait()
        await park(self, waiting, now)

    async def noted(self, control):
        await carry_out(self, control)
        early.set()

    monkeypatch.setattr(WaitingCommands, "park", late)
    monkeypatch.setattr(ControlHandler, "carry_out", noted)
    town.send(mine[1], retry(ill), mine[2])
    assert await town.work(one)
    assert await line(one, ill) == []
    assert await applied(one, ill) == town.announced == names(mine)


async def test_a_fault_that_is_nobody_s_ends_the_worker_and_parks_nobody(one, town, monkeypatch):
    ill, _ = await people(one, damaged=False)

    async def no_memory(_self, _people):
        raise MemoryError

    town.send(update(ill, address="a"))
    with monkeypatch.context() as patch:
        patch.setattr(type(one), "heads", no_memory)
        with pytest.raises(MemoryError):
            await town.work(one)
    assert await line(one, ill) == []
    assert await town.work(one)
    assert len(await applied(one, ill)) == 1


async def story(store, town: Town, fate: Fate) -> tuple[list[str], list[str]]:
    """Live through parking, appending, a retry in vain, a drop and a retry; die once, as is its fate.

    Whoever dies is replaced, and gets again what it had not acknowledged.
    """
    ill, well = await people(store)
    mine = [update(ill, address=f"{n}") for n in range(5)]
    theirs = [update(well, address=f"{n}") for n in range(3)]
    chapters = [
        [theirs[0], mine[0], mine[1], theirs[1]],
        [mine[2], retry(ill), mine[3]],
        [drop(ill, mine[2].command_id)],
        [retry(ill), mine[4], theirs[2]],
    ]
    for number, chapter in enumerate(chapters):
        if number == 3:
            await heal(store, ill)
        town.send(*chapter)
        while not await town.work(store, fate):
            fate = Fate()
    kept = [mine[0], mine[1], mine[3], mine[4]]
    assert await applied(store, ill) == names(kept)
    assert await applied(store, well) == names(theirs)
    assert (await store.eventless([ill], names(mine))).keys() == {mine[2].command_id}
    assert await line(store, ill) == []
    announced = {"ill": [], "well": []}
    for command_id in first_times(town.announced):
        announced["ill" if command_id in names(mine) else "well"].append(command_id)
    assert announced == {"ill": names(kept), "well": names(theirs)}
    await check_stream(store, ill, 5)
    await check_stream(store, well, 4)
    return fate.seen, names(kept)


async def test_a_worker_killed_at_any_write_loses_doubles_and_reorders_nothing(one, town, monkeypatch):
    monkeypatch.setattr(pipeline, "BATCH", 3)
    whole = Fate()
    await story(one, Town(), whole)
    steps = whole.seen
    assert {"insert 2 parked", "delete parked", "update parked", "announce", "ack"} <= set(steps)
    at_once = asyncio.Semaphore(8)  # each is about other people

    async def again(cut: int, half: bool) -> None:
        async with at_once:
            await story(one, Town(), Fate(cut, half=half))

    async with asyncio.TaskGroup() as group:
        for cut, what in enumerate(steps):
            group.create_task(again(cut, half=False))
            if what in ("announce", "delete parked") or what.startswith(("insert 2", "insert 3")):
                group.create_task(again(cut, half=True))
