"""Owns finding the newest mark that the feed still shows, and so where a proof begins."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from aio_pika.abc import AbstractConnection

from events.position import Position
from service_kit.feed_comparison import reach
from service_kit.stream import PROBE_SECONDS, Start, holds
from workers.marks import Mark, floor_from

_AT_ONCE: Final = 8


async def beginning(
    connection: AbstractConnection, known: Mapping[int, Sequence[Mark]], now: datetime
) -> tuple[Start, datetime]:
    """Return where in the feed a proof begins, and with which applied time in the log.

    Args:
        connection: To the broker.
        known: The marks of the partitions that are to be proven, newest first.
        now: The time, UTC.

    Raises:
        BrokerUnavailable: The feed cannot be read.
    """
    held = await _held(connection, {mark for marks in known.values() for mark in marks})
    offsets, floors = [], []
    for marks in known.values():
        newest = next((mark for mark in marks if mark in held), None)
        if newest is None:
            return "first", await reach(connection, now)
        floors.append(floor_from(marks, newest))
        offsets.append(_before(marks, newest, floors[-1]))
    if min(offsets) >= 0:
        return min(offsets), min(floors)
    return "first", max(min(floors), await reach(connection, now))


async def is_there(connection: AbstractConnection, mark: Mark) -> bool:
    """Return whether the feed still has at a mark's offset the event that was there.

    Raises:
        BrokerUnavailable: The feed cannot be read.
    """
    if mark.offset < 0:
        return True  # what is in the feed now came after it
    return await holds(connection, Position(mark.offset, mark.event_id), seconds=PROBE_SECONDS)


async def _held(connection: AbstractConnection, marks: Collection[Mark]) -> set[Mark]:
    """Return the marks whose entries are still there; the partitions share many of them."""
    places = {(mark.offset, mark.event_id): mark for mark in marks}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def looked(mark: Mark) -> bool:
        async with gate:
            return await is_there(connection, mark)

    answers = await asyncio.gather(*map(looked, places.values()))
    there = {place for place, answer in zip(places, answers, strict=True) if answer}
    return {mark for mark in marks if (mark.offset, mark.event_id) in there}


def _before(marks: Sequence[Mark], held: Mark, floor: datetime) -> int:
    """Return where to begin reading: some time before the mark, since its floor lies before it, too."""
    for mark in marks[marks.index(held) :]:
        if mark.made_at <= floor:
            return mark.offset
    return marks[-1].offset
