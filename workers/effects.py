"""Owns the effects of what was settled: project, announce, park what failed, bury what is dead, reply."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from events.commands import Command
from events.errors import StoreUnavailable
from events.facts import RecordedEvent
from service_kit.broker import backoff
from workers import metrics
from workers.announcer import Announcer
from workers.batches import Settled
from workers.deliveries import Batch
from workers.faults import BEHIND, concerns_one, reason_of
from workers.isolation import project_apart
from workers.lines import Stamps
from workers.store import Store

Result = TypeVar("Result")
Admit = Callable[[Sequence[RecordedEvent]], Awaitable[None]]

log = structlog.get_logger()


async def steadily(doing: str, operation: Callable[[], Awaitable[Result]]) -> Result:
    """Run an operation until MongoDB lets it through; nothing is acknowledged meanwhile."""
    attempt = 0
    while True:
        try:
            return await operation()
        except StoreUnavailable as exc:
            attempt += 1
            pause = backoff(attempt)
            log.warning("holding the batch", doing=doing, reason=exc.detail, retry_in=round(pause, 2))
            await asyncio.sleep(pause)


class Effects:
    """Makes the effects, in the order of the calls; each may be made again.

    Args:
        store: The collections.
        announcer: Publishes what follows.
        stamps: Clock, ids and rules of uniqueness.
        admit: Returns when events may be announced (see `workers.prover`).
    """

    def __init__(self, store: Store, announcer: Announcer, stamps: Stamps, admit: Admit) -> None:
        self._store = store
        self._announcer = announcer
        self._stamps = stamps
        self._admit = admit

    async def make(self, batch: Batch) -> bool:
        """Make the effects of a batch; return whether the projection of somebody failed.

        Commands are parked after all that was decided before them is announced.

        Raises:
            BrokerUnavailable: The broker is lost.
        """
        failed, _ = await asyncio.gather(self.publish(batch.settled), self._announcer.bury(batch.dead))
        if waiting := batch.waiting():
            now = self._stamps.clock()
            await steadily("parking", lambda: self._store.parked.append(waiting, now))
        await self._announcer.reply(batch.replies())
        return failed

    async def recheck(self, settled: Settled) -> None:
        """Let the commands of people who were parked while these were being settled wait, too."""
        parked = await steadily("settling", lambda: self._store.parked.lines(settled.states))
        for person_id in parked:
            settled.set_aside(person_id, BEHIND)

    async def publish(self, settled: Settled) -> bool:
        """Project and announce; return whether that failed for somebody, whose commands then wait.

        Announced is only what a majority has projected: a snapshot's position rests on it (docs/adr/0017).

        Raises:
            BrokerUnavailable: The broker is lost.
        """
        failed = await steadily("projecting", lambda: project_apart(settled, self._store))
        for person_id, reason in failed.items():
            settled.set_aside(person_id, reason)
        frames = []
        for command_id, done in list(settled.done.items()):
            try:
                if command_id in settled.done:
                    frames.append(self._announcer.encode(done.event))
            except Exception as exc:
                if not concerns_one(exc):
                    raise
                settled.set_aside(done.event.person_id, reason_of(exc))
                failed[done.event.person_id] = reason_of(exc)
        events = [done.event for done in settled.done.values()]
        await steadily("announcing", lambda: self._admit(events))
        await self._announcer.announce(frames)
        return bool(failed)

    def account(self, commands: list[Command], settled: Settled) -> None:
        """Count and log what became of commands."""
        for command in commands:
            rejection = settled.rejections.get(command.command_id)
            reason = settled.parked.get(command.command_id)
            words = {"command_id": command.command_id, "person_id": command.person_id, "type": command.type}
            if rejection is not None:
                metrics.REJECTED.labels(rejection.code).inc()
                log.info("rejected", reason=rejection.code, **words)
            elif reason is BEHIND:
                log.info("waits", reason=reason.kind, **words)
            elif reason is not None:
                metrics.PARKED.labels(reason.kind).inc()
                log.error("parked", reason=reason.kind, detail=reason.detail, **words)
            else:
                metrics.APPLIED[command.type].inc()
                log.info("applied", version=settled.done[command.command_id].event.version, **words)
