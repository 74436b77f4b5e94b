"""Keeps when the broker last confirmed a publish into each partition: what the API is ready by. Pure."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Final

from events.errors import BrokerUnavailable
from events.times import rfc3339
from service_kit.broker.topology import partition_queue

PROBE_SECONDS: Final = 20.0
"""A partition that confirmed nothing for so long is probed."""
STALE_SECONDS: Final = 45.0
_UNPROVED: Final = "nothing published yet"
_SILENT: Final = "nothing published since"


class Confirms:
    """What is known of each partition.

    Args:
        partitions: How many there are.
        clock: Tells the seconds; does not jump.
        now: Tells the time, for the words.
    """

    def __init__(
        self,
        partitions: int,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._now = now
        self._last: list[float | None] = [None] * partitions
        self._reasons: dict[int, str] = {}

    def note_confirm(self, partition: int) -> None:
        """The broker has confirmed a publish."""
        self._last[partition] = self._clock()
        self._reasons.pop(partition, None)

    def note_refusal(self, partition: int, reason: str) -> None:
        """A publish was refused, or not confirmed in time."""
        self._reasons[partition] = reason

    def failing(self, partition: int) -> bool:
        """Return whether the newest publish failed."""
        return partition in self._reasons

    def due(self) -> list[int]:
        """Return the partitions to probe: those that fail, and those that confirmed nothing lately."""
        return [n for n in range(len(self._last)) if n in self._reasons or self._age(n) > PROBE_SECONDS]

    def check_partitions(self) -> None:
        """Return if every partition took its newest publish, not long ago.

        Raises:
            BrokerUnavailable: It tells which did not, since when, and why.
        """
        faults: dict[str, list[int]] = {}
        for partition in range(len(self._last)):
            if partition in self._reasons or self._age(partition) > STALE_SECONDS:
                faults.setdefault(self._fault(partition), []).append(partition)
        if faults:
            parts = (f"{', '.join(map(partition_queue, which))}: {said}" for said, which in faults.items())
            raise BrokerUnavailable(f"RabbitMQ: {'; '.join(parts)}")

    def _fault(self, partition: int) -> str:
        age = self._age(partition)
        if age == inf:
            return f"no confirm yet ({self._reasons.get(partition, _UNPROVED)})"
        # To the second: partitions that were confirmed together are told of together.
        when = rfc3339((self._now() - timedelta(seconds=age)).replace(microsecond=0))
        return f"no confirm since {when} ({self._reasons.get(partition, _SILENT)})"

    def _age(self, partition: int) -> float:
        last = self._last[partition]
        return inf if last is None else self._clock() - last
