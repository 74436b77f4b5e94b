"""A worker's pipeline on a real store, a queue that delivers again what was not acknowledged, and its death."""

import asyncio
from collections.abc import Sequence
from typing import Any

from events.log.event import RecordedEvent
from events.parking.controls import Chosen, DropParked, RetryParked
from events.person.decider import PersonState
from service_kit.erasure_journal import ErasureJournal
from tests.store.given import envelope, inputs, keys_of
from tests.system import PATIENCE
from tests.transport import known_keys, sealed
from workers.announcing.feed_store import KnownGaps
from workers.consuming import deliveries
from workers.consuming.deliveries import Delivery, DeliveryQueue, Partition
from workers.consuming.pipeline import Pipeline
from workers.consuming.unreadable import UnreadableHandler
from workers.deciding.batches import BatchDecider
from workers.erasing.eraser import Eraser
from workers.parking.attempts import Attempts
from workers.parking.parked import WaitingCommands
from workers.parking.retrying import ControlHandler
from workers.parking.suspects import SuspectTrials
from workers.projecting.projector import Projector
from workers.projecting.visibility import Visibility
from workers.store import Store
from workers.streams import Streams


class Killed(BaseException):
    """The worker is no more."""


class Fate:
    """Counts a worker's writes and acknowledgements, and kills it at one of them.

    Args:
        cut: Which one, counted from 0; None to let it live.
        half: Whether one document of it is still written.
    """

    def __init__(self, cut: int | None = None, *, half: bool = False) -> None:
        self.cut = cut
        self.half = half
        self.seen: list[str] = []

    def step(self, what: str) -> bool:
        """Note a write; die, or return whether to write half of it and die. The dead write nothing any more."""
        if self.cut is not None and len(self.seen) > self.cut:
            raise Killed
        self.seen.append(what)
        if len(self.seen) - 1 != self.cut:
            return False
        if self.half:
            return True
        raise Killed


class Mortal:
    """A collection whose writer may die."""

    def __init__(self, collection: Any, fate: Fate) -> None:
        self._collection = collection
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    async def insert_many(self, documents: list[Any], *, ordered: bool) -> None:
        if self._fate.step(f"insert {len(documents)} {self._collection.name}"):
            # In order, the first comes first; else it may be any.
            some = documents[:1] if ordered else documents[-1:]
            await self._collection.insert_many(some, ordered=ordered)
            raise Killed
        await self._collection.insert_many(documents, ordered=ordered)

    async def bulk_write(self, operations: list[Any], *, ordered: bool) -> Any:
        if self._fate.step(f"bulk {self._collection.name}"):
            await self._collection.bulk_write(operations[:1], ordered=ordered)
            raise Killed
        return await self._collection.bulk_write(operations, ordered=ordered)

    async def update_one(self, wanted: Any, change: Any) -> Any:
        self._fate.step(f"update {self._collection.name}")
        return await self._collection.update_one(wanted, change)

    async def delete_many(self, wanted: Any) -> Any:
        if self._fate.step(f"delete {self._collection.name}"):
            await self._collection.delete_one(wanted)
            raise Killed
        return await self._collection.delete_many(wanted)


def mortal(store: Store, fate: Fate) -> Store:
    """Return the same store, in the hands of one who may die."""
    twin = object.__new__(Store)
    twin.__dict__.update(store.__dict__)
    for name in ("_events", "_people", "_claims", "_rejections"):
        setattr(twin, name, Mortal(getattr(store, name), fate))
    return twin


def pipeline(queue: DeliveryQueue, store: Store, town: "Town") -> Pipeline:
    """Return a pipeline whose every write may be its last."""
    given, twin = inputs(), mortal(store, town.fate)
    parked = WaitingCommands(Mortal(store._db["parked"], town.fate), known_keys())
    keys = keys_of(store)
    keys._rows = Mortal(keys._rows, town.fate)  # type: ignore[assignment]
    streams = Streams(store._db.client, store._db.name, keys)
    streams._milestones = Mortal(streams._milestones, town.fate)  # type: ignore[assignment]
    decider = BatchDecider(twin, streams, keys, parked, KnownGaps(), given)
    journal = ErasureJournal(None)
    eraser = Eraser(store._db.client, store._db.name, keys, journal, town.give_up, given.clock)
    projector = Projector(twin, streams, town, town.wait_until_reconciled, eraser)  # type: ignore[arg-type]
    controls = ControlHandler(twin, streams, parked, decider, projector, given)
    attempts = Attempts(Mortal(store._db["attempts"], town.fate))
    return Pipeline(
        queue,
        decider,
        projector,
        town,  # type: ignore[arg-type]
        parked,
        controls,
        Visibility(store._db.client, store._db.name),
        SuspectTrials(queue, attempts, 0.0, given.clock),
        UnreadableHandler(twin, town, known_keys()),  # type: ignore[arg-type]
        given,
        known_keys(),
    )


