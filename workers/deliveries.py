"""Owns what a batch of deliveries holds: commands, what operators ask, what cannot be read; the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from events.commands import Command
from events.controls import Control, Message, decode_message
from events.errors import MalformedMessage
from events.outcomes import Applied, Outcome, Parked, Rejected
from events.views import person_view
from service_kit.broker import broker_errors
from service_kit.topology import partition_queue
from workers.announcer import DeadLetter, Reply
from workers.batches import Settled
from workers.faults import BEHIND
from workers.intake import Delivery, Partition
from workers.parked import Waiting


@dataclass(slots=True)
class Batch:
    """Deliveries on their way.

    Attributes:
        deliveries: All of them, in order of arrival.
        commands: The readable ones, by their delivery.
        dead: The unreadable ones.
        control: What an operator asks of a parked person's line; it is then alone in its batch.
        number: Which one it is, counted from 1.
        trial: Whether these were held back, and are now tried: others that came before them may still wait.
        settled: What became of the commands.
    """

    deliveries: list[Delivery] = field(default_factory=list)
    commands: list[tuple[Delivery, Command]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    control: Control | None = None
    number: int = 0
    trial: bool = False
    settled: Settled = field(default_factory=Settled)

    def waiting(self) -> list[Waiting]:
        """Return the commands that are to wait, in order of arrival, each once."""
        found: dict[str, Waiting] = {}
        for delivery, command in self.commands:
            reason = self.settled.parked.get(command.command_id)
            if reason is not None:
                failed = reason is not BEHIND
                found.setdefault(command.command_id, Waiting(command, delivery.body, reason, failed))
        return list(found.values())

    def replies(self) -> list[Reply]:
        """Return the outcomes, for those who wait for one."""
        return [
            Reply(delivery.reply_to, delivery.correlation_id, outcome_of(command, self.settled))
            for delivery, command in self.commands
            if delivery.reply_to is not None
        ]


def read(
    deliveries: Sequence[Delivery],
    now: datetime,
    hold: Callable[[Delivery, Message], bool] = lambda _delivery, _message: False,
) -> list[Batch]:
    """Return the deliveries as batches, in order: a control has one of its own.

    What is neither command nor control is set apart as dead.

    Args:
        deliveries: In order of arrival.
        now: The time, UTC.
        hold: Tells whether a message is held back, and no part of a batch.
    """
    batches = [Batch()]
    for delivery in deliveries:
        try:
            message = decode_message(delivery.body)
        except MalformedMessage as exc:
            queue = partition_queue(delivery.partition.number)
            letter = DeadLetter(delivery.body, delivery.message_id, queue, exc.detail, now)
            batches[-1].dead.append(letter)
        else:
            if hold(delivery, message):
                continue
            if isinstance(message, Control):
                batches += [Batch([delivery], control=message), Batch()]
                continue
            batches[-1].commands.append((delivery, message))
        batches[-1].deliveries.append(delivery)
    return [batch for batch in batches if batch.deliveries]


def outcome_of(command: Command, settled: Settled) -> Outcome:
    """Return what the one who waits for a command is told."""
    rejection = settled.rejections.get(command.command_id)
    if rejection is not None:
        return Rejected(code=rejection.code, detail=rejection.detail)
    reason = settled.parked.get(command.command_id)
    if reason is not None:
        return Parked(reason=reason.kind, detail=reason.detail)
    done = settled.done[command.command_id]
    person = person_view(done.after) if done.after.status == "active" else None
    return Applied(version=done.event.version, event_id=done.event.event_id, person=person)


async def acknowledge(batch: Batch) -> None:
    """Acknowledge a batch: for each partition everything up to its last delivery, if nothing of that is held.

    Raises:
        BrokerUnavailable: The broker is lost; it will deliver all of it again.
    """
    tags: dict[Partition, list[int]] = {}
    for delivery in batch.deliveries:
        tags.setdefault(delivery.partition, []).append(delivery.tag)
    with broker_errors("acknowledging"):
        for partition, its in tags.items():
            if not (batch.trial or partition.held):
                await partition.channel.basic_ack(its[-1], multiple=True, wait=False)
                continue
            for tag in its:
                await partition.channel.basic_ack(tag, multiple=False, wait=False)
            partition.held.difference_update(its)
