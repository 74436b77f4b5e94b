"""Brings a batch through the worker: decide it, project and announce it, acknowledge it, answer.

Three tasks do that, so that one batch is announced while the next is decided, and who waits for an answer
holds up nobody else. No two batches are announced at once: each person's events go out in order. What an
operator asks and the trials of suspects are done with nothing else under way.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from events.errors import BrokerUnavailable
from events.person.decider import PersonState
from events.person.schema.declarations import PersonSchema
from service_kit.mongo.transport_keys import Opened, TransportKeys
from service_kit.tasks import together
from workers import metrics
from workers.announcing.announcer import Announcer, Reply
from workers.consuming.batch_reading import read_or_hold
from workers.consuming.deliveries import Batch, Delivery, DeliveryQueue, acknowledge_batch
from workers.consuming.unreadable import UnreadableHandler
from workers.deciding.batches import BatchDecider
from workers.deciding.person_batch import DecisionInputs
from workers.outcomes import (
    BEHIND,
    ENDED,
    Outcomes,
    ParkedCommand,
    anything_failed,
    changes_of_people,
    told_to_client,
    with_people_parked,
)
from workers.parking.parked import WaitingCommands, WaitingMessage
from workers.parking.retrying import ControlHandler
from workers.parking.suspects import SuspectTrials, Trial
from workers.projecting.projector import Projector, keep_until_stored
from workers.projecting.visibility import Visibility

BATCH: Final = 500
ANSWERS: Final = 64
"""Batches whose answers may be due; more only when the store is in trouble, and then all wait."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DecidedBatch:
    """A batch and what became of it.

    Attributes:
        batch: The deliveries.
        outcomes: The outcome of each command.
        number: Which one it is, counted from 1.
    """

    batch: Batch
    outcomes: Outcomes
    number: int


@dataclass(frozen=True, slots=True)
class DueAnswers:
    """Answers for those who wait, and whether reads show by now what they tell."""

    replies: list[Reply]
    shown: asyncio.Task[bool]


Decided = asyncio.Queue[DecidedBatch | None]
Due = asyncio.Queue[DueAnswers | None]


