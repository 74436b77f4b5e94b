"""A fold that begins at a milestone comes to what the whole stream comes to, and reads little of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from events.errors import StoreUnavailable
from events.log.event import Event, RecordedEvent, record
from events.log.stored import event_document
from events.person.decider import fold
from service_kit.milestones import (
    MILESTONE_EVERY,
    Step,
    milestone_at,
    milestone_document,
    milestone_of,
    next_step,
)
from service_kit.mongo.streams import PORTION, state_at, walk_stream
from service_kit.seals.opening import ERASED, Key, open_document
from tests.chained import SEALING
from tests.default_schema import SCHEMA
from tests.unit.events.test_decider import FIELDS, ID, NOW, update

LENGTH = 3 * MILESTONE_EVERY + 50


def make_log(length: int) -> list[RecordedEvent]:
    """Return a stream in which every event is of the second after the one before, accepted out of order."""
    log: list[RecordedEvent] = []
    for version in range(1, length + 1):
        event = Event("person.updated", {"address": str(version)} if version % 7 else {"address": None})
        command = update(version, address="x").model_copy(
            update={"accepted_at": NOW + timedelta(seconds=version ^ 3)}
        )
        log.append(
            record(
                Event("person.created", FIELDS) if version == 1 else event,
                command,
                event_id=f"e{version}",
                version=version,
                applied_at=NOW + timedelta(seconds=version),
                prev=log[-1].hash if log else "0" * 64,
                schema=SCHEMA,
                key=SEALING,
            )
        )
    return log


LOG = make_log(LENGTH)


def steps_of(log) -> list[Step]:
    steps: list[Step] = []
    for event in log:
        steps.append(next_step(ID, steps[-1] if steps else None, event))
    return steps


class Documents:
    """What MongoDB would find, opened if there is a key, and how much of it was asked for."""

    key: Key | Literal["none"] = SEALING

    def __init__(self, log, milestones=()) -> None:
        self.events = [event_document(event) for event in log]
        self.milestones = [milestone_document(one) for one in milestones]
        self.read = 0
        self.finds = 0

    async def __call__(self, collection, wanted, *, sort, limit):
        self.finds += 1
        ((name, direction),) = sort
        found = [one for one in getattr(self, collection) if all(_is(one, *part) for part in wanted.items())]
        found = sorted(found, key=lambda one: one[name] * direction)[:limit]
        self.read += len(found)
        if self.key == "none":
            return found
        return [open_document(one, self.key) for one in found]


def _is(document, name, condition) -> bool:
    if not isinstance(condition, dict):
        return document[name] == condition
    tests = {"$gte": lambda one: document[name] >= one, "$lte": lambda one: document[name] <= one}
    return all(tests[operator](bound) for operator, bound in condition.items())


MILESTONES = [one for step in steps_of(LOG) if (one := milestone_at(step))]


def test_a_milestone_is_kept_of_every_200th_version_and_reads_back_the_same():
    versions = [one.state.version for one in MILESTONES]
    assert versions == list(range(MILESTONE_EVERY, LENGTH, MILESTONE_EVERY))
    assert [milestone_of(milestone_document(one)) for one in MILESTONES] == MILESTONES
    assert MILESTONES[0].newest == max(event.accepted_at for event in LOG[:MILESTONE_EVERY])


@pytest.mark.parametrize("kept", [MILESTONES, MILESTONES[:1], MILESTONES[1:], []], ids=len)
@pytest.mark.parametrize("version", [1, 199, 200, 201, 400, 601, LENGTH, None])
async def test_a_state_is_that_of_the_whole_stream_whatever_milestones_there_are(kept, version):
    find = Documents(LOG, kept)
    assert await state_at(find, ID, version=version) == fold(ID, LOG[:version])
    if kept == MILESTONES:
        assert find.read <= MILESTONE_EVERY + 2


@pytest.mark.parametrize("version", [1, 200, 431, 600])
async def test_a_time_is_folded_to_without_reading_what_came_later(version):
    find = Documents(LOG, MILESTONES)
    as_of = LOG[version - 1].applied_at + timedelta(milliseconds=500)
    assert await state_at(find, ID, as_of=as_of) == fold(ID, LOG[:version])
    assert find.read <= MILESTONE_EVERY + 2
    assert (await state_at(find, ID, as_of=NOW)).status == "absent"


async def test_a_walk_has_the_person_before_the_first_event_that_is_asked_for():
    for since in (1, 200, 201, 400):
        steps = [step async for step in walk_stream(Documents(LOG, MILESTONES), ID, since=since, version=450)]
        assert [step.event.version for step in steps] == list(range(steps[0].event.version, 451))
        (first,) = (step for step in steps if step.event.version == since)
        assert (first.before, first.after) == (fold(ID, LOG[: since - 1]), fold(ID, LOG[:since]))
        assert steps[-1].newest == max(event.accepted_at for event in LOG[:450])


@pytest.mark.parametrize(
    "foreign",
    [
        replace(MILESTONES[2], state=replace(MILESTONES[2].state, hash="f" * 64)),
        replace(MILESTONES[2], state=replace(MILESTONES[2].state, version=LENGTH + 150)),
    ],
    ids=["of another event", "beyond the log"],
)
async def test_a_milestone_of_another_log_is_passed_over(foreign):
    assert await state_at(Documents(LOG, [foreign]), ID) == fold(ID, LOG)


async def test_what_was_left_of_an_erased_person_does_not_come_back():
    find = Documents(LOG, MILESTONES)
    find.key = ERASED
    assert (await state_at(find, ID)).fields == {}


async def test_a_stream_without_milestones_is_read_in_portions():
    log = make_log(PORTION + MILESTONE_EVERY + 10)
    find = Documents(log)
    assert await state_at(find, ID) == fold(ID, log)
    assert (find.finds, find.read) == (4, len(log))


async def test_that_mongodb_is_away_is_told():
    async def find(*_, **__):
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await state_at(find, ID)
