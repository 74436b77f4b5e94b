"""Asks the parts of a service whether they are ready, once a second at most, however many want to know."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from events.errors import RollcallError

Check = Callable[[], Awaitable[None]]
"""Returns when the part is ready, raises one of our errors when it is not."""

CHECK_SECONDS: Final = 2.0
KEPT_SECONDS: Final = 1.0
"""How long an answer stands: nobody without a token can make a service ask its parts more often."""


@dataclass(frozen=True, slots=True)
class ReadinessAnswer:
    """What the parts have said.

    Attributes:
        ready: Whether every part is.
        parts: A word on each.
        remarks: A word on each thing that leaves the service ready when it is not well.
    """

    ready: bool
    parts: Mapping[str, str]
    remarks: Mapping[str, str]


class ReadinessChecks:
    """The checks of a service, and what they said last.

    Args:
        checks: A check for each part; one that takes more than `CHECK_SECONDS` counts as not ready.
        remarks: Likewise, of what leaves the service ready.
        clock: Tells seconds that never go back.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        remarks: Mapping[str, Check],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = checks
        self._remarks = remarks
        self._clock = clock
        self._asking = asyncio.Lock()
        self._answer: ReadinessAnswer | None = None
        self._until = 0.0

    async def answer(self) -> ReadinessAnswer:
        """Return an answer that is at most `KEPT_SECONDS` old; who asks meanwhile waits for the same one."""
        async with self._asking:
            if self._answer is None or self._clock() >= self._until:
                parts, remarks = await asyncio.gather(_words(self._checks), _words(self._remarks))
                ready = all(word == "ok" for word in parts.values())
                self._answer = ReadinessAnswer(ready, parts, remarks)
                self._until = self._clock() + KEPT_SECONDS
            return self._answer


async def _words(checks: Mapping[str, Check]) -> dict[str, str]:
    return dict(zip(checks, await asyncio.gather(*map(_word, checks.values())), strict=True))


async def _word(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except RollcallError as exc:
        return exc.detail
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    return "ok"
