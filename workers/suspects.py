"""Owns the choice among messages that were delivered often: what is tried together, what alone, what no more.

A message is delivered again whenever its worker ends, whoever is to blame. So one that was delivered often is
a suspect, held back with all that follows of its person, and tried on record (`workers.attempts`). Pure.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from events.commands import Command
from events.controls import Control, Message
from workers.attempts import Key
from workers.intake import Delivery

SUSPECT: Final = 3
"""Deliveries in vain that make a message a suspect."""
ATTEMPTS: Final = 5
"""Lone attempts on record after which a command is taken for what ends its worker."""
TOGETHER: Final = 100
"""Suspects that are tried at once while nothing is on record of any: nearly all of them are innocent."""


@dataclass(slots=True, eq=False)
class Held:
    """A message that is held back.

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
        held: One message, or several that are tried together.
        lone: Whether it is one, alone.
        over: Whether it had all its attempts: it is not tried any more.
    """

    held: Sequence[Held]
    lone: bool
    over: bool = False

    @property
    def deliveries(self) -> list[Delivery]:
        """Those of the messages."""
        return [one.delivery for one in self.held]

    @property
    def commands(self) -> list[tuple[Delivery, Command]]:
        """The commands, by their delivery."""
        return [(one.delivery, one.message) for one in self.held if not isinstance(one.message, Control)]

    @property
    def control(self) -> Control | None:
        """What an operator asks, if that is what is tried: it is alone then."""
        message = self.held[0].message
        return message if isinstance(message, Control) else None


class Suspects:
    """The messages that are held back, in order of arrival for each person; the prefetch bounds them."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Held]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def concerns(self, delivery: Delivery, message: Message) -> bool:
        """Return whether a message is to be held back: it is a suspect, or comes after one of its person."""
        return delivery.returns >= SUSPECT or message.person_id in self._lines

    def hold(self, delivery: Delivery, message: Message) -> None:
        """Hold a message back, behind those of its person."""
        self._lines.setdefault(message.person_id, deque()).append(Held(delivery, message))

    def drop_handed_over(self) -> None:
        """Forget what belongs to others now: the broker delivers it again, to them."""
        lines = self._lines.items()
        self._lines = {one: line for one, line in lines if not line[0].delivery.partition.leaving}

    def unknown(self) -> list[Held]:
        """Return those whose record was not asked yet."""
        return [one for line in self._lines.values() for one in line if not one.known]

    def choose(self) -> Trial | None:
        """Return what is to be tried next; None if nothing is held.

        First one that had all its attempts, to be done with it. Then those of which nothing is on record,
        together: after a crash that is nearly everything. Then the one with the fewest lone attempts, alone,
        so that a command which does end its worker is tried again after all others.
        """
        self.drop_handed_over()
        lines = list(self._lines.values())
        for line in lines:
            if (line[0].attempts or 0) >= ATTEMPTS:
                return Trial([line[0]], lone=True, over=True)
        together = _first(TOGETHER, (takewhile(_is_new, line) for line in lines))
        if together:
            return Trial(together, lone=len(together) == 1)
        if not lines:
            return None
        least = min(lines, key=lambda line: line[0].attempts or 0)
        return Trial([least[0]], lone=True)

    def take(self, trial: Trial) -> None:
        """Hold a trial's messages no more."""
        for one in trial.held:
            line = self._lines[one.message.person_id]
            line.remove(one)
            if not line:
                del self._lines[one.message.person_id]


def _is_new(held: Held) -> bool:
    # What an operator asks is done alone in any case.
    return held.attempts is None and not isinstance(held.message, Control)


def _first(limit: int, lines: Iterable[Iterable[Held]]) -> list[Held]:
    chosen: list[Held] = []
    for line in lines:
        for one in line:
            if len(chosen) == limit:
                return chosen
            chosen.append(one)
    return chosen
