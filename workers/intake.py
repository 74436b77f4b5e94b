"""Owns the deliveries between the broker and the pipeline: in order of arrival, bounded by prefetch."""

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
        proven: Whether the feed is known to hold what the log holds of it; until then nothing is taken.
        in_flight: Deliveries taken and not yet settled.
        held: Tags of deliveries that are held back: acknowledged one by one, never with what came after them.
        idle: Set while nothing is in flight.
    """

    number: int
    owner: AbstractChannel
    channel: Channel
    active: bool = False
    leaving: bool = False
    proven: bool = False
    in_flight: int = 0
    held: set[int] = field(default_factory=set)
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


class Intake:
    """Collects deliveries of all partitions and gives them out in batches.

    Attributes:
        closed: Whether nothing more is taken.
    """

    def __init__(self) -> None:
        self.closed = False
        self._waiting: deque[Delivery] = deque()
        self._unproven: dict[Partition, list[Delivery]] = {}
        self._filled = asyncio.Event()
        self._taken_at = 0.0

    def put(self, delivery: Delivery) -> None:
        """Take a delivery from the broker; one of a partition that is being handed over is dropped.

        What is dropped stays unacknowledged, so the broker gives it to the next consumer.
        """
        delivery.partition.active = True
        if self.closed or delivery.partition.leaving:
            return
        if delivery.partition.proven:
            self._waiting.append(delivery)
            self._filled.set()
        else:
            self._unproven.setdefault(delivery.partition, []).append(delivery)  # the prefetch bounds it

    def prove(self, partition: Partition) -> None:
        """Give out what waited until the feed was known to hold what the log holds of a partition."""
        partition.proven = True
        self._waiting += self._unproven.pop(partition, ())
        self._filled.set()

    def doubt(self, partition: Partition) -> None:
        """Keep back what is not taken yet of a partition, until the feed is proven anew."""
        partition.proven = False
        mine = [delivery for delivery in self._waiting if delivery.partition is partition]
        if mine:
            self._unproven[partition] = mine
            self._waiting = deque(d for d in self._waiting if d.partition is not partition)

    async def take(self, limit: int, seconds: float | None = None) -> list[Delivery]:
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
        batch = [self._waiting.popleft() for _ in range(count)]
        self.begin(batch)
        return batch

    def begin(self, batch: Sequence[Delivery]) -> None:
        """Take note that deliveries are under way."""
        for delivery in batch:
            delivery.partition.in_flight += 1
            delivery.partition.idle.clear()

    def close(self) -> None:
        """Drop what waits and take nothing more; the broker will deliver it again, to others."""
        self.closed = True
        self._waiting.clear()
        self._unproven.clear()
        self._filled.set()

    def settle(self, batch: Sequence[Delivery]) -> None:
        """Take note that deliveries are under way no more: acknowledged, or held back."""
        for delivery in batch:
            partition = delivery.partition
            partition.in_flight -= 1
            if partition.in_flight == 0:
                partition.idle.set()

    async def leave(self, partition: Partition) -> None:
        """Take nothing more of a partition, and return when nothing of it is in flight."""
        partition.leaving = True
        self._unproven.pop(partition, None)
        self._waiting = deque(d for d in self._waiting if d.partition is not partition)
        if partition.in_flight:
            await partition.idle.wait()
