"""Measures `scale`: commands that wait in the queues, through one, two and four workers."""

from __future__ import annotations

import http.client
import os
import signal
import time
from math import ceil
from statistics import median

from bench import queues
from bench.apply import FROM, TO, count_events, counts
from bench.payloads import as_sealed, create_commands
from bench.results import Row, beside, note
from bench.sizes import Sizes
from bench.stack import OURS, PARTITIONS, Running, Stack

WORKERS = (1, 2, 4)
WANTED = 0.8
"""Of what one worker applies. Where the processor is the limit more of them win little; they must not
lose much."""
TRICKLE = 160
SHARE_SECONDS, LOOK_SECONDS = 40.0, 1.2


def scale(stack: Stack, sizes: Sizes) -> list[Row]:
    """Apply creates with so many workers in turns."""
    stack.fresh(OURS)
    rates: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    numbers = _Numbers()
    for _ in range(sizes.apply_pairs):
        for workers in WORKERS:
            rate = _drain_with(stack, workers, numbers, sizes.commands)
            rates[workers].append(rate)
            note(f"  apply with {workers} workers {rate:8,.0f}/s")
    alone = median(rates[1])
    return [
        beside(f"apply with {workers} workers", "1 worker", median(rates[workers]), alone, WANTED)
        for workers in WORKERS[1:]
    ]


class _Numbers:
    """Gives people out, none twice."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, count: int) -> range:
        self._next += count
        return range(self._next - count, self._next)


def _drain_with(stack: Stack, workers: int, numbers: _Numbers, count: int) -> float:
    """Return the rate at which so many workers together apply so many commands."""
    queues.purge(stack.rabbit.url)
    running = [stack.service("workers", OURS) for _ in range(workers)]
    _share_out(stack, running, numbers)
    with stack.client() as client:
        log = client[OURS]["events"]
        before = count_events(log)
        # Held while the queues are filled, for less time than the broker waits for a sign of life.
        _signal(running, signal.SIGSTOP)
        _fill(stack, numbers.take(count))
        _signal(running, signal.SIGCONT)
        curve = [(time.perf_counter(), done) for done in counts(log, before, count, running[0])]
    for one in running:
        stack.end(one)
    begin, end = (next(point for point in curve if point[1] >= count * part) for part in (FROM, TO))
    return (end[1] - begin[1]) / (end[0] - begin[0])


def _share_out(stack: Stack, running: list[Running], numbers: _Numbers) -> None:
    """Send a few commands again and again until each worker has its share of the partitions.

    Raises:
        TimeoutError: That takes long.
    """
    deadline = time.monotonic() + SHARE_SECONDS
    share = ceil(PARTITIONS / len(running))
    while any(_active(one) != share for one in running):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the partitions are not shared: {[_active(one) for one in running]}")
        _fill(stack, numbers.take(TRICKLE))
        time.sleep(LOOK_SECONDS)
    queues.wait_empty(stack.rabbit.url)


def _fill(stack: Stack, numbers: range) -> None:
    queues.fill(stack.rabbit.url, as_sealed(create_commands(numbers), stack.transport_key))


def _active(running: Running) -> int:
    """Return how many partitions a worker is active on."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return int(
        float(next(line for line in lines if line.startswith("rollcall_active_partitions ")).split()[1])
    )


def _signal(running: list[Running], number: signal.Signals) -> None:
    for one in running:
        if one.child.pid:
            os.kill(one.child.pid, number)
