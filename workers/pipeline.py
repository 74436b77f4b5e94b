"""Owns the way of a batch through the worker: settle it, make its effects, acknowledge it, answer.

The effects of one batch overlap with settling the next; effects of two batches never do, so that each
person's events are announced in order. Who waits for an answer waits also until reads show it, which holds
up nobody else. Alone, between batches, is done what an operator asks, and suspects are tried.
"""

import asyncio
import time
from typing import Final

import structlog

from events.controls import Control, Message
from events.decider import PersonState
from events.errors import BrokerUnavailable, StoreUnavailable
from service_kit.broker import backoff
from service_kit.tasks import together
from workers import metrics
from workers.announcer import Announcer
from workers.deliveries import Batch, acknowledge, read
from workers.effects import Admit, Effects, steadily
from workers.faults import BEHIND, ENDED, concerns_one, reason_of
from workers.intake import Delivery, Intake
from workers.isolation import settle_apart
from workers.lines import Stamps
from workers.retrying import Retrying
from workers.store import Store
from workers.suspects import Suspects, Trial

BATCH: Final = 500
ANSWERS: Final = 64
"""Batches whose answers may be due; more only when the store is in trouble, and then all wait."""

log = structlog.get_logger()


class Pipeline:
    """Takes batches from the intake until it is stopped or its broker connection is lost.

    Args:
        intake: Where deliveries wait.
        store: The collections.
        announcer: Publishes what follows from a batch.
        stamps: Clock, ids and rules of uniqueness.
        admit: Returns when events may be announced.
        try_from: Monotonic time from which suspects are tried.
    """

    def __init__(
        self,
        intake: Intake,
        store: Store,
        announcer: Announcer,
        stamps: Stamps,
        admit: Admit,
        try_from: float = 0.0,
    ) -> None:
        self._intake = intake
        self._store = store
        self._stamps = stamps
        self._effects = Effects(store, announcer, stamps, admit)
        self._retrying = Retrying(store, stamps, self._effects)
        self._unprojected: dict[str, PersonState] = {}
        self._suspects = Suspects()
        self._try_from = try_from
        self._failures = 0
        self._begun = 0
        self._doubtful = 0

    async def run(self) -> None:
        """Process batches until the intake is closed and what was under way is acknowledged.

        Raises:
            BrokerUnavailable: The broker is lost; nothing of what was under way is acknowledged.
        """
        settled: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=1)
        awaited: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=ANSWERS)
        try:
            await together(
                self._settle_all(settled), self._effect_all(settled, awaited), self._answer_all(awaited)
            )
        except BrokerUnavailable as exc:
            raise BrokerUnavailable("RabbitMQ was lost with batches under way") from exc

    async def _settle_all(self, settled: asyncio.Queue[Batch | None]) -> None:
        while not self._intake.closed:
            deliveries = await self._intake.take(BATCH, self._next_trial())
            self._suspects.drop_handed_over()
            for batch in read(deliveries, self._stamps.clock(), self._hold):
                if batch.control is None:
                    await self._settle(batch)
                    await settled.put(batch)
                    if any(reason is not BEHIND for reason in batch.settled.parked.values()):
                        await settled.join()  # the next batch is to find its people parked
                else:
                    await settled.join()
                    await self._carry_out(batch.control)
                    await self._finish(batch)
            if self._next_trial() == 0.0:
                await settled.join()
                await self._try_suspects(settled)
        await settled.put(None)

    def _next_trial(self) -> float | None:
        """Return the seconds until suspects are tried; None if there are none."""
        metrics.SUSPECTS.set(len(self._suspects))
        return max(0.0, self._try_from - time.monotonic()) if self._suspects else None

    def _hold(self, delivery: Delivery, message: Message) -> bool:
        """Hold a message back if it is to be tried apart, or comes after such a one of its person."""
        concerned = self._suspects.concerns(delivery, message)
        if concerned:
            self._suspects.hold(delivery, message)
            delivery.partition.held.add(delivery.tag)
            self._intake.settle([delivery])
        return concerned

    async def _try_suspects(self, settled: asyncio.Queue[Batch | None]) -> None:
        """Try what is next of the suspects; if MongoDB is away nothing is begun, and nothing counts."""
        trial: Trial | None = None
        try:
            if unknown := self._suspects.unknown():
                known = await self._store.attempts.known([one.key for one in unknown])
                for one in unknown:
                    one.known, one.attempts = True, known.get(one.key)
            if self._intake.closed or (trial := self._suspects.choose()) is None:
                return
            self._intake.begin(trial.deliveries)
            before = {one.key: one.attempts for one in trial.held}
            now = self._stamps.clock()
            if trial.over:
                self._suspects.take(trial)
                await self._give_up(trial, settled)
                await self._store.attempts.forget(before, now)
            else:
                log.info("trying suspects", count=len(before), alone=trial.lone)
                async with self._store.attempts.on_record(before, lone=trial.lone, now=now):
                    self._suspects.take(trial)
                    await self._carry_through(trial, settled)
            self._failures = 0
        except StoreUnavailable as exc:
            if trial is not None:
                self._intake.settle(trial.deliveries)
            self._failures += 1
            pause = backoff(self._failures)
            self._try_from = time.monotonic() + pause
            log.warning("suspects wait", reason=exc.detail, retry_in=round(pause, 2))

    async def _carry_through(self, trial: Trial, settled: asyncio.Queue[Batch | None]) -> None:
        """Do what a trial's messages say, and return when it is acknowledged."""
        batch = Batch(trial.deliveries, trial.commands, trial=True)
        if trial.control is not None:
            await self._carry_out(trial.control)
            await self._finish(batch)
        else:
            await self._settle(batch)
            await settled.put(batch)
            await settled.join()

    async def _give_up(self, trial: Trial, settled: asyncio.Queue[Batch | None]) -> None:
        """Park the person of what ended its worker each time; the line behind a control stays as it is."""
        batch = Batch(trial.deliveries, trial.commands, trial=True)
        if trial.control is not None:
            await self._retrying.give_up(trial.control, ENDED)
            await self._finish(batch)
        else:
            batch.settled.parked = {command.command_id: ENDED for _, command in batch.commands}
            await settled.put(batch)
            await settled.join()

    async def _settle(self, batch: Batch) -> None:
        self._begun += 1
        batch.number = self._begun
        commands = [command for _, command in batch.commands]
        batch.settled = await steadily(
            "settling",
            lambda: settle_apart(commands, self._store, self._stamps, dict(self._unprojected)),
        )
        self._unprojected.update(batch.settled.states)

    async def _carry_out(self, control: Control) -> None:
        try:
            await self._retrying.carry_out(control)
        except Exception as exc:
            if isinstance(exc, BrokerUnavailable) or not concerns_one(exc):
                raise
            # The line is as it was, or shorter; whoever asked finds it in the list still.
            reason = reason_of(exc)
            log.error(
                "line not changed", person_id=control.person_id, type=control.type, reason=reason.detail
            )

    async def _effect_all(
        self, settled: asyncio.Queue[Batch | None], awaited: asyncio.Queue[Batch | None]
    ) -> None:
        while (batch := await settled.get()) is not None:
            states = dict(batch.settled.states)
            if batch.number <= self._doubtful:
                await self._effects.recheck(batch.settled)
            if await self._effects.make(batch):
                # What was begun before this may have passed by the people who are parked since.
                self._doubtful = self._begun
            await self._finish(batch)
            for person_id, state in states.items():
                if self._unprojected.get(person_id) is state:
                    del self._unprojected[person_id]
            settled.task_done()
            if batch.shown is not None:
                await awaited.put(batch)
        await awaited.put(None)

    async def _answer_all(self, awaited: asyncio.Queue[Batch | None]) -> None:
        while (batch := await awaited.get()) is not None:
            await self._effects.answer(batch)

    async def _finish(self, batch: Batch) -> None:
        """Acknowledge, count and log a batch whose effects are made."""
        await acknowledge(batch)
        self._intake.settle(batch.deliveries)
        metrics.BATCH_SIZE.observe(len(batch.deliveries))
        metrics.DEAD_LETTERED.inc(len(batch.dead))
        for letter in batch.dead:
            log.error("dead-lettered", message_id=letter.message_id, queue=letter.queue, reason=letter.reason)
        now = self._stamps.clock()
        for _, command in batch.commands:
            metrics.APPLY_SECONDS.observe((now - command.accepted_at).total_seconds())
        self._effects.account([command for _, command in batch.commands], batch.settled)