class Town:
    """What the broker keeps while workers come and go: a queue, announcements, replies.

    Attributes:
        announced: Ids of commands, as their events were announced.
        replies: What those who wait were told, in order.
        returns: How often the broker says that it has delivered what is in the queue before.
    """

    def __init__(self) -> None:
        self.returns = 0
        self.queue: list[bytes] = []
        self.announced: list[str] = []
        self.replies: list[Any] = []
        self.fate = Fate()

    def send(self, *commands: Any) -> None:
        """Put commands or controls into the queue."""
        self.queue += [sealed(command) for command in commands]

    # The announcer's part.

    def encode_announcement(self, event: Any) -> bytes:
        return str(event.command_id).encode()

    async def give_up(self, person_ids) -> None:
        """There are no dead letters here."""

    async def wait_until_reconciled(self, events: Sequence[RecordedEvent]) -> None:
        """Let everything be announced."""

    async def announce(self, frames: list[bytes]) -> None:
        if frames:
            half = self.fate.step("announce")
            self.announced += [frame.decode() for frame in (frames[:1] if half else frames)]
            if half:
                raise Killed

    async def bury(self, letters: list[Any]) -> None:
        assert not letters

    async def send_replies(self, replies: list[Any], _key: Any) -> None:
        self.replies += [reply.outcome for reply in replies]

    async def work(self, store: Store, fate: Fate | None = None) -> bool:
        """Let a worker take what is in the queue; return whether it lived to acknowledge all of it."""
        self.fate = fate or Fate()
        channel = _Channel(self)
        queue = DeliveryQueue()
        partition = Partition(0, channel, channel, reconciled=True)  # type: ignore[arg-type]
        process = pipeline(queue, store, self).process_batches()
        for number, body in enumerate(list(self.queue)):
            queue.enqueue(Delivery(partition, number + 1, body, None, "waiter", None, self.returns))
        running = asyncio.create_task(process)
        done = asyncio.create_task(channel.done.wait())
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({running, done}, return_when="FIRST_COMPLETED")
        if not running.done():
            await asyncio.sleep(0)
            queue.close()
        done.cancel()
        try:
            async with asyncio.timeout(PATIENCE):
                await running
        except Killed:
            return False
        return True


class _Channel:
    def __init__(self, town: Town) -> None:
        self._town = town
        self._left = dict(enumerate(town.queue, 1))
        self.done = asyncio.Event()

    async def basic_ack(self, tag: int, *, multiple: bool, wait: bool) -> None:
        if self._town.fate.step("ack"):
            raise Killed
        self._left = {
            one: body for one, body in self._left.items() if (one > tag if multiple else one != tag)
        }
        self._town.queue[:] = self._left.values()
        if not self._left:
            self.done.set()


def retry(person_id: str) -> RetryParked:
    return RetryParked(**envelope(person_id))


def drop(person_id: str, *command_ids: str) -> DropParked:
    return DropParked(data=Chosen(command_ids=command_ids), **envelope(person_id, actor="grace"))


async def damage(store: Store, person_id: str) -> None:
    """Let the head of a person be unreadable."""
    done = await store._people.update_one({"_id": person_id}, {"$set": {"created_at": "no time"}})
    assert done.matched_count == 1


async def repair(store: Store, person_id: str, state: PersonState) -> None:
    """Put right what `damage` did."""
    created = state.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    await store._people.update_one({"_id": person_id}, {"$set": {"created_at": created}})


def without_pause(monkeypatch: Any) -> None:
    """Let the worker take what is there at once."""
    monkeypatch.setattr(deliveries, "PACE_SECONDS", 0.0)
