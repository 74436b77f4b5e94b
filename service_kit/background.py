"""Runs what a service does beside its requests: none of it ends before the service does."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from service_kit.tasks import end

Work = Coroutine[Any, Any, None]

log = structlog.get_logger()


class WorkEnded(Exception):
    """A work ended by itself, as none may: a fault of ours, which is its cause."""


class Background:
    """The works of a process. If one ends by itself the process is to end, too.

    Half a service would go on for ever; one that has ended is started again by who supervises it.
    """

    def __init__(self) -> None:
        self._fault: WorkEnded | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._end: Callable[[], None] = lambda: None

    def when_faulty(self, end: Callable[[], None]) -> None:
        """Call this, once a work has ended by itself; at once, if one has already."""
        self._end = end
        if self._fault is not None:
            end()

    def start(self, work: Work) -> None:
        """Do a work until all are stopped."""
        task = asyncio.create_task(work, name=getattr(work, "__qualname__", "work"))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def check(self) -> None:
        """Return if no work has ended by itself.

        Raises:
            WorkEnded: One has.
        """
        if self._fault is not None:
            raise self._fault

    async def stop(self) -> None:
        """Cancel all works, and wait for their ends."""
        self._stopping = True
        await end(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        cause = None if task.cancelled() else task.exception()
        if self._stopping or self._fault is not None:
            return
        self._fault = WorkEnded(f"{task.get_name()} ended")
        self._fault.__cause__ = cause
        log.error("work ended", work=task.get_name(), exc_info=cause)
        self._end()
