"""Lets faults happen in the order of the plan, keeps the rest running, and brings everything back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.campaign.faults import FAULTS, Fault
from bench.campaign.load import Load
from bench.campaign.plan import ALONE, Step
from bench.campaign.stage import Stage
from devstack.servers.rabbit_cluster import RabbitCluster
from devstack.supervisor import BrokerWatch

TICK = 0.2
STUCK = 180.0
"""So long nothing is accepted, although nothing is broken any more, before that is a finding."""
_TOGETHER = 2


class Director:
    """Runs in the main thread, which processes are bound to.

    Attributes:
        done: How often each kind of fault came.
        restarts: How often a broker was restarted because its queues were down.
        stuck: When nothing came back by itself.
    """

    def __init__(self, stage: Stage, load: Load, steps: Iterator[Step]) -> None:
        self._stage, self._load, self._steps = stage, load, steps
        self._active: list[tuple[float, Step, Fault]] = []
        self._next = time.monotonic()
        self._step = next(steps)
        self._healed = time.monotonic()
        self._asking = ThreadPoolExecutor(1)
        rabbit = stage.system.rabbit
        nodes = rabbit.nodes if isinstance(rabbit, RabbitCluster) else [rabbit]
        services = stage.named("command", "query", "worker")
        self._watches = [(node, BrokerWatch(node, services, self._asking)) for node in nodes]
        self.done: dict[str, int] = {}
        self.restarts = 0
        self.stuck: list[str] = []

    def run(self, seconds: float) -> None:
        """Let faults happen for so long."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                self._tick()
                if self._may_begin():
                    self._begin()
        finally:
            self.heal()

    def close(self) -> None:
        """Ask nothing more."""
        self._asking.shutdown(wait=False, cancel_futures=True)

    def heal(self) -> None:
        """End every fault now."""
        for _, _, fault in self._active:
            fault.close()
        self._active.clear()
        self._healed = time.monotonic()
        self._stage.diary.note("every fault is healed")

    def recover(self, seconds: float) -> bool:
        """Return whether every service says that it is ready within some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._tick()
            if not self.unready():
                return True
        self.stuck.append(f"not ready after {seconds:.0f} s: {', '.join(self.unready())}")
        return False

    def unready(self) -> list[str]:
        """Return the services that do not say that they are ready, and what they say."""
        services = self._stage.named("command", "query", "worker")
        return [f"{one.name}: {one.readiness}" for one in services if not one.ready]

    def watch(self, seconds: float) -> None:
        """Only keep everything running for some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._tick()

    def _tick(self) -> None:
        time.sleep(TICK)
        self._stage.look_after()
        now = time.monotonic()
        for entry in [entry for entry in self._active if entry[0] <= now]:
            self._active.remove(entry)
            self._advance(entry[1], entry[2])
        for node, watch in self._watches:
            ran = node.running
            watch.look()
            if ran and not node.running:
                self.restarts += 1
                self._stage.diary.note(f"{node.name}: its queues were down for a minute: restarted")

    def _may_begin(self) -> bool:
        if self._active and (self._step.kind in ALONE or not all(s.overlaps for _, s, _ in self._active)):
            return False
        if time.monotonic() < self._next or not (self._active or self._has_recovered()):
            return False
        return len(self._active) < _TOGETHER

    def _has_recovered(self) -> bool:
        """Whether something was accepted since the last fault was healed; what never is, is a finding."""
        if self._load.where.promises.last_accepted > self._healed:
            return True
        if time.monotonic() - self._healed < STUCK:
            return False
        self.stuck.append(
            f"nothing accepted for {STUCK:.0f} s after the last fault; {'; '.join(self.unready())}"
        )
        self._stage.diary.note(f"STUCK: {self.stuck[-1]}; everything is restarted")
        self._advance(self._step, FAULTS["everything"](self._stage, self._step))
        return False

    def _begin(self) -> None:
        step, self._step = self._step, next(self._steps)
        self.done[step.kind] = self.done.get(step.kind, 0) + 1
        self._stage.diary.note(f"fault {step.number}: {step.words}")
        self._advance(step, FAULTS[step.kind](self._stage, step))
        if step.overlaps:
            self._next = time.monotonic() + step.gap

    def _advance(self, step: Step, fault: Fault) -> None:
        try:
            pause = next(fault)
        except StopIteration:
            self._healed = time.monotonic()
            if not step.overlaps:
                self._next = self._healed + step.gap
            self._stage.diary.note(f"fault {step.number} is over")
        else:
            self._active.append((time.monotonic() + pause, step, fault))
