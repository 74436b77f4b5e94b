"""What the campaign counts: each way to break a promise is seen, and a clean run has none."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

import pytest

from bench.campaign.counts import Log, of_commands, of_listener
from bench.campaign.listeners import Had
from bench.campaign.plan import ALONE, WEIGHTS, plan
from bench.campaign.promises import Promise, Promises

NOW = datetime(2026, 1, 31, tzinfo=UTC)
CREATED = Promise("ana", "create", "Calle 1", must_apply=True, version=1)
CHANGED = Promise("ana", "update", "Calle 2", must_apply=True, version=None)
EVENTS = [("e1", "ana", 1, "c1", "Calle 1", NOW), ("e2", "ana", 2, "c2", "Calle 2", NOW)]


def promised() -> Promises:
    promises = Promises()
    promises.acknowledge("c1", "client", CREATED)
    promises.acknowledge("c2", "client", CHANGED)
    return promises


def wrong(log: Log, promises: Promises) -> dict[str, int]:
    return {count.name: count.number for count in of_commands(log, promises) if not count.ok}


def test_a_kept_promise_is_not_counted():
    assert wrong(Log(EVENTS, {}, []), promised()) == {}


def with_import(promises: Promises) -> Promises:
    promises.imported["i"] = ["Fila 1"]
    promises.whole.add("i")
    return promises


def refused(promises: Promises) -> Promises:
    promises.refused.add("Calle 2")
    return promises


@pytest.mark.parametrize(
    ("name", "log", "promises"),
    [
        ("lost", Log(EVENTS[:1], {}, []), promised()),
        ("doubled", Log([*EVENTS, ("e3", "ana", 3, "c3", "Calle 2", NOW)], {}, []), promised()),
        ("doubled", Log([*EVENTS, ("e3", "ana", 3, "c2", None, NOW)], {}, []), promised()),
        (
            "out of order",
            Log([("e1", "ana", 2, "c1", "Calle 1", NOW), ("e2", "ana", 1, "c2", "Calle 2", NOW)], {}, []),
            promised(),
        ),
        (
            "gaps in a person's versions",
            Log([EVENTS[0], ("e2", "ana", 3, "c2", None, NOW)], {}, []),
            promised(),
        ),
        (
            "answers that the log contradicts",
            Log([("e1", "ana", 1, "c1", None, NOW), EVENTS[1]], {}, []),
            Promises(commands={"c1": replace(CREATED, version=4)}),
        ),
        ("refused, yet applied", Log(EVENTS, {}, []), refused(promised())),
        ("acknowledged, then refused for no reason", Log(EVENTS[:1], {"c2": "superseded"}, []), promised()),
        ("rows of imports that are not there once", Log(EVENTS, {}, []), with_import(promised())),
        ("parked people", Log(EVENTS, {}, ["ana"]), promised()),
    ],
)
def test_a_broken_promise_is_counted(name, log, promises):
    assert wrong(log, promises)[name] >= 1


def announced(event: tuple) -> dict:
    return {"id": event[0], "subject": event[1], "version": event[2], "time": "2026-01-31T00:00:00Z"}


async def test_what_a_subscriber_lacks_or_has_out_of_order_is_counted():
    had = Had("a queue")
    await had.take(announced(EVENTS[1]))
    log = Log(EVENTS, {}, [])
    assert [count.number for count in of_listener(log, had, set())] == [1, 0]
    await had.take(announced(EVENTS[0]))
    await had.take(announced(EVENTS[0]))
    assert [count.number for count in of_listener(log, had, set())] == [0, 1]
    assert [count.number for count in of_listener(log, Had("new"), {"ana"})] == [0, 0]


def test_a_seed_makes_the_same_plan_again_and_every_kind_is_in_it():
    once, again, other = (list(islice(plan(seed, set(WEIGHTS), routed=True), 300)) for seed in "112")
    assert once == again != other
    assert {step.kind for step in once} == set(WEIGHTS)
    assert not any(step.overlaps for step in once if step.kind in ALONE)
    assert {step.kind for step in islice(plan("1", {"kill", "power"}, routed=False), 50)} == {"kill", "power"}
