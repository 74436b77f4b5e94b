"""The mixed load and all subscribers, in a thread of their own with an event loop of their own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aio_pika

from bench.campaign.asking import AGAIN, Where
from bench.campaign.clients import Editor
from bench.campaign.listeners import Had, from_a_queue, from_the_stream, over_http
from bench.campaign.senders import change_pictures, import_files
from events.errors import BrokerUnavailable
from service_kit.broker.connection import broker_errors, connect
from service_kit.broker.topology import COMMANDS, PROBE
from tests.system import new_person

EDITORS = 10
PARTITIONS = 8
SHARED, PICTURED = 8, 6
_LOOK_EACH = 10.0
_TRY_SECONDS = 8.0


@dataclass
class Watch:
    """Which queues take no message, as whoever restarts brokers looks at them.

    Attributes:
        since: Since when, in monotonic seconds, by the partition; none while all take some.
    """

    since: dict[int, float] = field(default_factory=dict)

    async def run(self, url: str) -> None:
        """Look at every partition again and again."""
        while True:
            began = time.monotonic()
            for number in await self._refusing(url):
                self.since.setdefault(number, began)
            await asyncio.sleep(_LOOK_EACH)

    async def _refusing(self, url: str) -> list[int]:
        refusing = []
        try:
            async with await connect(url, "campaign watch") as connection:
                for number in range(PARTITIONS):
                    try:
                        await self._try(connection, number)
                    except BrokerUnavailable:
                        refusing.append(number)
                    else:
                        self.since.pop(number, None)
        except BrokerUnavailable:
            return list(range(PARTITIONS))
        return refusing

    async def _try(self, connection: aio_pika.abc.AbstractConnection, number: int) -> None:
        with broker_errors("looking"):
            async with asyncio.timeout(_TRY_SECONDS):
                channel = await connection.channel(on_return_raises=True)
                exchange = await channel.get_exchange(COMMANDS, ensure=False)
                await exchange.publish(aio_pika.Message(b"", type=PROBE, delivery_mode=2), str(number))
                await channel.close()


class Load:
    """Starts when entered; the main thread, which starts processes, stays free for that.

    Args:
        where: The APIs.
        url: Of the broker.
        folder: For the checkpoint.
        seed: What clients choose by.
        rate: Commands a second that all editors try to send.
    """

    def __init__(self, where: Where, url: str, folder: Path, seed: str, rate: float) -> None:
        self.where, self.watch = where, Watch()
        self.listeners = [Had("queue of its own"), Had("stream with checkpoint"), Had("live feed")]
        self.warm: set[str] = set()
        self._url, self._folder, self._seed, self._rate = url, folder, seed, rate
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="load", daemon=True)
        self._clients: list[asyncio.Task[None]] = []
        self._for_ever: list[asyncio.Task[None]] = []

    def start(self, seconds: float) -> None:
        """Begin, and return when every subscriber has had an event.

        Raises:
            TimeoutError: Not in time.
        """
        self._thread.start()
        self._wait(self._start(), seconds)

    def stop(self, seconds: float, meanwhile: Callable[[float], None]) -> None:
        """Begin nothing new, and return when every client is answered; those that are not give up then.

        Args:
            seconds: Until then.
            meanwhile: Called again and again with the seconds that it is to take.
        """
        stopping = asyncio.run_coroutine_threadsafe(self._stop(seconds), self._loop)
        while not stopping.done():
            meanwhile(0.5)
        stopping.result()

    def close(self) -> None:
        """End all tasks and the thread."""
        if self._thread.is_alive():
            self._wait(self._cancel(), 30)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def ask(self, path: str, **params: str) -> int:
        """Return the status of a read; 0 if there is no answer."""

        async def once() -> int:
            async with self.where.client(self.where.queries, 10) as client:
                answer = await self.where.ask(client, "GET", path, params=params)
            return 0 if answer is None else answer.status_code

        return self._wait(once(), 20)

    def read(self, path: str, **params: str) -> Any:
        """Return the JSON of a read; None if it does not succeed."""

        async def once() -> Any:
            async with self.where.client(self.where.queries, 10) as client:
                answer = await self.where.ask(client, "GET", path, params=params)
            return answer.json() if answer is not None and answer.status_code == 200 else None

        return self._wait(once(), 20)

    def _wait(self, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    async def _start(self) -> None:
        where, url = self.where, self._url
        own, stream, live = self.listeners
        self._for_ever = [
            asyncio.create_task(from_a_queue(where, own, url)),
            asyncio.create_task(from_the_stream(where, stream, url, self._folder / "checkpoint")),
            asyncio.create_task(over_http(where, live)),
            asyncio.create_task(self.watch.run(url)),
        ]
        await self._warm()
        shared = [await self._person() for _ in range(SHARED)]
        pictured = [await self._person() for _ in range(PICTURED)]
        pace = EDITORS / self._rate
        editors = [
            # Some are impatient: they repeat what the API may still be at.
            Editor(
                where,
                f"c{n}",
                f"{self._seed} {n}",
                shared,
                pace=pace,
                patience=(30.0, 15.0, 1.0, 2.0)[n % 4],
            )
            for n in range(EDITORS)
        ]
        self._clients = [asyncio.create_task(editor.run()) for editor in editors]
        self._clients.append(asyncio.create_task(import_files(where, self._seed)))
        self._clients.append(asyncio.create_task(change_pictures(where, pictured)))

    async def _warm(self) -> None:
        """Create people until each subscriber has heard of one: from then on it misses nothing."""
        while not all(had.ids for had in self.listeners):
            self.warm.add(await self._person())
            await asyncio.sleep(0.5)

    async def _person(self) -> str:
        """Create somebody; return the id."""
        async with self.where.client(self.where.commands, 30) as client:
            while True:
                answer = await self.where.ask(
                    client, "POST", "/people", json=new_person(), headers={"Prefer": "wait=20"}
                )
                if answer is not None and answer.status_code == 201:
                    person_id: str = answer.json()["id"]
                    return person_id
                if answer is not None and answer.status_code not in AGAIN | {202}:
                    raise RuntimeError(f"no person can be created: {answer.status_code} {answer.text[:300]}")
                await asyncio.sleep(0.5)

    async def _stop(self, seconds: float) -> None:
        self.where.stop.set()
        _, still = await asyncio.wait(self._clients, timeout=seconds)
        self.where.give_up.set()
        if still:
            await asyncio.wait(still, timeout=40)
        for task in self._clients:
            if task.done() and not task.cancelled() and (fault := task.exception()) is not None:
                self.where.promises.broke("a client failed", repr(fault))

    async def _cancel(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=20)
