"""Counts what became of imports: derived from the log and the rejections, never added up.

An import's commands are known by their correlation id, so a count is right whatever was crashed or delivered
twice, and counting again does no harm. Each worker counts; one that finds a fresh count leaves it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from events.errors import StoreUnavailable
from events.imports.states import correlation_of
from events.person.outcomes import UNCHANGED, UNREADABLE
from service_kit.mongo.connection import Client, aggregate, reading, store_errors, writing

PAUSE_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 60.0
REST: Final = 20
"""An import rests so many times as long as its counting took: a large one costs a twentieth of the time."""
_UNCHANGED_SECONDS: Final = 5.0
"""How long an import at most rests whose workers did nothing for it, if its counting takes a moment."""
_MOST: Final = 10_000
_BATCH: Final = 1_000
_GIVEN_UP: Final = timedelta(hours=1)
"""For how long an import that was cut is counted; it is counted again once it goes on."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rest:
    """Until when an import is not counted again, and as what it was found then.

    Attributes:
        until: By the monotonic clock, in seconds.
        pause: How long it rests, in seconds.
        counts: Its events, and its outcomes without one.
        updated_at: When a request last went on with it; a later one ends the rest.
    """

    until: float
    pause: float
    counts: tuple[int, int]
    updated_at: datetime


def pause_of(before: Rest | None, state: str, counts: tuple[int, int], seconds: float) -> float:
    """Return for how many seconds an import is not counted again.

    Args:
        before: How it was found the last time.
        state: Its state.
        counts: Its events, and its outcomes without one.
        seconds: How long the counting took.
    """
    pause = REST * seconds
    if before and before.counts == counts:
        longest = _UNCHANGED_SECONDS if state == "applying" else LONGEST_SECONDS
        pause = max(pause, min(2 * before.pause, longest))
    return min(max(pause, PAUSE_SECONDS), LONGEST_SECONDS)


class ImportCounts:
    """Brings the counts of imports up to date.

    Args:
        client: A client of either driver, without a deadline: see `service_kit.mongo.connection.connect`.
        database: Database name.
        clock: Tells the time, UTC.
    """

    def __init__(self, client: Client, database: str, clock: Callable[[], datetime]) -> None:
        self._imports = writing(client, database)["imports"]
        counted = reading(client, database, strong=False)
        self._events, self._rejections = counted["events"], counted["rejections"]
        self._people = reading(client, database, strong=True)["people"]
        self._clock = clock
        self._rests: dict[str, Rest] = {}

    async def run(self) -> None:
        """Count, again and again, until cancelled."""
        while True:
            try:
                await self.count()
            except StoreUnavailable as exc:
                log.warning("imports not counted", reason=exc.detail)
            await asyncio.sleep(PAUSE_SECONDS)

    async def count(self) -> None:
        """Count every import whose counts may change and that has rested.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        now = self._clock()
        wanted = {
            "settled": False,
            "$or": [{"state": {"$in": ["applying", "stopped"]}}, {"updated_at": {"$gt": now - _GIVEN_UP}}],
        }
        with store_errors():
            documents = await self._imports.find(wanted).to_list(None)
            self._rests = {
                one["_id"]: rest for one in documents if (rest := self._rests.get(one["_id"])) is not None
            }
            for document in documents:
                if self._is_due(document, now):
                    began = time.monotonic()
                    counts = await self._count(document, now)
                    ended = time.monotonic()
                    pause = pause_of(
                        self._rests.get(document["_id"]), document["state"], counts, ended - began
                    )
                    self._rests[document["_id"]] = Rest(ended + pause, pause, counts, document["updated_at"])

    def _is_due(self, document: Mapping[str, Any], now: datetime) -> bool:
        rest = self._rests.get(document["_id"])
        if rest and rest.updated_at == document["updated_at"] and time.monotonic() < rest.until:
            return False
        counted_at = document.get("counted_at")  # by another worker, perhaps
        return counted_at is None or not timedelta() < now - counted_at < timedelta(seconds=PAUSE_SECONDS)

    async def _count_eventless(self, of_it: Mapping[str, Any]) -> Counter[str]:
        """Return how many commands have an outcome that is no event, by its code.

        All codes at once: one counted by itself may come from another member, which lacks some of them.
        What was unreadable and could be read later has its event, and is counted there.
        """
        of_each_code = {"$group": {"_id": "$code", "count": {"$sum": 1}}}
        cursor = await aggregate(self._rejections, [{"$match": of_it}, of_each_code])
        eventless = Counter({document["_id"]: document["count"] async for document in cursor})
        if eventless[UNREADABLE]:
            found = self._rejections.find({**of_it, "code": UNREADABLE}, {"command_id": 1}, limit=_MOST)
            ids = [document["command_id"] for document in await found.to_list(None)]
            if ids:
                applied = {**of_it, "command_id": {"$in": ids}}
                eventless[UNREADABLE] -= await self._events.count_documents(applied)
        return eventless

    async def _is_projected(self, of_it: Mapping[str, Any]) -> bool:
        """Return whether the read model has every event of an import: its people are listed next."""
        found = self._events.find(of_it, {"_id": 0, "person_id": 1, "version": 1}, batch_size=_BATCH)
        while events := await found.to_list(_BATCH):
            versions: dict[str, int] = {}
            for event in events:
                versions[event["person_id"]] = max(event["version"], versions.get(event["person_id"], 0))
            shown = self._people.find({"_id": {"$in": list(versions)}}, {"version": 1})
            for person in await shown.to_list(_BATCH):
                if person["version"] >= versions[person["_id"]]:
                    del versions[person["_id"]]
            if versions:
                return False
        return True

    async def _count(self, document: Mapping[str, Any], now: datetime) -> tuple[int, int]:
        """Bring an import's counts up to date; return how many events and other outcomes there are."""
        of_it = {"correlation_id": correlation_of(document["_id"])}
        applied = await self._events.count_documents(of_it)
        counted = await self._count_eventless(of_it)
        eventless, unchanged = counted.total(), counted[UNCHANGED]
        changes: dict[str, Any] = {
            "applied": applied,
            "unchanged": unchanged,
            "undone": eventless - unchanged,
            "counted_at": now,
        }
        state = document["state"]
        decided = state in ("applying", "stopped") and applied + eventless >= document["accepted"]
        if decided and await self._is_projected(of_it):
            changes |= {"settled": True, "state": "finished" if state == "applying" else state}
        # Another request may go on with it meanwhile: then it is neither.
        same = {"_id": document["_id"], "owner": document["owner"], "state": state}
        await self._imports.update_one(same, {"$set": changes})
        return applied, eventless
