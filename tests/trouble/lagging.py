"""Lets a secondary lag: it answers reads, and applies nothing while it is locked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from pymongo import MongoClient

from tests.system import System


def secondaries(system: System) -> list[int]:
    """Return the port of one secondary of each set that holds people."""
    return [
        port
        for each in system.sets
        for port in [next(p for n, p in enumerate(each.ports) if n != each.primary())]
    ]


@asynccontextmanager
async def lagging(system: System, period: float | None = None) -> AsyncIterator[None]:
    """Let one secondary of each set lag for as long as the block runs.

    Args:
        system: Of sets with three members, so that there is a majority without it.
        period: Apply what has come once in so many seconds; nothing at all if None.
    """
    with ExitStack() as stack:
        clients: list[MongoClient[dict[str, Any]]] = [
            stack.enter_context(MongoClient("127.0.0.1", port, directConnection=True))
            for port in await asyncio.to_thread(secondaries, system)
        ]

        def every(command: dict[str, Any]) -> None:
            for client in clients:
                client.admin.command(command)

        over = asyncio.Event()

        async def pulse() -> None:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), period)
                await asyncio.to_thread(every, {"fsyncUnlock": 1})
                if over.is_set():
                    return
                await asyncio.sleep(0.01)
                await asyncio.to_thread(every, {"fsync": 1, "lock": True})

        await asyncio.to_thread(every, {"fsync": 1, "lock": True})
        pulsing = asyncio.create_task(pulse())
        try:
            yield
        finally:
            over.set()
            await pulsing
            for client in clients:
                assert not client.admin.command("currentOp").get("fsyncLock")