class Pipeline:
    """Takes batches from the deliveries until these are closed or the broker connection is lost.

    Args:
        deliveries: Where they wait.
        decider: Decides and appends.
        projector: Projects and announces.
        announcer: Sends replies.
        waiting: The commands that wait.
        controls: Does what operators ask.
        visibility: Tells when reads show what was projected.
        trials: Tries suspects.
        unreadable: Gives up what cannot be read.
        inputs: Clock and person schema.
        keys: What commands are sealed with.
    """

    def __init__(
        self,
        deliveries: DeliveryQueue,
        decider: BatchDecider,
        projector: Projector,
        announcer: Announcer,
        waiting: WaitingCommands,
        controls: ControlHandler,
        visibility: Visibility,
        trials: SuspectTrials,
        unreadable: UnreadableHandler,
        inputs: DecisionInputs,
        keys: TransportKeys,
    ) -> None:
        self._deliveries = deliveries
        self._keys = keys
        self._decider = decider
        self._projector = projector
        self._announcer = announcer
        self._waiting = waiting
        self._controls = controls
        self._visibility = visibility
        self._trials = trials
        self._unreadable = unreadable
        self._clock, self._schema = inputs.clock, inputs.schema
        self._unprojected: dict[str, PersonState] = {}
        self._begun = 0
        self._doubtful = 0

    async def process_batches(self) -> None:
        """Process batches until the deliveries are closed and what was under way is acknowledged.

        Raises:
            BrokerUnavailable: The broker is lost; nothing of what was under way is acknowledged.
        """
        # One place: while a batch is announced, one more is decided, and no third, so little comes again
        # after a crash.
        decided: Decided = asyncio.Queue(maxsize=1)
        due: Due = asyncio.Queue(maxsize=ANSWERS)
        await keep_until_stored("reading keys", self._keys.check)
        try:
            await together(self._decide_all(decided), self._publish_all(decided, due), self._answer_all(due))
        except BrokerUnavailable as exc:
            raise BrokerUnavailable("RabbitMQ was lost with batches under way") from exc

    async def _decide_all(self, decided: Decided) -> None:
        while not self._deliveries.closed:
            deliveries = await self._deliveries.take_some(BATCH, self._trials.due_in())
            self._trials.forget_handed_over()
            opened = await self._open(deliveries)
            for batch in await read_or_hold(
                self._deliveries,
                deliveries,
                opened,
                self._clock(),
                self._schema,
                self._trials.set_aside_if_suspect,
            ):
                if batch.control is None:
                    if anything_failed((await self._decide_and_hand_on(batch, decided)).values()):
                        await decided.join()  # the next batch is to find its people parked
                else:
                    # What came before it must be parked by now, or the retry would miss it.
                    await decided.join()
                    await self._controls.carry_out(batch.control)
                    await self._finish(batch, {})
            if self._trials.due_in() == 0.0:
                await decided.join()
                await self._trials.try_next(partial(self._carry_through, decided))
        await decided.put(None)

    async def _open(self, deliveries: Sequence[Delivery]) -> list[Opened]:
        bodies = [delivery.body for delivery in deliveries]
        return await keep_until_stored("opening", lambda: self._keys.open_all(bodies))

    async def _decide_and_hand_on(self, batch: Batch, decided: Decided) -> Outcomes:
        commands = [command for _, command in batch.commands]
        self._begun += 1
        number = self._begun
        outcomes = await keep_until_stored(
            "deciding", lambda: self._decider.decide_batch(commands, dict(self._unprojected))
        )
        # The next batch is decided while this one is projected: it must not take the read model's older word.
        self._unprojected.update(
            (person_id, change.after) for person_id, change in changes_of_people(outcomes).items()
        )
        await decided.put(DecidedBatch(batch, outcomes, number))
        return outcomes

    async def _carry_through(self, decided: Decided, trial: Trial) -> None:
        """Do what a trial's messages say, and return when they are acknowledged.

        One that ended its worker each time parks its person; the commands that a control is about stay.
        """
        batch = Batch(trial.deliveries, trial.commands, is_trial=True)
        if trial.control is not None:
            if trial.over:
                await self._controls.give_up(trial.control, ENDED)
            else:
                await self._controls.carry_out(trial.control)
            await self._finish(batch, {})
            return
        if trial.over:
            outcomes = {command.command_id: ParkedCommand(command, ENDED) for _, command in batch.commands}
            await decided.put(DecidedBatch(batch, outcomes, self._begun))
        else:
            await self._decide_and_hand_on(batch, decided)
        await decided.join()

    async def _publish_all(self, decided: Decided, due: Due) -> None:
        while (one := await decided.get()) is not None:
            batch, outcomes = one.batch, one.outcomes
            states = {person_id: change.after for person_id, change in changes_of_people(outcomes).items()}
            if one.number <= self._doubtful:
                outcomes = await self._park_those_behind(outcomes)
            (published, shown), _ = await asyncio.gather(
                self._project_and_announce(batch, outcomes), self._unreadable.give_up(batch.unreadable)
            )
            if published is not outcomes:
                # What was begun before this may have passed by the people who are parked since.
                self._doubtful = self._begun
            await self._park_failed(batch, published)
            await self._finish(batch, published)
            for person_id, state in states.items():
                # A newer batch may have put a newer state there, which is not projected yet.
                if self._unprojected.get(person_id) is state:
                    del self._unprojected[person_id]
            decided.task_done()
            if shown is not None:
                await due.put(DueAnswers(_replies(batch, published, self._schema), shown))
        await due.put(None)

    async def _project_and_announce(
        self, batch: Batch, outcomes: Outcomes
    ) -> tuple[Outcomes, asyncio.Task[bool] | None]:
        """Project, then announce; meanwhile see, for those who wait, that reads show what was projected."""
        outcomes = await self._projector.project_people(outcomes)
        person_ids = batch.awaited_people()
        shown = asyncio.create_task(self._visibility.reached(person_ids)) if person_ids else None
        return await self._projector.announce_events(outcomes), shown

    async def _park_those_behind(self, outcomes: Outcomes) -> Outcomes:
        """Let the commands of people who were parked while these were being decided wait, too."""
        # An erase does not wait: it ended the line.
        changes = changes_of_people(outcomes)
        person_ids = [one for one, change in changes.items() if change.after.status != "erased"]
        parked = await keep_until_stored("deciding", lambda: self._waiting.positions(person_ids))
        return with_people_parked(outcomes, dict.fromkeys(parked, BEHIND))

    async def _park_failed(self, batch: Batch, outcomes: Outcomes) -> None:
        """Put on record what is to wait; all that was decided before it is announced by now."""
        waiting: dict[str, WaitingMessage] = {}
        for delivery, command in batch.commands:
            outcome = outcomes[command.command_id]
            if isinstance(outcome, ParkedCommand):
                waiting.setdefault(command.command_id, WaitingMessage(outcome, delivery.body))
        if waiting:
            now = self._clock()
            await keep_until_stored("parking", lambda: self._waiting.park(list(waiting.values()), now))

    async def _answer_all(self, due: Due) -> None:
        """Answer those who wait, once reads show what they are told.

        If that cannot be had in time they are told nothing: what they get then, a 202, promises nothing.
        """
        while (answers := await due.get()) is not None:
            if await answers.shown:
                await self._announcer.send_replies(answers.replies, self._keys.current())

    async def _finish(self, batch: Batch, outcomes: Outcomes) -> None:
        """Acknowledge, count and log a batch of which all is on record and announced."""
        await acknowledge_batch(batch)
        self._deliveries.note_finished(batch.deliveries)
        metrics.BATCH_SIZE.observe(len(batch.deliveries))
        metrics.DEAD_LETTERED.inc(len(batch.unreadable))
        for letter in batch.unreadable:
            words = {"message_id": letter.message_id, "queue": letter.queue, "reason": letter.reason}
            log.error("dead-lettered", ours=letter.envelope is not None, **words)
        now = self._clock()
        for _, command in batch.commands:
            metrics.APPLY_SECONDS.observe((now - command.accepted_at).total_seconds())
            metrics.count_outcome(outcomes[command.command_id])


def _replies(batch: Batch, outcomes: Outcomes, schema: PersonSchema) -> list[Reply]:
    return [
        Reply(
            delivery.reply_to,
            delivery.correlation_id,
            command.person_id,
            told_to_client(outcomes[command.command_id], command.accepted_at, schema),
        )
        for delivery, command in batch.commands
        if delivery.reply_to is not None
    ]
