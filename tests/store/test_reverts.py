"""The way back to an earlier version on a real MongoDB, on each driver."""

import asyncio

from events.person.rejections import PersonNotFound, UnknownVersion
from tests.store.given import check_stream, create, delete, new_value, revert, run, stream, update


async def test_a_revert_returns_to_a_version_of_the_log(store):
    first = create(address="a")
    person = first.person_id
    await run(store, first, update(person, address="b", gender="male"), update(person, address=None))
    back = revert(person, 2)
    decided = await run(store, back)
    event = decided.applied[back.command_id].event
    assert (event.type, event.version, event.data) == ("person.updated", 4, {"address": "b"})
    assert event.causation_id == (await stream(store, person))[1].event_id
    await check_stream(store, person, 4)


async def test_a_revert_may_want_back_what_its_own_batch_appends(store):
    first = create(address="a")
    person = first.person_id
    batch = [
        first,
        update(person, address="b"),
        update(person, address="c"),
        revert(person, 2),
        revert(person, 1),
        revert(person, 4),
        revert(person, 99),
    ]
    decided = await run(store, *batch)
    assert isinstance(decided.rejections[batch[-1].command_id], UnknownVersion)
    log = await stream(store, person)
    assert [event.data.get("address") for event in log] == ["a", "b", "c", "b", "a", "b"]
    await check_stream(store, person, 6)


async def test_a_revert_that_was_unknown_stays_refused_when_the_version_has_come(store):
    first = create()
    person = first.person_id
    early = revert(person, 2)
    await run(store, first, early, update(person, address="b"))
    decided = await run(store, early)
    assert isinstance(decided.rejections[early.command_id], UnknownVersion)
    await check_stream(store, person, 2)


async def test_a_repeated_revert_is_one_event(store):
    first = create(address="a")
    person = first.person_id
    back = revert(person, 1)
    await run(store, first, update(person, address="b"))
    once = await run(store, back, project=False)
    again = await run(store, back, update(person, address="c"))
    assert again.applied[back.command_id].event == once.applied[back.command_id].event
    await check_stream(store, person, 4)


async def test_what_the_client_names_as_the_cause_is_kept(store):
    first = create(address="a")
    back = revert(first.person_id, 1).model_copy(update={"causation_id": "ticket-7"})
    decided = await run(store, first, update(first.person_id, address="b"), back)
    assert decided.applied[back.command_id].event.causation_id == "ticket-7"


async def test_a_value_that_somebody_else_has_taken_does_not_come_back(store):
    number = new_value()
    first = create(document_id=number)
    person = first.person_id
    await run(store, first, update(person, document_id=new_value()))
    await run(store, create(document_id=number))
    back = revert(person, 1)
    decided = await run(store, back)
    assert decided.rejections[back.command_id].code == "duplicate-document"
    await check_stream(store, person, 2)


async def test_a_value_that_is_free_comes_back_and_is_held(store):
    number, other = new_value(), new_value()
    first = create(document_id=number)
    person = first.person_id
    await run(store, first, update(person, document_id=other), revert(person, 1))
    assert (await run(store, create(document_id=number))).rejections
    assert not (await run(store, create(document_id=other))).rejections
    await check_stream(store, person, 3)


async def test_a_deleted_person_stays_deleted(store):
    first = create()
    person = first.person_id
    back = revert(person, 1)
    decided = await run(store, first, delete(person), back)
    assert isinstance(decided.rejections[back.command_id], PersonNotFound)
    await check_stream(store, person, 2)


async def test_reverts_that_race_end_in_one_order(store):
    first = create(address="0")
    person = first.person_id
    await run(store, first, *(update(person, address=str(n)) for n in range(1, 4)))
    batches = [[revert(person, n), update(person, address=f"x{n}")] for n in range(1, 5)]
    results = await asyncio.gather(*(run(store, *batch) for batch in batches))
    assert not any(result.rejections for result in results)
    log = await stream(store, person)
    by_command = {event.command_id: event for event in log}
    unchanged = {id_: version for result in results for id_, version in result.unchanged.items()}
    for version, (back, _) in enumerate(batches, 1):
        # One that came first of all found the person as it was to be.
        event = by_command.get(back.command_id)
        at = event.version if event else unchanged[back.command_id]
        after = [one.data["address"] for one in log[:at] if "address" in one.data][-1]
        assert after == str(version - 1)
    await check_stream(store, person, 12 - len(unchanged))
