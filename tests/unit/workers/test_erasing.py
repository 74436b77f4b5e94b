"""An erase ahead of what waits, and the order of an erasure's steps."""

from datetime import UTC, datetime

import pytest

from events.log.event import RecordedEvent, record
from events.person.decider import Event, PersonState
from service_kit.seals.person_key import PersonKey
from tests.default_schema import SCHEMA
from tests.unit.events.test_erasing import ID, create, erase, hold, lift, update
from workers.erasing.ahead import ahead_of_line
from workers.outcomes import AppliedCommand, ParkedCommand, PersonChange
from workers.projecting.projector import Projector

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
HERE = PersonState(ID, "active", 3, "h")


def test_an_erase_goes_ahead_and_what_came_with_it_follows():
    before, after = update(1, address="a"), update(3, address="b")
    decided = ahead_of_line(HERE, [], [before, gone := erase(2), after])
    assert decided == (HERE, [gone], [before, after])


def test_a_hold_that_waits_refuses_it_and_is_named():
    state, decided, following = ahead_of_line(HERE, [hold(1)], [erase(2)])
    assert (dict(state.holds), [one.type for one in decided], following) == (
        {"2026-114": "litigation"},
        ["person.erase"],
        [],
    )


def test_a_hold_that_came_with_it_refuses_it_and_waits_itself():
    state, _, following = ahead_of_line(HERE, [], [mine := hold(1), erase(2)])
    assert (bool(state.holds), following) == (True, [mine])


def test_a_hold_whose_end_waits_too_is_decided_first_with_its_end():
    first, end = hold(1), lift(2)
    _, decided, _ = ahead_of_line(HERE, [first, end], [erase(3)])
    assert [one.type for one in decided] == ["person.hold", "person.lift_hold", "person.erase"]


def test_a_hold_after_the_erase_comes_too_late():
    _, decided, following = ahead_of_line(HERE, [], [erase(1), late := hold(2)])
    assert ([one.type for one in decided], following) == (["person.erase"], [late])


def test_an_erase_for_another_version_is_refused_before_anything_of_the_line_is_decided():
    _, decided, _ = ahead_of_line(HERE, [hold(1), lift(2)], [erase(3, expected_versions={9})])
    assert [one.type for one in decided] == ["person.erase"]


def test_a_hold_behind_a_create_that_waits_counts_as_well():
    nobody = PersonState(ID, awaited=True)
    assert ahead_of_line(nobody, [hold(1)], [erase(2)])[0].holds
    assert [one.type for one in ahead_of_line(nobody, [hold(1), lift(2)], [erase(3)])[1]] == ["person.erase"]


class Killed(BaseException):
    """The worker is no more."""


class Steps:
    """Stands for all that a projector works with, notes the steps, and dies before one of them."""

    def __init__(self, before: int | None = None) -> None:
        self.seen: list[str] = []
        self._left = before

    def step(self, what: str) -> None:
        if self._left == len(self.seen):
            raise Killed
        self.seen.append(what)

    async def let_go(self, events: list[RecordedEvent]) -> None:
        if events:
            self.step("let go")

    async def destroy_keys(self, events: list[RecordedEvent]) -> None:
        if events:
            self.step("destroy")

    async def project(self, changes) -> None:
        if self.refuses:
            raise ValueError("a document that cannot be")
        self.step("tombstone")

    async def remove_milestones(self, people) -> None:
        pass

    async def announce(self, frames) -> None:
        self.step("announce")

    def encode_announcement(self, event) -> bytes:
        return b""

    async def reconciled(self, events) -> None:
        pass

    refuses = False


def erased():
    command = erase(2)
    event = record(
        Event("person.erased", {"reason": "asked"}),
        command,
        schema=SCHEMA,
        key=PersonKey(bytes(64)),
        event_id="e",
        version=2,
        applied_at=NOW,
        prev="0" * 64,
    )
    state = PersonState(ID, "erased", 2, event.hash)
    return {command.command_id: AppliedCommand(command, event, state, PersonChange(None, state, False))}


async def carry_out(steps: Steps, outcomes):
    projector = Projector(steps, steps, steps, steps.reconciled, steps)  # type: ignore[arg-type]
    return await projector.announce_events(await projector.project_people(outcomes))


ORDER = ["let go", "tombstone", "destroy", "announce"]


async def test_the_key_is_destroyed_last_and_then_the_erasure_is_announced():
    steps = Steps()
    await carry_out(steps, erased())
    assert steps.seen == ORDER


@pytest.mark.parametrize("at", range(len(ORDER)))
async def test_who_is_killed_at_a_step_has_done_those_before_and_the_next_one_does_all(at):
    steps = Steps(at)
    with pytest.raises(Killed):
        await carry_out(steps, erased())
    assert steps.seen == ORDER[:at]
    again = Steps()
    await carry_out(again, erased())
    assert again.seen == ORDER


async def test_a_person_who_still_stands_in_the_read_model_keeps_the_key():
    steps = Steps()
    steps.refuses = True
    (outcome,) = (await carry_out(steps, erased())).values()
    assert isinstance(outcome, ParkedCommand)
    assert "destroy" not in steps.seen


def test_a_create_is_none_of_what_goes_ahead():
    assert ahead_of_line(HERE, [], [first := create(1), erase(2)])[2] == [first]
