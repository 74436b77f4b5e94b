"""Batches decided on a real MongoDB, on each driver: races, repeats and crashes at every point."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.errors import StoreUnavailable
from events.person.rejections import IdempotencyKeyReused, PersonNotFound, VersionMismatch
from service_kit.ids import new_id
from tests.store.given import (
    NOW,
    check_stream,
    create,
    delete,
    inputs,
    new_value,
    revert,
    run,
    store_in,
    stream,
    update,
)
from workers.outcomes import PersonChange


async def test_a_person_s_commands_of_one_batch_are_applied_in_order(store):
    first = create()
    person = first.person_id
    batch = [first, *(update(person, n, address=f"Calle {n}") for n in range(1, 40)), delete(person)]
    decided = await run(store, *batch)
    assert [decided.applied[c.command_id].event.version for c in batch] == list(range(1, 42))
    assert not decided.rejections
    await check_stream(store, person, 41)


async def test_commands_of_many_people_mix(store):
    people = [create() for _ in range(50)]
    batch = [*people, *(update(c.person_id, 1, gender="male") for c in people)]
    decided = await run(store, *batch)
    assert len(decided.applied) == 100
    assert {one for one, change in decided.changes.items() if change.is_new} == {c.person_id for c in people}
    for command in people:
        await check_stream(store, command.person_id, 2)


async def test_a_refusal_in_the_middle_does_not_stop_the_rest(store):
    first = create()
    wrong = update(first.person_id, 7, gender="male")
    right = update(first.person_id, 1, gender="male")
    nobody = update(new_id(), gender="male")
    decided = await run(store, first, wrong, right, nobody)
    assert set(decided.applied) == {first.command_id, right.command_id}
    assert isinstance(decided.rejections[wrong.command_id], VersionMismatch)
    assert isinstance(decided.rejections[nobody.command_id], PersonNotFound)
    await check_stream(store, first.person_id, 2)


async def test_a_repeated_batch_has_the_same_outcome(store):
    first, other = create(), create()
    batch = [first, update(first.person_id, address="x"), update(first.person_id, 9, address="y"), other]
    once = await run(store, *batch)
    again = await run(store, *batch)
    assert {k: d.event for k, d in again.applied.items()} == {k: d.event for k, d in once.applied.items()}
    assert again.rejections.keys() == once.rejections.keys()
    await check_stream(store, first.person_id, 2)


async def test_a_command_that_changes_nothing_makes_no_event_and_keeps_that_outcome(store):
    first = create(address="x")
    person = first.person_id
    same, back = update(person, address="x"), revert(person, 1)
    decided = await run(store, first, same, back, update(person, 1, address="y"))
    assert decided.unchanged == {same.command_id: 1, back.command_id: 1}
    again = await run(store, same, back)
    assert again.unchanged == decided.unchanged
    states = [one.state.fields["address"] for one in again.outcomes.values()]
    assert states == ["x", "x"]
    later = update(person, 2, address="y")
    assert (await run(store, later)).unchanged == {later.command_id: 2}
    await check_stream(store, person, 2)


def keyed(command, key: str):
    return command.model_copy(update={"idempotency_id": key})


async def test_a_key_is_good_for_the_first_command_that_has_it(store):
    first, key = create(address="x"), new_id()
    person = first.person_id
    await run(store, first)
    mine, others = (
        keyed(update(person, address="y"), key),
        [keyed(update(person, address=text), key) for text in "zz"],
    )
    decided = await run(store, mine, others[0], update(person, address="w"))
    assert isinstance(decided.rejections[others[0].command_id], IdempotencyKeyReused)
    later = await run(store, others[1], mine, others[0])
    assert later.applied.keys() == {mine.command_id}
    assert len(later.rejections) == 2
    await check_stream(store, person, 3)
    # Rejected or unchanged, it has its key all the same.
    for given_, text in ((update(person, 9, address="v"), "u"), (update(person, address="w"), "t")):
        key = new_id()
        await run(store, keyed(given_, key))
        reused = keyed(update(person, address=text), key)
        assert isinstance((await run(store, reused)).rejections[reused.command_id], IdempotencyKeyReused)
    await check_stream(store, person, 3)


async def test_two_workers_give_a_key_to_one_command(store):
    first, key = create(), new_id()
    await run(store, first)
    rivals = [keyed(update(first.person_id, address=f"{n}"), key) for n in range(6)]
    results = await asyncio.gather(*(run(store, rival) for rival in rivals))
    assert sorted(len(one.applied) for one in results) == [0] * 5 + [1]
    assert all(isinstance(x, IdempotencyKeyReused) for one in results for x in one.rejections.values())
    await check_stream(store, first.person_id, 2)


async def test_a_repeat_of_a_command_of_before_whose_id_was_that_of_its_key_changes_nothing(store):
    key = new_id()
    old = create(address="x").model_copy(update={"command_id": key})
    await run(store, old, update(old.person_id, address="y"))
    again = keyed(create(old.person_id), key)
    assert (await run(store, again)).unchanged == {again.command_id: 2}
    assert (await run(store, again)).unchanged == {again.command_id: 2}
    await check_stream(store, old.person_id, 2)


async def test_a_command_twice_in_a_batch_is_one_command(store):
    first = create()
    change = update(first.person_id, address="x")
    decided = await run(store, first, change, change, first, update(first.person_id, 2, address="y"))
    assert len(decided.applied) == 3
    await check_stream(store, first.person_id, 3)


async def test_a_crash_between_append_and_projection_is_repaired_by_the_repeat(store):
    first = create()
    change, after = update(first.person_id, address="x"), update(first.person_id, 2, address="y")
    await run(store, first)
    await run(store, change, project=False)
    decided = await run(store, change, after)
    assert decided.applied[after.command_id].event.version == 3
    await check_stream(store, first.person_id, 3)


async def test_a_crash_after_a_first_event_is_repaired_by_the_repeat(store):
    first = create()
    await run(store, first, project=False)
    await run(store, first, update(first.person_id, 1, address="y"))
    await check_stream(store, first.person_id, 2)


async def test_the_next_batch_does_not_wait_for_the_projection(store):
    first = create()
    decided = await run(store, first, project=False)
    later = await run(store, update(first.person_id, 1, address="y"), unprojected=decided.states)
    assert not later.rejections
    await store.project(decided.changes.values())
    await check_stream(store, first.person_id, 2)


async def test_a_late_projection_does_not_go_back(store):
    first = create()
    early = await run(store, first, project=False)
    await run(store, update(first.person_id, address="y"), delete(first.person_id), unprojected=early.states)
    await store.project(early.changes.values())
    await store.project([PersonChange(None, state, is_new=False) for state in early.states.values()])
    await check_stream(store, first.person_id, 3)


async def test_a_race_with_another_worker_ends_in_one_order(store):
    first = create()
    await run(store, first)
    person = first.person_id
    batches = [[update(person, address=f"{n}-{m}") for m in range(10)] for n in range(4)]
    results = await asyncio.gather(*(run(store, *batch) for batch in batches))
    versions = [d.event.version for r in results for d in r.applied.values()]
    assert sorted(versions) == list(range(2, 42))
    await check_stream(store, person, 41)


async def test_the_same_batch_in_two_workers_at_once_is_applied_once(store):
    first = create()
    batch = [first, *(update(first.person_id, n, address=f"{n}") for n in range(1, 20)), create()]
    one, two = await asyncio.gather(run(store, *batch), run(store, *batch))
    assert {k: d.event.event_id for k, d in one.applied.items()} == {
        k: d.event.event_id for k, d in two.applied.items()
    }
    assert not one.rejections
    assert not two.rejections
    await check_stream(store, first.person_id, 20)


async def test_only_one_of_many_gets_a_document(store):
    rivals = [create(document_id="SAME1") for _ in range(12)]
    results = await asyncio.gather(*(run(store, *rivals[n::3]) for n in range(3)))
    winners = [key for r in results for key in r.applied]
    losers = [x.code for r in results for x in r.rejections.values()]
    assert len(winners) == 1
    assert losers == ["duplicate-document"] * 11


async def test_a_freed_document_is_had_by_the_next(store):
    first, moved = create(document_id="OLD1"), create(document_id="GONE1")
    await run(store, first, moved)
    await run(store, update(first.person_id, document_id="NEW1"), delete(moved.person_id))
    decided = await run(store, create(document_id="OLD1"), create(document_id="GONE1"))
    assert not decided.rejections
    assert (await run(store, create(document_id="NEW1"))).rejections


async def test_a_document_given_up_and_taken_again_in_one_batch_stays_taken(store):
    first = create(document_id="BACK1")
    person = first.person_id
    await run(store, first, update(person, document_id="AWAY1"), update(person, document_id="BACK1"))
    assert (await run(store, create(document_id="BACK1"))).rejections
    assert not (await run(store, create(document_id="AWAY1"))).rejections


async def test_a_refused_command_holds_no_value(store):
    holder = create(document_id="HELD1")
    await run(store, holder)
    person = create()
    await run(store, person)
    both = update(person.person_id, 5, document_id="FREE1")
    taken = create(document_id="HELD1")
    assert len((await run(store, both, taken)).rejections) == 2
    assert not (await run(store, create(document_id="FREE1"))).rejections


async def test_a_crash_before_the_release_is_repaired_by_the_repeat(store, monkeypatch):
    first = create(document_id="STUCK1")
    await run(store, first)
    gone = delete(first.person_id)

    async def crash(_claims):
        raise RuntimeError("crash")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(store, "release", crash)
        await run(store, gone)
    assert (await run(store, create(document_id="STUCK1"))).rejections
    await run(store, gone)
    assert not (await run(store, create(document_id="STUCK1"))).rejections


async def test_a_late_release_does_not_free_a_value_taken_again(store):
    first = create(document_id="MINE1")
    person = first.person_id
    move = update(person, document_id="ELSE1")
    await run(store, first, move, update(person, document_id="MINE1"))
    await run(store, move)
    assert (await run(store, create(document_id="MINE1"))).rejections


async def test_applied_times_never_go_back_whatever_the_clock_does(store):
    first = create()
    given = inputs(NOW, NOW - timedelta(hours=1), NOW + timedelta(hours=1), NOW)
    batch = [first, *(update(first.person_id, address=f"{n}") for n in range(3))]
    await run(store, *batch, given=given)
    await check_stream(store, first.person_id, 4)


async def test_unique_indexes_are_checked_before_work_begins(mongo_client, store):
    await store.check_indexes()
    with pytest.raises(StoreUnavailable, match="initialise"):
        await store_in(mongo_client, "empty").check_indexes()


STEP = st.tuples(st.integers(0, 2), st.sampled_from(["create", "update", "delete", "move", "revert"]))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, min_size=1, max_size=25), st.integers(1, 6), st.randoms(use_true_random=False))
async def test_any_cut_and_repeat_gives_each_command_one_outcome(store, steps, size, random):
    people = [new_id() for _ in range(3)]
    values = [new_value() for _ in range(2)]
    make = {
        "create": create,
        "update": lambda person: update(person, address=random.choice("abc")),
        "delete": delete,
        "move": lambda person: update(person, document_id=random.choice(values)),
        "revert": lambda person: revert(person, random.randint(1, 5)),
    }
    commands = [make[kind](people[n]) for n, kind in steps]
    outcomes: dict[str, object] = {}
    begin = 0
    while begin < len(commands):
        batch = commands[begin : begin + size]
        if random.random() < 0.3:
            await run(store, *batch, project=False)  # a crash: everything is delivered again
        decided = await run(store, *batch)
        for command in batch:
            id_ = command.command_id
            done = decided.applied.get(id_)
            without = decided.unchanged.get(id_) or decided.rejections.get(id_)
            outcomes[id_] = done.event if done else getattr(without, "code", without)
            assert outcomes[id_] is not None
        begin += size
    for person in people:
        log = await stream(store, person)
        assert [e for e in outcomes.values() if getattr(e, "person_id", None) == person] == log
        await check_stream(store, person, len(log))
    for person in people:
        if (await stream(store, person)) and "deleted" not in (await store.heads([person]))[person]:
            await run(store, delete(person))
    # All values are free again.
    last = [create(document_id=value) for value in values]
    assert not (await run(store, *last)).rejections
