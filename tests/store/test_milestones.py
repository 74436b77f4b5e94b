"""People with very many versions cost a worker no more than others, on each driver."""

from datetime import timedelta

import pytest

from events.errors import StoreUnavailable
from events.person.decider import fold
from events.person.rejections import PersonNotFound, Superseded
from service_kit import milestones
from service_kit.milestones import MILESTONE_EVERY, milestone_of
from tests.store import mortal
from tests.store.given import (
    NOW,
    check_stream,
    create,
    delete,
    fields,
    long_stream,
    new_value,
    revert,
    run,
    stream,
    streams_of,
    update,
)
from tests.store.mortal import Fate, Town, drop
from workers import streams

LENGTH = 4 * MILESTONE_EVERY - 1


@pytest.fixture
def folded(monkeypatch):
    """The versions that were folded, each time one was."""
    versions: list[int] = []
    evolve = milestones.evolve

    def counting(state, event, schema):
        versions.append(event.version)
        return evolve(state, event, schema)

    monkeypatch.setattr(milestones, "evolve", counting)
    return versions


@pytest.fixture
def town(monkeypatch) -> Town:
    mortal.without_pause(monkeypatch)
    return Town()


async def kept(store, person_id):
    found = await store._db["milestones"].find({"person_id": person_id}, sort=[("version", 1)]).to_list(None)
    return [milestone_of(document) for document in found]


async def test_a_worker_keeps_milestones_and_folds_from_them(store, town, folded):
    log = await long_stream(store, LENGTH)
    person = log[0].person_id
    town.send(update(person, address="x"))
    assert await town.work(store)
    await check_stream(store, person, LENGTH + 1)
    whole = await stream(store, person)
    assert [one.state for one in await kept(store, person)] == [
        fold(person, whole[:version]) for version in range(MILESTONE_EVERY, LENGTH + 2, MILESTONE_EVERY)
    ]
    folded.clear()
    back = revert(person, LENGTH - 5)
    decided = await run(store, back, project=False)
    assert decided.applied[back.command_id].after.fields == fold(person, log[: LENGTH - 5]).fields
    assert decided.applied[back.command_id].event.causation_id == log[LENGTH - 6].event_id
    assert len(folded) <= 2 * MILESTONE_EVERY
    # Delivered again, it is found in the log; so is what came long before, with what it gave up.
    folded.clear()
    early = update(person, address="Calle 250").model_copy(update={"command_id": log[249].command_id})
    again = await run(store, early, back)
    assert again.applied[early.command_id].after == fold(person, log[:250])
    assert again.applied[back.command_id].event == decided.applied[back.command_id].event
    assert len(folded) <= 4 * MILESTONE_EVERY
    assert set(folded).isdisjoint(range(MILESTONE_EVERY + 52, 3 * MILESTONE_EVERY))


async def test_what_was_decided_far_back_costs_little_when_it_is_asked_again(store, folded):
    log = await long_stream(store, LENGTH)
    person = log[0].person_id
    same = update(person, address=f"Calle {LENGTH}")
    assert (await run(store, same)).unchanged == {same.command_id: LENGTH}
    await streams_of(store).extend_milestones(person, LENGTH)
    late = update(person, address="late").model_copy(update={"late": True, "accepted_at": NOW})
    later = update(person, address="z").model_copy(update={"accepted_at": NOW + timedelta(seconds=9)})
    await run(store, later)
    folded.clear()
    decided = await run(store, same, late)
    assert decided.unchanged == {same.command_id: LENGTH}
    assert isinstance(decided.rejections[late.command_id], Superseded)
    assert len(folded) <= 3 * MILESTONE_EVERY


async def test_a_fold_that_is_cut_goes_on_where_it_was(store, folded, monkeypatch):
    """As of a person who had many versions before there were milestones: beyond the limit of an operation."""
    log = await long_stream(store, 2 * streams.PORTION)
    person, finds = log[0].person_id, []
    find = streams.Streams._find

    async def slow(self, collection, wanted, **more):
        finds.append(collection)
        if len(finds) == 4:
            raise StoreUnavailable("too slow")
        return await find(self, collection, wanted, **more)

    monkeypatch.setattr(streams.Streams, "_find", slow)
    back = revert(person, 2 * streams.PORTION - 1)
    with pytest.raises(StoreUnavailable):
        await run(store, back)
    first = folded.copy()
    folded.clear()
    decided = await run(store, back)
    assert decided.applied[back.command_id].after.fields["address"] == f"Calle {2 * streams.PORTION - 1}"
    assert max(first) > streams.PORTION
    assert next(one for one in folded if one > MILESTONE_EVERY) == streams.PORTION + 1


async def test_a_deleted_person_leaves_no_milestone(store, town):
    log = await long_stream(store, LENGTH)
    person = log[0].person_id
    await streams_of(store).extend_milestones(person, LENGTH)
    assert len(await kept(store, person)) == 3
    last, gone = update(person, address="x"), delete(person)
    town.send(last, gone)
    assert await town.work(store)
    assert await kept(store, person) == []
    # Nor when another worker, which knows of no deletion, keeps some only now.
    await streams_of(store).extend_milestones(person, LENGTH)
    decided = await run(store, last, gone, revert(person, 1))
    assert {type(one) for one in decided.rejections.values()} == {PersonNotFound}
    assert decided.applied.keys() == {last.command_id, gone.command_id}
    assert await kept(store, person) == []


async def test_one_who_is_deleted_while_milestones_are_written_keeps_none(store, monkeypatch):
    log = await long_stream(store, LENGTH)
    person = log[0].person_id
    its, looked = streams_of(store), []
    look = its._is_deleted

    async def deleted_meanwhile(person_id):
        looked.append(await look(person_id))
        if looked == [False]:
            await run(store, delete(person))
            await its.remove_milestones([person])
        return looked[-1]

    monkeypatch.setattr(its, "_is_deleted", deleted_meanwhile)
    await its.extend_milestones(person, LENGTH)
    assert looked == [False, True]
    assert await kept(store, person) == []


async def test_a_worker_that_dies_over_milestones_leaves_them_to_the_next(stores, town):
    store = stores["pymongo"]
    log = await long_stream(store, LENGTH)
    person, died = log[0].person_id, 0
    town.send(update(person, address="x"), update(person, address="y"))
    while not await town.work(store, Fate(died, half=True)):
        died += 1
    assert died > 3
    assert [one.state.version for one in await kept(store, person)] == [200, 400, 600, 800]
    await check_stream(store, person, LENGTH + 2)


async def test_a_failing_milestone_parks_nobody(store, town, monkeypatch):
    log = await long_stream(store, LENGTH)

    def faulty(step):
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(streams, "milestone_at", faulty)
    town.send(update(log[0].person_id, address="x"))
    assert await town.work(store)
    assert (town.replies[-1].version, await kept(store, log[0].person_id)) == (LENGTH + 1, [])


async def test_values_of_dropped_commands_are_freed_though_the_stream_is_long(store, town):
    log = await long_stream(store, LENGTH)
    person, number = log[0].person_id, new_value()
    await mortal.damage(store, person)
    other = fields(document_id=number)
    command = update(person, document_id=number)
    town.send(command, drop(person, command.command_id))
    assert await town.work(store)
    assert not (await run(store, create(**other.model_dump(exclude_none=True)))).rejections
