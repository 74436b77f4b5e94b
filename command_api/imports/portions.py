"""Publishes the portions of an import, a few at a time, and puts the rows that are not valid on record."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from command_api.dispatch.publisher import CommandPublisher, Outgoing
from command_api.imports.budget import ImportLimits
from command_api.imports.drafting import Refused
from command_api.imports.record import Progress
from command_api.imports.store import ImportStore
from events.errors import BrokerUnavailable, KeyTrouble, Unavailable
from events.imports.states import MAX_KEPT, MAX_TOLD
from service_kit.retries import Patience

WINDOW: Final = 16
"""Portions whose confirms are awaited at once."""
GRACE_SECONDS: Final = 2.0
"""How long portions under way are waited for when an import is cut."""

Drafts = Sequence[Outgoing | Refused]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ImportTools:
    """What imports need, given by the composition root.

    Attributes:
        publisher: Takes commands to the broker.
        store: Keeps imports.
        clock: Tells the time, UTC.
        limits: What each import may cost.
        patience: Seconds that a part which is away, or a full queue, is waited for.
        ending: Set when the process is to end.
    """

    publisher: CommandPublisher
    store: ImportStore
    clock: Callable[[], datetime]
    limits: ImportLimits
    patience: float
    ending: asyncio.Event


class Window:
    """The portions of an import that are under way.

    Args:
        tools: What publishing them takes.
        import_id: The import.
        confirmed: How far it was before.
        publishes: Whether rows become commands, or are only checked.

    Attributes:
        confirmed: How far it is without a gap.
        told: Of rows that are only checked, the first that are not valid: nothing of them is put on record.
    """

    def __init__(self, tools: ImportTools, import_id: str, confirmed: Progress, *, publishes: bool) -> None:
        self.confirmed = confirmed
        self.told: list[Refused] = []
        self._tools = tools
        self._import_id = import_id
        self._publishes = publishes
        self._pending: deque[tuple[asyncio.Task[None], Progress]] = deque()

    async def add(self, drafts: Drafts, progress: Progress) -> None:
        """Begin to publish a portion, once there is room for it.

        Args:
            drafts: What its rows became.
            progress: How far the import is once the portion is published.

        Raises:
            Unavailable: An earlier portion could not be published within the time.
        """
        while len(self._pending) >= WINDOW:
            await self._oldest()
        task = asyncio.create_task(self._publish_portion(drafts, progress.refused))
        self._pending.append((task, progress))
        task.add_done_callback(self._advance)

    async def drain(self) -> None:
        """Wait until all are published.

        Raises:
            Unavailable: One could not be published within the time.
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
        """Move on over the portions that are published, in their order; one that failed stays."""
        while self._pending:
            task, progress = self._pending[0]
            if not task.done() or task.cancelled() or task.exception() is not None:
                return
            self._pending.popleft()
            self.confirmed = progress

    async def _publish_portion(self, drafts: Drafts, refused_by_then: int) -> None:
        if refused := [one for one in drafts if isinstance(one, Refused)]:
            await self.refuse(refused, refused_by_then)
        commands = [one for one in drafts if isinstance(one, Outgoing)]
        if commands and self._publishes:
            await self._publish_commands(commands)

    async def refuse(self, refused: Sequence[Refused], by_then: int) -> None:
        """Keep why rows are not valid, or tell of them; of many, the first ones.

        Args:
            refused: The rows.
            by_then: How many the import has with them.

        Raises:
            StoreUnavailable: MongoDB is away for too long.
        """
        most = MAX_KEPT if self._publishes else MAX_TOLD
        first = refused[: max(0, most - (by_then - len(refused)))]
        if not self._publishes:
            self.told += first
        elif first:
            await patiently(self._tools, lambda: self._tools.store.refuse(self._import_id, first))

    async def _publish_commands(self, commands: list[Outgoing]) -> None:
        """Publish until the broker has all; a full queue is waited for."""
        left: Sequence[Outgoing] = commands
        patience = Patience(self._tools.patience)
        while True:
            try:
                refused = await self._tools.publisher.publish_many(left)
                if not refused:
                    return
                if len(refused) < len(left):
                    patience.renew()
                left = refused
                failure: Unavailable = BrokerUnavailable("RabbitMQ's queues are full, or not there")
            except (BrokerUnavailable, KeyTrouble) as exc:
                failure = exc
            pause = patience.pause()
            if pause is None:
                raise failure
            await asyncio.sleep(pause)


async def patiently(tools: ImportTools, operation: Callable[[], Awaitable[Result]]) -> Result:
    """Do something again while MongoDB is away.

    Raises:
        StoreUnavailable: It is for longer than the patience lasts.
    """
    patience = Patience(tools.patience)
    while True:
        try:
            return await operation()
        except Unavailable:
            pause = patience.pause()
            if pause is None:
                raise
            await asyncio.sleep(pause)
