"""Owns finding the newest mark that the feed still shows, and so where a proof begins."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable
from service_kit.feed_comparison import LEEWAY, RETENTION, Place, reach
from service_kit.stream import SILENCE_SECONDS, Entry, Start, probe
from workers.feed_store import FeedStore
from workers.marks import Mark, floor_from

FIRST_PROOF: Final = timedelta(hours=1)
"""So far back goes the first proof of a feed that was never proven; `feed mend` goes further."""
_AT_ONCE: Final = 8


async def beginning(
    connection: AbstractConnection,
    known: Collection[Sequence[Mark]],
    end: Sequence[Entry],
    now: datetime,
) -> tuple[Start, datetime]:
    """Return where in the feed a proof begins, and with which applied time in the log.

    Args:
        connection: To the broker.
        known: The marks of each partition that is to be proven, newest first.
        end: Some of the newest entries of the feed; none if it is empty.
        now: The time, UTC.

    Raises:
        BrokerUnavailable: The feed cannot be read.
    """
    held = await _held(connection, {mark for marks in known for mark in marks}, end)
    offsets, floors = [], []
    for marks in known:
        newest = next((mark for mark in marks if mark in held), None)
        if newest is None:
            # What was never there was not dropped for its age either.
            return "first", await reach(connection, now) if end else now - RETENTION
        floors.append(floor_from(marks, newest))
        offsets.append(_before(marks, newest, floors[-1]))
    if min(offsets) >= 0:
        return min(offsets), min(floors)
    return "first", max(min(floors), await reach(connection, now))


async def beginnings(
    connection: AbstractConnection,
    store: FeedStore,
    known: Mapping[int, Sequence[Mark]],
    asked: Collection[datetime],
    end: Sequence[Entry],
    now: datetime,
) -> list[Sequence[Mark]]:
    """Return all marks at which a proof may have to begin, each time newest first.

    They are those of each partition; and others, made for partitions without any, and for what is asked.

    Args:
        connection: To the broker.
        store: What is on record about the feed.
        known: The marks of the partitions that are to be proven, newest first.
        asked: Applied times back to which the proof is to go, UTC.
        end: Some of the newest entries of the feed; none if it is empty.
        now: The time, UTC.

    Raises:
        BrokerUnavailable: The feed cannot be read.
        StoreUnavailable: The log cannot be read.
    """
    found = [marks for marks in known.values() if marks]
    times = set(asked)
    if len(found) < len(known):
        # Of a restored log that does not know the feed's end, nothing is taken for granted.
        newest = [Place(one.event_id, one.person_id, one.version) for one in end if one.event_id]
        if not newest or await store.lacking(newest):
            return [*found, []]
        times.add(now - FIRST_PROOF)
    for time in times:
        mark = await _mark_since(connection, time, end)
        found.append([] if mark is None else [mark])
    return found


async def _mark_since(connection: AbstractConnection, time: datetime, end: Sequence[Entry]) -> Mark | None:
    """Return a mark at the first entry that was announced since a time; at one of the newest if none was.

    Args:
        connection: To the broker.
        time: What was applied since then was announced since then, too: UTC.
        end: Some of the newest entries of the feed; none if it is empty.

    Returns:
        The mark; None where there is no entry of ours to name.

    Raises:
        BrokerUnavailable: The feed cannot be read.
    """
    entries = await probe(connection, time - LEEWAY, seconds=SILENCE_SECONDS) if end else []
    named = next((entry for entry in [*entries, *end] if entry.event_id), None)
    return None if named is None else Mark(named.offset, named.event_id, time, time)


async def is_there(connection: AbstractConnection, mark: Mark, end: Sequence[Entry]) -> bool:
    """Return whether the feed still has at a mark's offset the event that was there.

    Args:
        connection: To the broker.
        mark: The mark.
        end: Some of the newest entries of the feed, read after the mark was made; none if it is empty.

    Raises:
        BrokerUnavailable: The feed cannot be read.
    """
    if mark.offset < 0:
        return True  # what is in the feed now came after it
    if not end:
        return False
    entries = await probe(connection, mark.offset, seconds=SILENCE_SECONDS)
    if entries:
        return (entries[0].offset, entries[0].event_id) == (mark.offset, mark.event_id)
    # Nothing comes after the end; before it, silence says nothing of what is there.
    if mark.offset <= end[-1].offset:
        raise BrokerUnavailable("RabbitMQ: the stream delivers nothing")
    return False


async def _held(connection: AbstractConnection, marks: Collection[Mark], end: Sequence[Entry]) -> set[Mark]:
    """Return the marks whose entries are still there; the partitions share many of them."""
    places = {(mark.offset, mark.event_id): mark for mark in marks}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def looked(mark: Mark) -> bool:
        async with gate:
            return await is_there(connection, mark, end)

    answers = await asyncio.gather(*map(looked, places.values()))
    there = {place for place, answer in zip(places, answers, strict=True) if answer}
    return {mark for mark in marks if (mark.offset, mark.event_id) in there}


def _before(marks: Sequence[Mark], held: Mark, floor: datetime) -> int:
    """Return where to begin reading: some time before the mark, since its floor lies before it, too."""
    for mark in marks[marks.index(held) :]:
        if mark.made_at <= floor:
            return mark.offset
    return marks[-1].offset
