"""Owns settling portions of an import: published and confirmed, refused rows on record; a few at a time."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from command_api.imports.drafting import Refused
from command_api.imports.record import Progress
from command_api.imports.store import ImportStore
from command_api.publisher import CommandPublisher, Outgoing
from events.errors import BrokerUnavailable, Unavailable
from service_kit.broker import backoff

WINDOW: Final = 16
"""Portions whose confirms are awaited at once."""
GRACE_SECONDS: Final = 2.0
"""How long portions under way are waited for when an import is cut."""

Drafts = Sequence[Outgoing | Refused]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Means:
    """What imports need, given by the composition root.

    Attributes:
        publisher: Takes commands to the broker.
        store: Keeps imports.
        clock: Tells the time, UTC.
        patience: Seconds that a part which is away, or a full queue, is waited for.
        ending: Set when the process is to end.
    """

    publisher: CommandPublisher
    store: ImportStore
    clock: Callable[[], datetime]
    patience: float
    ending: asyncio.Event


class Window:
    """The portions of an import that are under way.

    Args:
        means: What settling them needs.
        import_id: The import.
        confirmed: How far it was before.
        publishes: Whether rows become commands, or are only checked.

    Attributes:
        confirmed: How far it is without a gap.
    """

    def __init__(self, means: Means, import_id: str, confirmed: Progress, *, publishes: bool) -> None:
        self.confirmed = confirmed
        self._means = means
        self._import_id = import_id
        self._publishes = publishes
        self._pending: deque[tuple[asyncio.Task[None], Progress]] = deque()

    async def add(self, drafts: Drafts, progress: Progress) -> None:
        """Begin to settle a portion, once there is room for it.

        Args:
            drafts: What its rows became.
            progress: How far the import is once it is settled.

        Raises:
            Unavailable: An earlier portion could not be settled within the time.
        """
        while len(self._pending) >= WINDOW:
            await self._oldest()
        task = asyncio.create_task(self._settle(drafts))
        self._pending.append((task, progress))
        task.add_done_callback(self._advance)

    async def drain(self) -> None:
        """Wait until all are settled.

        Raises:
            Unavailable: One could not be settled within the time.
        """
        while self._pending:
            await self._oldest()

    async def close(self) -> None:
        """Give what is under way a moment, then let it go."""
        tasks = [task for task, _ in self._pending]
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._advance()

    async def _oldest(self) -> None:
        await asyncio.shield(self._pending[0][0])
        self._advance()

    def _advance(self, _: object = None) -> None:
        """Move on over the portions that are settled, in their order; one that failed stays."""
        while self._pending:
            task, progress = self._pending[0]
            if not task.done() or task.cancelled() or task.exception() is not None:
                return
            self._pending.popleft()
            self.confirmed = progress

    async def _settle(self, drafts: Drafts) -> None:
        if refused := [one for one in drafts if isinstance(one, Refused)]:
            await self.refuse(refused)
        commands = [one for one in drafts if isinstance(one, Outgoing)]
        if commands and self._publishes:
            await self._publish(commands)

    async def refuse(self, refused: Sequence[Refused]) -> None:
        """Keep why rows are not valid.

        Raises:
            StoreUnavailable: MongoDB is away for too long.
        """
        await patiently(self._means, lambda: self._means.store.refuse(self._import_id, refused))

    async def _publish(self, commands: list[Outgoing]) -> None:
        """Publish until the broker has all; a full queue is waited for."""
        left: Sequence[Outgoing] = commands
        attempt, deadline = 0, time.monotonic() + self._means.patience
        while True:
            try:
                refused = await self._means.publisher.publish_many(left)
                if not refused:
                    return
                if len(refused) < len(left):
                    attempt, deadline = 0, time.monotonic() + self._means.patience
                left = refused
                failure = BrokerUnavailable("RabbitMQ's queues are full, or not there")
            except BrokerUnavailable as exc:
                failure = exc
            attempt += 1
            pause = backoff(attempt)
            if time.monotonic() + pause > deadline:
                raise failure
            await asyncio.sleep(pause)


async def patiently(means: Means, operation: Callable[[], Awaitable[Result]]) -> Result:
    """Do something again while MongoDB is away.

    Raises:
        StoreUnavailable: It is for longer than the patience lasts.
    """
    attempt, deadline = 0, time.monotonic() + means.patience
    while True:
        try:
            return await operation()
        except Unavailable:
            attempt += 1
            pause = backoff(attempt)
            if time.monotonic() + pause > deadline:
                raise
            await asyncio.sleep(pause)
