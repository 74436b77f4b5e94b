"""Plans the trials of messages that were delivered often: which together, which alone, which no more.

A message is delivered again whenever its worker ends, whoever is to blame. So one that was delivered often is
a suspect, set aside with all that follows of its person, and tried on record (`attempts`).
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Final

import structlog

from events.errors import StoreUnavailable
from events.parking.controls import Control, Message
from events.person.commands import Command
from service_kit.retries import backoff
from workers import metrics
from workers.consuming.deliveries import Delivery, DeliveryQueue
from workers.parking.attempts import Attempts, Key

log = structlog.get_logger()

SUSPECT: Final = 3
"""Deliveries in vain that make a message a suspect."""
ATTEMPTS: Final = 5
"""Lone attempts on record after which a command is taken for what ends its worker."""
TOGETHER: Final = 100
"""Suspects that are tried at once while nothing is on record of any: nearly all of them are innocent."""


@dataclass(slots=True, eq=False)
class SetAsideMessage:
    """A message that is set aside.

    Attributes:
        delivery: As it came.
        message: What it says.
        known: Whether the record was asked.
        attempts: Lone attempts on record; 0 if it was only tried together with others; None if never.
    """

    delivery: Delivery
    message: Message
    known: bool = False
    attempts: int | None = None

    @property
    def key(self) -> Key:
        """What it is on record by."""
        return self.message.person_id, self.message.command_id


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be tried next, in order.

    Attributes:
        messages: One message, or several that are tried together.
        lone: Whether it is one, alone.
        over: Whether it had all its attempts: it is not tried any more.
    """

    messages: Sequence[SetAsideMessage]
    lone: bool
    over: bool = False

    @property
    def deliveries(self) -> list[Delivery]:
        """Those of the messages."""
        return [one.delivery for one in self.messages]

    @property
    def commands(self) -> list[tuple[Delivery, Command]]:
        """The commands, by their delivery."""
        return [(one.delivery, one.message) for one in self.messages if not isinstance(one.message, Control)]

    @property
    def control(self) -> Control | None:
        """What an operator asks, if that is what is tried: it is alone then."""
        message = self.messages[0].message
        return message if isinstance(message, Control) else None


class Suspects:
    """The messages that are set aside, by person, in order of arrival; the prefetch bounds them. Pure."""

    def __init__(self) -> None:
        self._by_person: dict[str, deque[SetAsideMessage]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_person.values()))

    def concerns(self, delivery: Delivery, message: Message) -> bool:
        """Return whether a message is to be set aside: it is a suspect, or comes after one of its person."""
        return delivery.returns >= SUSPECT or message.person_id in self._by_person

    def add(self, delivery: Delivery, message: Message) -> None:
        """Set a message aside, behind those of its person."""
        self._by_person.setdefault(message.person_id, deque()).append(SetAsideMessage(delivery, message))

    def drop_handed_over(self) -> None:
        """Forget what belongs to others now: the broker delivers it again, to them."""
        people = self._by_person.items()
        self._by_person = {one: its for one, its in people if not its[0].delivery.partition.leaving}

    def unknown(self) -> list[SetAsideMessage]:
        """Return those whose record was not asked yet."""
        return [one for its in self._by_person.values() for one in its if not one.known]

    def choose(self) -> Trial | None:
        """Return what is to be tried next; None if nothing is set aside.

        First one that had all its attempts, to be done with it. Then those of which nothing is on record,
        together: after a crash that is nearly everything. Then the one with the fewest lone attempts, alone,
        so that a command which does end its worker is tried again after all others.
        """
        self.drop_handed_over()
        queues = list(self._by_person.values())
        for its in queues:
            if (its[0].attempts or 0) >= ATTEMPTS:
                return Trial([its[0]], lone=True, over=True)
        together = _first(TOGETHER, (takewhile(_is_new, its) for its in queues))
        if together:
            return Trial(together, lone=len(together) == 1)
        if not queues:
            return None
        least = min(queues, key=lambda its: its[0].attempts or 0)
        return Trial([least[0]], lone=True)

    def take(self, trial: Trial) -> None:
        """Take out the messages of a trial."""
        for one in trial.messages:
            its = self._by_person[one.message.person_id]
            its.remove(one)
            if not its:
                del self._by_person[one.message.person_id]


def _is_new(message: SetAsideMessage) -> bool:
    # What an operator asks is done alone in any case.
    return message.attempts is None and not isinstance(message.message, Control)


def _first(limit: int, queues: Iterable[Iterable[SetAsideMessage]]) -> list[SetAsideMessage]:
    chosen: list[SetAsideMessage] = []
    for its in queues:
        for one in its:
            if len(chosen) == limit:
                return chosen
            chosen.append(one)
    return chosen


class SuspectTrials:
    """Sets suspects aside, and tries them with nothing else under way.

    Args:
        deliveries: Where they come from.
        attempts: The record of trials.
        try_from: Monotonic time from which suspects are tried.
        clock: Tells the time, UTC.
    """

    def __init__(
        self, deliveries: DeliveryQueue, attempts: Attempts, try_from: float, clock: Callable[[], datetime]
    ) -> None:
        self._deliveries = deliveries
        self._attempts = attempts
        self._try_from = try_from
        self._clock = clock
        self._suspects = Suspects()
        self._failures = 0

    def due_in(self) -> float | None:
        """Return the seconds until suspects are tried; None if there are none."""
        metrics.SUSPECTS.set(len(self._suspects))
        return max(0.0, self._try_from - time.monotonic()) if self._suspects else None

    def forget_handed_over(self) -> None:
        """Forget what belongs to others now: the broker delivers it again, to them."""
        self._suspects.drop_handed_over()

    def set_aside_if_suspect(self, delivery: Delivery, message: Message) -> bool:
        """Set a message aside if it is to be tried apart, or comes after such a one of its person."""
        concerned = self._suspects.concerns(delivery, message)
        if concerned:
            self._suspects.add(delivery, message)
            self._deliveries.note_set_aside(delivery)
        return concerned

    async def try_next(self, carry_through: Callable[[Trial], Awaitable[None]]) -> None:
        """Try what is next of the suspects; if MongoDB is away nothing is begun, and nothing counts.

        Args:
            carry_through: Does what a trial's messages say, or gives them up, and acknowledges them.
        """
        trial: Trial | None = None
        try:
            await self._ask_record()
            if self._deliveries.closed or (trial := self._suspects.choose()) is None:
                return
            self._deliveries.note_begun(trial.deliveries)
            before = {one.key: one.attempts for one in trial.messages}
            now = self._clock()
            if trial.over:
                self._suspects.take(trial)
                await carry_through(trial)
                await self._attempts.forget(before, now)
            else:
                log.info("trying suspects", count=len(before), alone=trial.lone)
                # On record first: should one of them end this worker, the next one knows by that.
                async with self._attempts.on_record(before, lone=trial.lone, now=now):
                    self._suspects.take(trial)
                    await carry_through(trial)
            self._failures = 0
        except StoreUnavailable as exc:
            # From the record alone, before anything was taken: all else holds on until it is let through.
            if trial is not None:
                self._deliveries.note_finished(trial.deliveries)
            self._failures += 1
            pause = backoff(self._failures)
            self._try_from = time.monotonic() + pause
            log.warning("suspects wait", reason=exc.detail, retry_in=round(pause, 2))

    async def _ask_record(self) -> None:
        if unknown := self._suspects.unknown():
            known = await self._attempts.known([one.key for one in unknown])
            for one in unknown:
                one.known, one.attempts = True, known.get(one.key)
