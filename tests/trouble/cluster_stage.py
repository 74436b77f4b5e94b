"""What the tests of a broker cluster stand on: three brokers, and clients that insist and keep time."""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from local.mongo import ReplicaSet
from local.ports import free_ports
from local.rabbit_cluster import RabbitCluster
from tests import ledger
from tests.firehose import Firehose, request
from tests.system import System, eventually, new_person

BROKERS = 3


def start(directory: Path) -> System:
    """Start three brokers beside a MongoDB set of one member."""
    member, epmd, *ports = free_ports(2 + 2 * BROKERS)
    mongo = ReplicaSet(directory / "mongo", [member])
    pairs = list(zip(ports[::2], ports[1::2], strict=True))
    rabbit = RabbitCluster(directory / "rabbit", pairs, epmd_port=epmd)
    system = System(directory, mongo, rabbit, secrets.token_hex(32))
    (directory / "jwt.key").write_text(system.key)
    try:
        mongo.spawn()
        rabbit.spawn()
        mongo.wait_ready()
        rabbit.wait_ready()
        system.initialise()
    except BaseException:
        system.stop()
        raise
    return system


@dataclass
class Crowd:
    """Clients that create and change people, repeat what was not accepted, and note when each was accepted."""

    system: System
    port: int
    clients: int = 12
    accepted: set[str] = field(default_factory=set)
    gap: float = 0.0
    """The longest time in seconds that any client had to insist."""

    def __post_init__(self) -> None:
        self._stop = asyncio.Event()
        self._token = self.system.token()

    async def __aenter__(self) -> "Crowd":
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
                await asyncio.sleep(0.01)
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

    async def goes_on(self, within: float) -> None:
        """Return when so many more commands were accepted that every client must have had several."""
        enough = len(self.accepted) + 25 * self.clients

        async def accepted() -> bool:
            return len(self.accepted) >= enough

        await eventually(accepted, within=within)


async def coordinator_is_on_disk(system: System) -> None:
    """Return when every broker has the stream's coordinator in a file, as it has some seconds later only.

    Killed before that, it would know the stream for ever but could not open it.
    """

    async def written() -> bool:
        files = list(system.rabbit.directory.glob("mnesia/*/coordination/*/names.dets"))
        known = [path for path in files if b"rabbit_stream_coordinator" in path.read_bytes()]
        return len(known) == BROKERS

    await eventually(written, within=30, pause=0.1)


async def settled(system: System, accepted: set[str]) -> dict[str, int]:
    """Return what was counted once every command is decided and the queues are empty; check the ledger."""

    async def decided() -> bool:
        missing = await asyncio.to_thread(ledger.undecided, system, accepted)
        return not missing and not await ledger.depths(system)

    await eventually(decided, within=60, pause=0.2)
    return await asyncio.to_thread(ledger.check, system, accepted)
