"""Owns the deliveries between the broker and the pipeline: in order of arrival, bounded by prefetch."""

import asyncio
import time
from collections import deque
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
        in_flight: Deliveries taken and not yet settled.
        idle: Set while nothing is in flight.
    """

    number: int
    owner: AbstractChannel
    channel: Channel
    active: bool = False
    leaving: bool = False
    in_flight: int = 0
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
    """

    partition: Partition
    tag: int
    body: bytes
    message_id: str | None
    reply_to: str | None
    correlation_id: str | None


class Intake:
    """Collects deliveries of all partitions and gives them out in batches."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()
        self._filled = asyncio.Event()
        self._closed = False
        self._taken_at = 0.0

    def put(self, delivery: Delivery) -> None:
        """Take a delivery from the broker; one of a partition that is being handed over is dropped.

        What is dropped stays unacknowledged, so the broker gives it to the next consumer.
        """
        delivery.partition.active = True
        if not (self._closed or delivery.partition.leaving):
            self._waiting.append(delivery)
            self._filled.set()

    async def take(self, limit: int) -> list[Delivery]:
        """Wait for a delivery and return what is there, at most `limit`; nothing once closed.

        What comes within `PACE_SECONDS` of the last batch waits for the rest of that time: the first
        command after a pause goes at once, and a steady trickle costs few round trips.
        """
        # Each wait may end with nothing left: closed, or the partition handed over meanwhile.
        while True:
            early = self._taken_at + PACE_SECONDS - time.monotonic()
            if self._closed:
                return []
            if not self._waiting:
                self._filled.clear()
                await self._filled.wait()
            elif early > 0 and len(self._waiting) < limit:
                await asyncio.sleep(early)
            else:
                break
        self._taken_at = time.monotonic()
        count = min(limit, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(count)]
        for delivery in batch:
            delivery.partition.in_flight += 1
            delivery.partition.idle.clear()
        return batch

    def close(self) -> None:
        """Drop what waits and take nothing more; the broker will deliver it again, to others."""
        self._closed = True
        self._waiting.clear()
        self._filled.set()

    def settle(self, batch: list[Delivery]) -> None:
        """Take note that a batch was acknowledged."""
        for delivery in batch:
            partition = delivery.partition
            partition.in_flight -= 1
            if partition.in_flight == 0:
                partition.idle.set()

    async def leave(self, partition: Partition) -> None:
        """Take nothing more of a partition, and return when nothing of it is in flight."""
        partition.leaving = True
        self._waiting = deque(d for d in self._waiting if d.partition is not partition)
        if partition.in_flight:
            await partition.idle.wait()
