"""Clients that create and change people, repeat what was not accepted, and note how long that took."""

import asyncio
import time
from dataclasses import dataclass, field

from tests.firehose import Firehose, request
from tests.system import PATIENCE, System, eventually, new_person

PAUSE_SECONDS = 0.04
"""Of each client between two commands: there is always some, and the machine has time for what is tested."""


@dataclass
class Load:
    """A steady load for as long as its block runs.

    Attributes:
        accepted: Ids of the commands that were answered with 202.
        gap: The longest time in seconds that any client had to insist.
    """

    system: System
    port: int
    clients: int = 12
    accepted: set[str] = field(default_factory=set)
    gap: float = 0.0

    def __post_init__(self) -> None:
        self._stop = asyncio.Event()
        self._token = self.system.token()

    async def __aenter__(self) -> "Load":
        self._running = [asyncio.create_task(self._client(number)) for number in range(self.clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._running)

    async def _client(self, number: int) -> None:
        hose = Firehose(self.port)
        person, count = None, 0
        try:
            while not self._stop.is_set():
                key = f"{id(self)}-{number}-{count}"
                if count % 8 == 0:
                    raw = request("POST", "/people", self._token, new_person(), Idempotency_Key=key)
                else:
                    body = {"address": f"Calle {count}"}
                    raw = request("PATCH", f"/people/{person}", self._token, body, Idempotency_Key=key)
                person = await self._insist(hose, raw)
                count += 1
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            hose.close()

    async def _insist(self, hose: Firehose, raw: bytes) -> str | None:
        """Send until it is accepted, and return the person's id; or None when told to stop."""
        began = time.monotonic()
        while (answer := await hose.send(raw)).status != 202:
            assert answer.status == 503, answer
            if self._stop.is_set():
                return None
            await asyncio.sleep(0.05)
        self.gap = max(self.gap, time.monotonic() - began)
        self.accepted.add(answer.body["command_id"])
        person: str = answer.body["person_id"]
        return person

    async def goes_on(self, within: float = PATIENCE) -> None:
        """Return when so many more commands were accepted that every client must have had several."""
        enough = len(self.accepted) + 10 * self.clients

        async def accepted() -> bool:
            return len(self.accepted) >= enough

        await eventually(accepted, within=within)
