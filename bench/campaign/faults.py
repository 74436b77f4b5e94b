"""What each kind of fault does: it begins, waits as long as it yields, and heals whatever it broke."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat

from pymongo.errors import PyMongoError

from bench import queues
from bench.campaign.kept import Kept
from bench.campaign.plan import Step
from bench.campaign.stage import Stage
from events.errors import BrokerUnavailable
from operations.errors import SetupError
from service_kit.broker.topology import EVENT_LOG

_LEFT_MB = (400, 300, 200, 150, 100, 80, 60, 45, 30, 15, 5)
"""What is free of a disk that runs full, second by second. RabbitMQ takes nothing more below 64."""
_LOOP_SECONDS = 60.0
"""A crash loop ends earlier than planned on a machine that is slow at starting workers."""
Fault = Iterator[float]
"""Yields how many seconds are to pass before it goes on. Closed early, it heals."""


def _kill(stage: Stage, step: Step) -> Fault:
    if (target := stage.target(step.role, step.pick)) is not None:
        stage.diary.note(f"  kills {target.name}")
        target.kill()
    yield from ()


def _kill_these(targets: list[Kept], seconds: float) -> Fault:
    """Kill some, and keep them down for a while."""
    for one in targets:
        one.held = True
        one.kill()
    try:
        yield seconds
    finally:
        for one in targets:
            one.held = False
            one.forget_failures()
            one.start()


def _set(stage: Stage, step: Step) -> Fault:
    sets = stage.all_sets
    yield from _kill_these(stage.members(sets[step.pick % len(sets)]), step.seconds)


def _brokers(stage: Stage, step: Step) -> Fault:
    yield from _kill_these(stage.named("broker"), step.seconds)


def _everything(stage: Stage, _step: Step) -> Fault:
    for one in stage.kept:
        one.kill()
    stage.start_all()
    yield from ()


def _stall(stage: Stage, step: Step) -> Fault:
    target = stage.target(step.role, step.pick)
    if target is None:
        return
    stage.diary.note(f"  stops {target.name}")
    target.signal(signal.SIGSTOP)
    try:
        yield step.seconds
    finally:
        target.signal(signal.SIGCONT)


def _lag(stage: Stage, step: Step) -> Fault:
    sets = stage.system.sets
    with contextlib.suppress(PyMongoError):
        if (client := stage.lock(sets[step.pick % len(sets)], step.pick // 7)) is None:
            return
        try:
            yield step.seconds
        finally:
            with contextlib.suppress(PyMongoError):
                client.admin.command("fsyncUnlock")
            client.close()


def _crashloop(stage: Stage, step: Step) -> Fault:
    """Kill every worker again and again, soon after it has come up; perhaps with MongoDB away."""
    workers = stage.named("worker")
    away = _kill_these(stage.named("mongod"), 0) if step.away else iter(())
    next(away, None)
    for one in workers:
        one.held = True
    try:
        end = time.monotonic() + _LOOP_SECONDS
        for number in range(step.count):
            for one in workers:
                one.kill()
                one.start()
            # Now and then long enough that they have connected and taken something.
            yield 0.2 + (step.pick * (number + 1) % 13) / 6
            if time.monotonic() > end:
                break
    finally:
        for _ in away:
            pass
        for one in workers:
            one.held = False
            one.forget_failures()


def _power(stage: Stage, _step: Step) -> Fault:
    stage.cut_power()
    yield from ()


def _full(stage: Stage, step: Step) -> Fault:
    """Fill a disk to the last byte, as fast as a disk fills: the servers see it coming."""
    yield from _fill(stage, step, _LEFT_MB)


def _brim(stage: Stage, step: Step) -> Fault:
    """Fill a disk to the last byte at once."""
    yield from _fill(stage, step, ())


def _fill(stage: Stage, step: Step, left_mb: Sequence[int]) -> Fault:
    disks = stage.disks[step.role]
    disk = disks[step.pick % len(disks)]
    try:
        # What runs there frees something now and then.
        for megabytes in (*left_mb, *repeat(0, max(5, int(step.seconds)))):
            disk.fill(keep=megabytes * 1_000_000)
            yield 1.0
    finally:
        disk.free()


def _stream(stage: Stage, _step: Step) -> Fault:
    """Empty the stream, as a broker is that was restored from nothing, and restart the brokers."""
    with contextlib.suppress(SetupError):
        stage.system.rabbit.ctl("delete_queue", EVENT_LOG)
    stage.restart_brokers()
    for _ in range(60):
        try:
            queues.set_up(stage.system.rabbit.url)
        except (BrokerUnavailable, OSError):
            yield 1.0
        else:
            return


FAULTS: dict[str, Callable[[Stage, Step], Fault]] = {
    "kill": _kill,
    "stall": _stall,
    "lag": _lag,
    "set": _set,
    "brokers": _brokers,
    "everything": _everything,
    "crashloop": _crashloop,
    "power": _power,
    "full": _full,
    "brim": _brim,
    "stream": _stream,
}
