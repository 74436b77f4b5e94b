"""Measures `rebuild`: the whole read model from the log, beside a scan of it that only writes documents."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.results import Row, Sample, at_least, at_most, compare, in_turns, note
from bench.sizes import Sizes
from bench.stack import OURS, Stack, cpu_seconds
from bench.verify import fill_log
from devstack.paths import ROOT
from operations.errors import SetupError

WANTED = 30_000
WANTED_RATIO = 0.6
MEMORY_MB = 200.0


def rebuild(stack: Stack, sizes: Sizes) -> list[Row]:
    """Fill a log, and rebuild the read model from it in turns with the floor, each time from nothing."""
    fill_log(stack, OURS, sizes.rebuilt)
    what, memory = stack.named("rebuild"), 0.0

    def ours(number: int) -> Sample:
        nonlocal memory
        sample = _timed(stack, sizes.rebuilt, ["operations", "rebuild"])
        memory = max(memory, sample.more["resident_mb"])
        if not number:
            # Not after the floor: its documents are not those of the log.
            checked = _timed(stack, sizes.rebuilt, ["operations", "rebuild", "--check"], drop=False)
            note(f"  {what} --check {checked.rate:8,.0f}/s")
        return sample

    def floor(_: int) -> Sample:
        return _timed(stack, sizes.rebuilt, ["bench.floors.floor_rebuild"])

    samples = in_turns(what, sizes.rebuild_pairs, ours, floor)
    row = compare(what, *samples, WANTED_RATIO)
    rates = sorted(sample.rate for sample in samples[0])
    return [
        row,
        at_least(stack.named("rebuild, events"), rates[len(rates) // 2], WANTED, "/s", rates=rates),
        at_most(stack.named("memory: rebuild, each process"), memory, MEMORY_MB, "MB"),
    ]


def _timed(stack: Stack, events: int, module: list[str], *, drop: bool = True) -> Sample:
    """Run a program on so many events; with its processor time, and the MB of its largest process."""
    if drop:
        stack.emptied(OURS, "people")
    before, began = _servers(stack), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env={**stack.environment(OURS), "ROLLCALL_STATE_DIR": str(stack.directory)},
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.stderr.read() if process.stderr else ""
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SetupError(f"{' '.join(module)} ended with {process.returncode}: {said}")
    cpu = {"own": used.ru_utime + used.ru_stime, "mongodb": _servers(stack) - before}
    each = {who: spent / events * 1e6 for who, spent in cpu.items()}
    return Sample(events / seconds, each, {"resident_mb": used.ru_maxrss * 1024 / 1e6})


def _servers(stack: Stack) -> float:
    return sum(map(cpu_seconds, stack.mongo.children))
