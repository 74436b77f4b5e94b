"""Finds the newest mark that the feed still shows, from which a reconciliation begins."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from aio_pika.abc import AbstractConnection

from events.errors import BrokerUnavailable
from service_kit.broker.feed_comparison import LEEWAY, RETENTION, EventReference, reach
from service_kit.broker.stream import SILENCE_SECONDS, FeedEntry, Start, probe
from workers.announcing.feed_store import FeedStore
from workers.announcing.marks import Mark, lower_bound_from

FIRST_RECONCILIATION: Final = timedelta(hours=1)
"""So far back goes the first reconciliation of a feed that was never reconciled; `feed mend` goes further."""
_AT_ONCE: Final = 8


async def beginning(
    connection: AbstractConnection,
    partition_marks: Collection[Sequence[Mark]],
    end: Sequence[FeedEntry],
    now: datetime,
) -> tuple[Start, datetime]:
    """Return where in the feed a reconciliation begins, and with which applied time in the log.

    Args:
        connection: To the broker.
        partition_marks: The marks of each partition that is to be reconciled, newest first.
        end: Some of the newest entries of the feed; none if it is empty.
        now: The time, UTC.

    Raises:
        BrokerUnavailable: The feed cannot be read.
    """
    present = await _held(connection, {mark for marks in partition_marks for mark in marks}, end)
    offsets, lower_bounds = [], []
    for marks in partition_marks:
        newest = next((mark for mark in marks if mark in present), None)
        if newest is None:
            # An empty feed has not dropped anything for its age.
            return "first", await reach(connection, now) if end else now - RETENTION
        lower_bounds.append(lower_bound_from(marks, newest))
        offsets.append(_before(marks, newest, lower_bounds[-1]))
    if min(offsets) >= 0:
        return min(offsets), min(lower_bounds)
    return "first", max(min(lower_bounds), await reach(connection, now))


async def beginnings(
    connection: AbstractConnection,
    store: FeedStore,
    partition_marks: Mapping[int, Sequence[Mark]],
    times_asked_for: Collection[datetime],
    end: Sequence[FeedEntry],
    now: datetime,
) -> list[Sequence[Mark]]:
    """Return all marks at which a reconciliation may have to begin, each time newest first.

    They are those of each partition; and others, made for partitions without any, and for what is asked.

    Args:
        connection: To the broker.
        store: What is on record about the feed.
        partition_marks: The marks of the partitions that are to be reconciled, newest first.
        times_asked_for: Applied times back to which the reconciliation is to go, UTC.
        end: Some of the newest entries of the feed; none if it is empty.
        now: The time, UTC.

    Raises:
        BrokerUnavailable: The feed cannot be read.
        StoreUnavailable: The log cannot be read.
    """
    candidates = [marks for marks in partition_marks.values() if marks]
    times = set(times_asked_for)
    if len(candidates) < len(partition_marks):
        # The log does not know the feed's end, so it was restored: compare everything.
        newest = [EventReference(one.event_id, one.person_id, one.version) for one in end if one.event_id]
        if not newest or await store.lacking(newest):
            return [*candidates, []]
        times.add(now - FIRST_RECONCILIATION)
    for time in times:
        mark = await _mark_since(connection, time, end)
        candidates.append([] if mark is None else [mark])
    return candidates


async def _mark_since(
    connection: AbstractConnection, time: datetime, end: Sequence[FeedEntry]
) -> Mark | None:
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


async def is_there(connection: AbstractConnection, mark: Mark, end: Sequence[FeedEntry]) -> bool:
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
    # Beyond the end of the stream silence is expected; before it, silence proves nothing.
    if mark.offset <= end[-1].offset:
        raise BrokerUnavailable("RabbitMQ: the stream delivers nothing")
    return False


async def _held(
    connection: AbstractConnection, marks: Collection[Mark], end: Sequence[FeedEntry]
) -> set[Mark]:
    """Return the marks whose entries are still there; the partitions share many of them."""
    places = {(mark.offset, mark.event_id): mark for mark in marks}
    slots = asyncio.Semaphore(_AT_ONCE)

    async def looked(mark: Mark) -> bool:
        async with slots:
            return await is_there(connection, mark, end)

    answers = await asyncio.gather(*map(looked, places.values()))
    there = {place for place, answer in zip(places, answers, strict=True) if answer}
    return {mark for mark in marks if (mark.offset, mark.event_id) in there}


def _before(marks: Sequence[Mark], newest: Mark, lower_bound: datetime) -> int:
    """Return where to begin reading: some time before the mark, since its lower bound lies before it, too."""
    for mark in marks[marks.index(newest) :]:
        if mark.made_at <= lower_bound:
            return mark.offset
    return marks[-1].offset
