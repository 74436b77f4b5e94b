"""Ends tasks for certain: one cancellation is not enough where a library keeps it to itself.

Up to Python 3.11 `asyncio.wait_for` does so if what it waits for is done in the same moment
(https://github.com/python/cpython/issues/86296), and MongoDB's driver sends each command through it. A task
that goes on waits for others that have ended, and a `TaskGroup` cancels it only once.
"""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, Final

import structlog

from events.errors import Unavailable

CANCEL_SECONDS: Final = 5.0
"""How long what is cancelled may take to end, before it is cancelled again."""

log = structlog.get_logger()


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and return when all have ended, however they do.

    Raises:
        CancelledError: The caller was asked to end meanwhile; the tasks have ended nevertheless.
    """
    asked: asyncio.CancelledError | None = None
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        try:
            await asyncio.wait(running, timeout=CANCEL_SECONDS)
        except asyncio.CancelledError as exc:
            asked = exc
            continue
        for task in running:
            if not task.done():
                places = [f"{frame.f_code.co_name}:{frame.f_lineno}" for frame in task.get_stack()]
                log.warning(
                    "does not end", work=getattr(task.get_coro(), "__qualname__", task.get_name()), at=places
                )
    for task in tasks:
        if not task.cancelled():
            task.exception()  # it is told of by who waits for the task, or by nobody
    if asked is not None:
        raise asked


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Do works side by side until all have returned or one has failed; then the others are ended.

    Raises:
        Exception: The error of the one that failed; of several, a fault of ours before what is merely away.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        errors = [exc for task in tasks if task.done() and not task.cancelled() and (exc := task.exception())]
    finally:
        await end(tasks)
    if errors:
        raise min(errors, key=lambda exc: isinstance(exc, Unavailable))
