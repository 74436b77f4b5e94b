"""Commands that were dead letters and are handed in again: never put over newer values."""

import json
from datetime import timedelta

from events.person.commands import decode_command, encode_command
from events.person.rejections import PersonExists, Superseded
from tests.default_schema import SCHEMA
from tests.store.given import NOW, create, run, stream, update


def at(seconds: int, command, **more):
    return command.model_copy(update={"accepted_at": NOW + timedelta(seconds=seconds), **more})


async def test_a_late_command_is_applied_unless_a_later_one_was(store):
    ana = create()
    first, second, third = (update(ana.person_id, address=f"{n}") for n in range(3))
    await run(store, at(0, ana), at(20, second))
    decided = await run(store, at(10, first, late=True), at(30, third, late=True))
    assert isinstance(decided.rejections[first.command_id], Superseded)
    assert [event.command_id for event in await stream(store, ana.person_id)] == [
        command.command_id for command in (ana, second, third)
    ]
    again = await run(store, at(10, first, late=True), at(30, third, late=True))
    assert again.rejections.keys() == {first.command_id}
    assert again.applied.keys() == {third.command_id}


async def test_a_command_before_it_in_the_batch_overtakes_it_too(store):
    ana = create()
    late, newer = update(ana.person_id, address="old"), update(ana.person_id, address="new")
    await run(store, at(0, ana))
    decided = await run(store, at(20, newer), at(10, late, late=True))
    assert decided.rejections.keys() == {late.command_id}
    assert decided.states[ana.person_id].fields["address"] == "new"


async def test_late_commands_of_one_person_are_applied_in_order(store):
    ana = create()
    changes = [at(n, update(ana.person_id, address=f"{n}"), late=True) for n in range(1, 6)]
    decided = await run(store, at(0, ana, late=True), *changes)
    assert not decided.rejections
    assert [event.command_id for event in await stream(store, ana.person_id)][1:] == [
        command.command_id for command in changes
    ]
    repeated = await run(store, create(ana.person_id))
    assert [type(rejection) for rejection in repeated.rejections.values()] == [PersonExists]


def test_that_it_is_late_is_told_on_the_wire_and_only_then():
    command = update(create().person_id, address="x")
    assert "late" not in encode_command(command)
    encoded = encode_command(command.model_copy(update={"late": True}))
    assert decode_command(json.dumps(encoded).encode(), SCHEMA).late
