"""Owns the way of a batch through the worker: settle it, make its effects, acknowledge it.

The effects of one batch overlap with settling the next; effects of two batches never do, so that each
person's events are announced in order.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog

from events.commands import Command, decode_command
from events.decider import PersonState
from events.errors import BrokerUnavailable, MalformedMessage, StoreUnavailable
from events.outcomes import Applied, Outcome, Rejected
from events.views import person_view
from service_kit.broker import backoff, broker_errors
from service_kit.topology import partition_queue
from workers import metrics
from workers.announcer import Announcer, DeadLetter, Reply
from workers.batches import Settled, settle
from workers.intake import Delivery, Intake
from workers.lines import Stamps
from workers.store import Store

BATCH: Final = 500

Result = TypeVar("Result")

log = structlog.get_logger()


@dataclass(slots=True)
class Batch:
    """Deliveries on their way.

    Attributes:
        deliveries: All of them, in order of arrival.
        commands: The readable ones, by their delivery.
        dead: The others.
        settled: What became of the commands.
    """

    deliveries: list[Delivery]
    commands: list[tuple[Delivery, Command]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    settled: Settled = field(default_factory=Settled)


def read(deliveries: list[Delivery]) -> Batch:
    """Return the deliveries with their commands; what is no command is set apart as dead."""
    batch = Batch(deliveries)
    for delivery in deliveries:
        try:
            batch.commands.append((delivery, decode_command(delivery.body)))
        except MalformedMessage as exc:
            queue = partition_queue(delivery.partition.number)
            batch.dead.append(DeadLetter(delivery.body, delivery.message_id, queue, exc.detail))
    return batch


def outcome_of(command: Command, settled: Settled) -> Outcome:
    """Return what the one who waits for a command is told."""
    rejection = settled.rejections.get(command.command_id)
    if rejection is not None:
        return Rejected(code=rejection.code, detail=rejection.detail)
    done = settled.done[command.command_id]
    person = person_view(done.after) if done.after.status == "active" else None
    return Applied(version=done.event.version, event_id=done.event.event_id, person=person)


class Pipeline:
    """Takes batches from the intake until it is stopped or its broker connection is lost.

    Args:
        intake: Where deliveries wait.
        store: The collections.
        announcer: Publishes what follows from a batch.
        stamps: Clock, ids and rules of uniqueness.
    """

    def __init__(self, intake: Intake, store: Store, announcer: Announcer, stamps: Stamps) -> None:
        self._intake = intake
        self._store = store
        self._announcer = announcer
        self._stamps = stamps
        self._unprojected: dict[str, PersonState] = {}

    async def run(self) -> None:
        """Process batches until the intake is closed and what was under way is acknowledged.

        Raises:
            BrokerUnavailable: The broker is lost; nothing of what was under way is acknowledged.
        """
        settled: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._settle_all(settled))
                group.create_task(self._effect_all(settled))
        except BaseExceptionGroup as failures:
            lost, faults = failures.split(BrokerUnavailable)
            if faults is not None or lost is None:
                raise
            raise BrokerUnavailable("RabbitMQ was lost with batches under way") from lost

    async def _settle_all(self, settled: asyncio.Queue[Batch | None]) -> None:
        while deliveries := await self._intake.take(BATCH):
            batch = read(deliveries)
            commands = [command for _, command in batch.commands]
            batch.settled = await self._steadily(
                "settling",
                lambda commands=commands: settle(  # type: ignore[misc]
                    commands, self._store, self._stamps, dict(self._unprojected)
                ),
            )
            self._unprojected.update(batch.settled.states)
            await settled.put(batch)
        await settled.put(None)

    async def _effect_all(self, settled: asyncio.Queue[Batch | None]) -> None:
        while (batch := await settled.get()) is not None:
            await self._effects(batch)
            for person_id, state in batch.settled.states.items():
                if self._unprojected.get(person_id) is state:
                    del self._unprojected[person_id]

    async def _effects(self, batch: Batch) -> None:
        settled = batch.settled
        await asyncio.gather(self._project_and_announce(settled), self._announcer.bury(batch.dead))
        await self._announcer.reply(
            [
                Reply(delivery.reply_to, delivery.correlation_id, outcome_of(command, settled))
                for delivery, command in batch.commands
                if delivery.reply_to is not None
            ]
        )
        await acknowledge(batch.deliveries)
        self._intake.settle(batch.deliveries)
        self._account(batch)

    async def _project_and_announce(self, settled: Settled) -> None:
        """Announce only what a majority has projected: a snapshot's position rests on it (docs/adr/0017)."""
        await self._steadily(
            "projecting", lambda: self._store.project(settled.states, settled.fresh, settled.bases)
        )
        await self._announcer.announce([done.event for done in settled.done.values()])

    async def _steadily(self, doing: str, operation: Callable[[], Awaitable[Result]]) -> Result:
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

    def _account(self, batch: Batch) -> None:
        """Count and log a batch that is done."""
        now = self._stamps.clock()
        metrics.BATCH_SIZE.observe(len(batch.deliveries))
        metrics.DEAD_LETTERED.inc(len(batch.dead))
        for letter in batch.dead:
            log.error("dead-lettered", message_id=letter.message_id, queue=letter.queue, reason=letter.reason)
        for _, command in batch.commands:
            metrics.APPLY_SECONDS.observe((now - command.accepted_at).total_seconds())
            rejection = batch.settled.rejections.get(command.command_id)
            words = {"command_id": command.command_id, "person_id": command.person_id, "type": command.type}
            if rejection is None:
                metrics.APPLIED[command.type].inc()
                log.info("applied", version=batch.settled.done[command.command_id].event.version, **words)
            else:
                metrics.REJECTED.labels(rejection.code).inc()
                log.info("rejected", reason=rejection.code, **words)


async def acknowledge(deliveries: Sequence[Delivery]) -> None:
    """Acknowledge a batch: for each partition everything up to its last delivery.

    Raises:
        BrokerUnavailable: The broker is lost; it will deliver all of it again.
    """
    last = {delivery.partition: delivery.tag for delivery in deliveries}
    with broker_errors("acknowledging"):
        for partition, tag in last.items():
            await partition.channel.basic_ack(tag, multiple=True, wait=False)
