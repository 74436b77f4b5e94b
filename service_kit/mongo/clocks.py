"""Compares this process's clock with MongoDB's, which all have in common, and says when it is wrong."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from prometheus_client import Gauge
from pymongo.errors import PyMongoError

from events.errors import StoreUnavailable, Unavailable
from service_kit.mongo.connection import Client, store_errors

TOLERANCE_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 15.0
SLOW_SECONDS: Final = 2.0
"""An answer that took longer says too little about the time of the middle."""

OFFSET: Final = Gauge(
    "rollcall_clock_offset_seconds", "How far this process's clock is ahead of MongoDB's; negative: behind"
)

log = structlog.get_logger()


class ClockWatch:
    """Knows how far this process's clock is from MongoDB's.

    Args:
        client: A client of either driver.
        clock: Tells this process's time, aware.
    """

    def __init__(self, client: Client, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._client = client
        self._clock = clock
        self._offset: float | None = None
        self._wrong = False

    async def run(self) -> None:
        """Look now and then, until cancelled; while MongoDB is away, what is known stays."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as exc:
                log.debug("clock not compared", reason=exc.detail)
            except PyMongoError as exc:
                # No command or read depends on it.
                log.warning("clock not compared", reason=type(exc).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Compare the clocks once: ours in the middle of the round trip with what the answer says.

        Raises:
            StoreUnavailable: MongoDB does not answer.
        """
        began, asked_at = self._clock(), time.monotonic()
        with store_errors():
            theirs: datetime = (await self._client.admin.command("hello"))["localTime"]
        took = time.monotonic() - asked_at
        if took > SLOW_SECONDS:
            return
        if theirs.tzinfo is None:
            theirs = theirs.replace(tzinfo=UTC)
        offset = (began - theirs).total_seconds() + took / 2
        self._offset = offset
        OFFSET.set(offset)
        wrong = abs(offset) > TOLERANCE_SECONDS
        if wrong and not self._wrong:
            log.warning("clock is wrong", offset_seconds=round(offset, 1))
        elif self._wrong and not wrong:
            log.info("clock is right again", offset_seconds=round(offset, 1))
        self._wrong = wrong

    async def check(self) -> None:
        """Return if the clock is right, as far as is known.

        Raises:
            Unavailable: It is not, and how far off.
        """
        if self._wrong and self._offset is not None:
            side = "ahead of" if self._offset > 0 else "behind"
            raise Unavailable(f"this process's clock is {abs(self._offset):.0f} s {side} MongoDB's")
