"""Measures `apply`: commands that wait in the queues, through one worker process, beside a bare loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Any

from pymongo.collection import Collection

from bench import queues
from bench.payloads import Message, as_sealed, create_commands, update_commands
from bench.results import Row, Sample, compare, in_turns
from bench.sizes import Sizes
from bench.stack import FLOOR, OURS, Cpu, Running, Stack, cpu_seconds
from operations.errors import SetupError

WANTED = 1.0
FROM, TO = 0.05, 0.95
"""The part of a run that counts: neither the start of the process nor the last, smaller batches."""
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 30.0
"""Without a new event."""
IDLE_SECONDS, IDLE_SHARE = 0.4, 0.1


@dataclass(frozen=True)
class Point:
    """How far a run had come at a time.

    Attributes:
        time: Of `time.perf_counter`.
        count: Events in the log.
        cpu: Processor time used until then.
    """

    time: float
    count: int
    cpu: Cpu


def apply(stack: Stack, sizes: Sizes) -> list[Row]:
    """Run both sides in turns: creates, then updates of the same people, each with a fresh process."""
    for database in (OURS, FLOOR):
        stack.fresh(database)
    phases: dict[str, tuple[list[Sample], list[Sample]]] = {"creates": ([], []), "updates": ([], [])}

    def side(database: str, start: Callable[[], Running], column: int) -> Callable[[int], Sample]:
        def run(pair: int) -> Sample:
            numbers = range(pair * sizes.commands, (pair + 1) * sizes.commands)
            creates = create_commands(numbers)
            done = [_drain(stack, database, start, creates)]
            phases["creates"][column].append(done[0])
            people = [person_id for person_id, _ in creates]
            done.append(_drain(stack, database, start, update_commands(people)))
            phases["updates"][column].append(done[1])
            return _together(done)

        return run

    together = in_turns(
        "apply",
        sizes.apply_pairs,
        side(OURS, lambda: stack.service("workers", OURS), 0),
        side(FLOOR, lambda: stack.floor("floor_apply", FLOOR, listening=False), 1),
    )
    rows = [compare(stack.named(f"apply: {phase}"), *samples, WANTED) for phase, samples in phases.items()]
    return [*rows, compare(stack.named("apply: both"), *together, WANTED)]


def _drain(stack: Stack, database: str, start: Callable[[], Running], commands: list[Message]) -> Sample:
    """Fill the queues, start the process, and return how fast its events appear in the log."""
    queues.purge(stack.rabbit.url)
    queues.fill(stack.rabbit.url, as_sealed(commands, stack.transport_key) if database == OURS else commands)
    with stack.client() as client:
        log = client[database]["events"]
        before = count_events(log)
        running = start()
        found = counts(log, before, len(commands), running)
        curve = [Point(time.perf_counter(), count, stack.cpu(running)) for count in found]
    _wait_idle(running)
    if database == OURS:
        stack.weigh("workers", running)
    stack.end(running)
    return _sample(curve, len(commands))


def counts(log: Collection[dict[str, Any]], before: int, wanted: int, running: Running) -> Iterator[int]:
    """Give the number of new events again and again, until there are as many as wanted.

    Raises:
        SetupError: None comes for long.
    """
    last, deadline = -1, time.monotonic() + PATIENCE_SECONDS
    while last < wanted:
        count = count_events(log) - before
        if count > last:
            deadline = time.monotonic() + PATIENCE_SECONDS
        elif time.monotonic() > deadline:
            words = running.child.last_words()
            raise SetupError(f"{running.child.name} stands still at {count} of {wanted} events: {words}")
        last = count
        yield count
        time.sleep(POLL_SECONDS)


def count_events(log: Collection[dict[str, Any]]) -> int:
    """Return how many events there are, as each shard knows without counting."""
    return sum(shard["count"] for shard in log.aggregate([{"$collStats": {"count": {}}}]))


def _wait_idle(running: Running) -> None:
    """Return when the process has come to rest: the last batch is announced and acknowledged, too."""
    before = -1.0
    while cpu_seconds(running.child) - before > IDLE_SHARE * IDLE_SECONDS:
        before = cpu_seconds(running.child)
        time.sleep(IDLE_SECONDS)


def _sample(curve: list[Point], total: int) -> Sample:
    first = next(point for point in curve if point.count >= total * FROM)
    last = next(point for point in curve if point.count >= total * TO)
    count, seconds = last.count - first.count, last.time - first.time
    return Sample(
        count / seconds,
        {who: (seconds - first.cpu[who]) * 1e6 / count for who, seconds in last.cpu.items()},
        {"counted": count, "seconds": seconds},
    )


def _together(phases: list[Sample]) -> Sample:
    """Return the rate of as many creates as updates, one after the other."""
    rate = len(phases) / sum(1 / sample.rate for sample in phases)
    cpu_us = {who: mean(sample.cpu_us[who] for sample in phases) for who in phases[0].cpu_us}
    return Sample(rate, cpu_us)
