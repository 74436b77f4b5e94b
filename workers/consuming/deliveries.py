"""Deliveries from their arrival to their acknowledgement: in order, bounded by the prefetch."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from aio_pika.abc import AbstractChannel
from aiormq.channel import Channel

from events.parking.controls import Control
from events.person.commands import Command
from service_kit.broker.connection import broker_errors
from workers.outcomes import UnreadableMessage

PACE_SECONDS: Final = 0.05


@dataclass(slots=True, eq=False)
class Partition:
    """One command queue, as this worker consumes it.

    Attributes:
        number: Of the partition.
        owner: Its own channel: closing it hands the queue over.
        channel: The same, for acknowledging.
        active: Whether the broker has ever delivered to us here: we are the single active consumer.
        leaving: Being handed over: nothing more is taken.
        reconciled: Whether the feed is known to hold what the log holds of it; until then nothing is taken.
        in_flight: Deliveries taken, and neither acknowledged nor set aside yet.
        set_aside: Tags of deliveries that are acknowledged one by one, never with what came after them.
        idle: Set while nothing is in flight.
    """

    number: int
    owner: AbstractChannel
    channel: Channel
    active: bool = False
    leaving: bool = False
    reconciled: bool = False
    in_flight: int = 0
    set_aside: set[int] = field(default_factory=set)
    idle: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message.

    Attributes:
        partition: Where it came from.
        tag: What it is acknowledged by.
        body: The command.
        message_id: As the sender named it; for the log, if the body cannot be read.
        reply_to: Queue that waits for the outcome, if any.
        correlation_id: What the one who waits knows it by.
        returns: How often the broker has delivered it before, in vain.
    """

    partition: Partition
    tag: int
    body: bytes
    message_id: str | None
    reply_to: str | None
    correlation_id: str | None
    returns: int = 0


class DeliveryQueue:
    """Collects deliveries of all partitions and gives them out, some at once.

    Attributes:
        closed: Whether nothing more is taken.
    """

    def __init__(self) -> None:
        self.closed = False
        self._waiting: deque[Delivery] = deque()
        self._unreconciled: dict[Partition, list[Delivery]] = {}
        self._filled = asyncio.Event()
        self._closing = asyncio.Event()
        self._taken_at = 0.0

    def enqueue(self, delivery: Delivery) -> None:
        """Put a delivery at the end; one of a partition that is being handed over is dropped.

        What is dropped stays unacknowledged, so the broker gives it to the next consumer.
        """
        delivery.partition.active = True
        if self.closed or delivery.partition.leaving:
            return
        if delivery.partition.reconciled:
            self._waiting.append(delivery)
            self._filled.set()
        else:
            self._unreconciled.setdefault(delivery.partition, []).append(delivery)  # the prefetch bounds it

    def mark_reconciled(self, partition: Partition) -> None:
        """Give out what waited until the feed was known to hold what the log holds of a partition."""
        partition.reconciled = True
        self._waiting += self._unreconciled.pop(partition, ())
        self._filled.set()

    def mark_unreconciled(self, partition: Partition) -> None:
        """Keep back what is not taken yet of a partition, until the feed is reconciled anew."""
        partition.reconciled = False
        mine = [delivery for delivery in self._waiting if delivery.partition is partition]
        if mine:
            self._unreconciled[partition] = mine
            self._waiting = deque(d for d in self._waiting if d.partition is not partition)

    async def take_some(self, limit: int, seconds: float | None = None) -> list[Delivery]:
        """Wait for a delivery and return what is there, at most `limit`; nothing once closed.

        Args:
            limit: How many at most.
            seconds: How long to wait at most; then nothing is returned, too.

        What comes within `PACE_SECONDS` of the last batch waits for the rest of that time: the first
        command after a pause goes at once, and a steady trickle costs few round trips.
        """
        # Each wait may end with nothing left: closed, or the partition handed over meanwhile.
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        while True:
            early = self._taken_at + PACE_SECONDS - time.monotonic()
            if self.closed or (not self._waiting and time.monotonic() >= deadline):
                return []
            if not self._waiting:
                self._filled.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if seconds is None else deadline - time.monotonic()):
                        await self._filled.wait()
            elif early > 0 and len(self._waiting) < limit:
                await asyncio.sleep(early)
            else:
                break
        self._taken_at = time.monotonic()
        count = min(limit, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(count)]
        self.note_begun(taken)
        return taken

    def note_begun(self, deliveries: Sequence[Delivery]) -> None:
        """Take note that deliveries are under way."""
        for delivery in deliveries:
            delivery.partition.in_flight += 1
            delivery.partition.idle.clear()

    def close(self) -> None:
        """Drop what waits and take nothing more; the broker will deliver it again, to others."""
        self.closed = True
        self._waiting.clear()
        self._unreconciled.clear()
        self._filled.set()
        self._closing.set()

    async def until_closed(self) -> None:
        """Return once nothing more is taken."""
        await self._closing.wait()

    def note_finished(self, deliveries: Sequence[Delivery]) -> None:
        """Take note that deliveries are under way no more: acknowledged, or set aside."""
        for delivery in deliveries:
            partition = delivery.partition
            partition.in_flight -= 1
            if partition.in_flight == 0:
                partition.idle.set()

    def note_set_aside(self, delivery: Delivery) -> None:
        """Take note that a delivery is set aside: not under way, but not to be acknowledged with others.

        It does not keep its partition from being handed over: whoever gets that gets it, too.
        """
        delivery.partition.set_aside.add(delivery.tag)
        self.note_finished([delivery])

    async def drain(self, partition: Partition) -> None:
        """Take nothing more of a partition, and return when nothing of it is in flight.

        Only then may its channel be closed: the next consumer gets what is unacknowledged at once, and
        would decide it while we still do.
        """
        partition.leaving = True
        self._unreconciled.pop(partition, None)
        self._waiting = deque(d for d in self._waiting if d.partition is not partition)
        if partition.in_flight:
            await partition.idle.wait()


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries that are brought to their outcomes together.

    Attributes:
        deliveries: All of them, in order of arrival.
        commands: The readable ones, by their delivery.
        unreadable: The others.
        control: What an operator asks about a parked person; it is then alone in its batch.
        is_trial: Whether these were set aside, and are now tried: others that came before may still wait.
    """

    deliveries: list[Delivery] = field(default_factory=list)
    commands: list[tuple[Delivery, Command]] = field(default_factory=list)
    unreadable: list[UnreadableMessage] = field(default_factory=list)
    control: Control | None = None
    is_trial: bool = False

    def awaited_people(self) -> set[str]:
        """Return the ids of the people for whose commands somebody waits."""
        return {command.person_id for delivery, command in self.commands if delivery.reply_to is not None}


async def acknowledge_batch(batch: Batch) -> None:
    """Acknowledge a batch: of each partition all up to its last delivery, if none of that is set aside.

    Raises:
        BrokerUnavailable: The broker is lost; it will deliver all of it again.
    """
    tags: dict[Partition, list[int]] = {}
    for delivery in batch.deliveries:
        tags.setdefault(delivery.partition, []).append(delivery.tag)
    with broker_errors("acknowledging"):
        for partition, its in tags.items():
            # "Up to this one" would take along what is set aside and was not even tried.
            if not (batch.is_trial or partition.set_aside):
                await partition.channel.basic_ack(its[-1], multiple=True, wait=False)
                continue
            for tag in its:
                await partition.channel.basic_ack(tag, multiple=False, wait=False)
            partition.set_aside.difference_update(its)
