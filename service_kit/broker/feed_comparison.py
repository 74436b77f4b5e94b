"""Holds the feed against the log: what of the one the other lacks, in bounded memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from zlib import crc32

import orjson
from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable
from service_kit.broker.stream import FeedEntry, Start, probe, reading
from service_kit.broker.topology import EVENT_LOG, LOG_AGE, partition_of

CREDIT: Final = 1000
AT_ONCE: Final = 400_000
"""Entries of the feed that are held in memory; of a longer piece, people are taken in several passes."""
_QUIET_SECONDS: Final = 0.5
_PAST_END_SECONDS: Final = 3.0
_STUCK_SECONDS: Final = 20.0
RETENTION: Final = timedelta(days=int(LOG_AGE.removesuffix("D")))
LEEWAY: Final = timedelta(minutes=5)
"""So long apart events of the same part of the feed may have been applied, and clocks may be."""
_TICK: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class EventReference:
    """An event's place.

    Attributes:
        event_id: Its id.
        person_id: Whom it is about.
        version: The person's version that it made.
        applied_at: When it was applied, UTC; in what is read from the feed, nobody looks at it.
        in_feed: Whether the feed has it, too: it is to be announced again for its person's order alone.
    """

    event_id: str
    person_id: str
    version: int
    applied_at: datetime | None = None
    in_feed: bool = False


@dataclass(slots=True)
class Difference:
    """What log and feed do not have in common.

    Attributes:
        missing: In the log, and not in the feed, with what the same people's events after those are; in order
            of person and version.
        unknown: In the feed, and perhaps not in the log.
        partial: More may be missing: what is said of the missing is to be mended first.
        entries: How many entries of the feed were read.
        events: How many events of the log were.
    """

    missing: list[EventReference] = field(default_factory=list)
    unknown: list[EventReference] = field(default_factory=list)
    partial: bool = False
    entries: int = 0
    events: int = 0


Logged = Callable[[tuple[datetime, str]], Awaitable[list[EventReference]]]
"""Returns the next page of the log's events after a time and an id."""


async def compare(
    connection: AbstractConnection,
    start: Start,
    end: Sequence[FeedEntry],
    logged: Logged,
    floor: datetime,
    partitions: Collection[int],
    count: int,
    *,
    queue: str = EVENT_LOG,
) -> Difference:
    """Read the feed from a place to its end and the log from a time on, and return what is in one alone.

    Args:
        connection: To the broker; others may use it, too.
        start: Where in the feed to begin.
        end: Some of its newest entries; none if it is empty.
        logged: Reads the log.
        floor: The applied time of the first events of the log that count.
        partitions: Only people of these.
        count: How many partitions there are.
        queue: The stream's name.

    Raises:
        BrokerUnavailable: The stream cannot be read.
        StoreUnavailable: The log cannot be read.
    """
    begin = start if isinstance(start, int) else 0
    passes = 1 if not end else max(1, -(-(end[-1].offset - begin) // AT_ONCE))
    difference = Difference()
    for number in range(passes):

        def ours(person_id: str, number: int = number) -> bool:
            if passes > 1 and crc32(person_id.encode(), 1) % passes != number:
                return False
            return partition_of(person_id, count) in partitions

        in_feed: dict[bytes, EventReference] = {}
        if end:
            async for entry in entries(connection, start, end[-1].offset, queue=queue):
                difference.entries += number == 0
                if entry.event_id and ours(entry.person_id):
                    in_feed[_short(entry.event_id)] = EventReference(
                        entry.event_id, entry.person_id, entry.version
                    )
        difference.events += await _subtract(in_feed, logged, floor, ours, difference)
        if not difference.partial:
            difference.unknown += in_feed.values()
    return difference


async def reach(connection: AbstractConnection, now: datetime, queue: str = EVENT_LOG) -> datetime:
    """Return the applied time of the oldest events that the feed should have.

    Args:
        connection: To the broker.
        now: The time, UTC.
        queue: The stream's name.

    Raises:
        BrokerUnavailable: The stream cannot be read.
    """
    first = await probe(connection, "first", queue=queue)
    oldest = now - RETENTION
    if not first or first[0].offset == 0 or not first[0].event_id:
        return oldest  # none was dropped yet for the stream's size or age; or its first entry tells no time
    return max(oldest, datetime.fromisoformat(orjson.loads(first[0].body)["time"]) + LEEWAY)


async def _subtract(
    in_feed: dict[bytes, EventReference],
    logged: Logged,
    floor: datetime,
    ours: Callable[[str], bool],
    difference: Difference,
) -> int:
    """Take the log's events out of those of the feed; note what is not there; return how many were read."""
    events = 0
    first_missing: dict[str, int] = {}
    later: dict[str, list[EventReference]] = {}
    after = (floor - _TICK, "\uffff")
    missing = len(difference.missing)
    while page := await logged(after):
        if missing > AT_ONCE:
            difference.partial = True
            break
        after = (page[-1].applied_at or floor, page[-1].event_id)
        for place in page:
            if not ours(place.person_id):
                continue
            events += 1
            there = in_feed.pop(_short(place.event_id), None) is not None
            if not there and place.version < first_missing.get(place.person_id, place.version + 1):
                first_missing[place.person_id] = place.version
            if place.person_id in first_missing:
                later.setdefault(place.person_id, []).append(replace(place, in_feed=there))
                missing += 1
    # The later ones are announced again, too, so that a person's last event in the feed is the newest.
    for person_id, places in later.items():
        first = first_missing[person_id]
        difference.missing += sorted(
            (place for place in places if place.version >= first), key=lambda place: place.version
        )
    return events


def _short(event_id: str) -> bytes:
    return bytes.fromhex(event_id.replace("-", ""))


async def entries(
    connection: AbstractConnection, start: Start, end: int, *, queue: str = EVENT_LOG
) -> AsyncIterator[FeedEntry]:
    """Yield the entries of the feed from a place on, up to what was its end when this was called at least.

    Args:
        connection: To the broker.
        start: Where to begin; something is there.
        end: An offset of its last chunk.
        queue: The stream's name.

    Raises:
        BrokerUnavailable: It cannot be read, or delivers nothing although there is something.
    """
    loop = asyncio.get_running_loop()
    deadline: float | None = None
    reached = -1
    async with reading(connection, start, credit=CREDIT, queue=queue) as reader:
        while deadline is None or loop.time() < deadline:
            wait = _STUCK_SECONDS if reached < end else _QUIET_SECONDS
            try:
                async with asyncio.timeout(wait):
                    some = await reader.take()
            except TimeoutError:
                if reached < end:
                    raise BrokerUnavailable("RabbitMQ: the stream delivers nothing") from None
                return
            for entry in some:
                yield entry
            reached = some[-1].offset
            if reached >= end and deadline is None:
                deadline = loop.time() + _PAST_END_SECONDS
