"""What is on record about the feed: the marks of each partition, and the gaps."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import UpdateOne

from events.errors import BrokerUnavailable, LogBehindFeed
from events.log.event import EVENT_TYPES, RecordedEvent
from events.log.stored import event_of
from service_kit.broker.feed_comparison import EventReference
from service_kit.mongo.connection import Client, store_errors, writing
from workers import metrics
from workers.announcing.marks import Mark, mark_of

_PAGE: Final = 5_000
_PLACE: Final = {"person_id": 1, "version": 1, "applied_at": 1}


def _of(partitions: Iterable[int]) -> dict[str, Any]:
    return {"_id": {"$in": list(map(str, partitions))}}


class KnownGaps:
    """The people whose later events the feed knows and the log lacks: nothing is appended to them.

    It outlives the worker's connections.

    Attributes:
        people: Their ids.
        trouble: Why the feed cannot be compared with the log, so that commands wait; empty if it can.
    """

    def __init__(self) -> None:
        self.people: set[str] = set()
        self.trouble = ""

    def trouble_is(self, reason: str) -> None:
        """Take note why the feed cannot be compared with the log; empty: it can."""
        self.trouble = reason

    def note_gaps(self, places: Sequence[EventReference]) -> None:
        """Take what is on record now."""
        self.people = {place.person_id for place in places}
        metrics.FEED_MISSING_IN_LOG.set(len(places))

    async def check_gaps(self) -> None:
        """Return if log and feed agree, as far as anybody looked.

        Raises:
            LogBehindFeed: The log lacks what the feed knows.
            BrokerUnavailable: They cannot be compared.
        """
        if self.people:
            raise LogBehindFeed(
                f"the feed knows of events of {len(self.people)} people that the log lacks, as after a "
                "restored copy: `rollcall feed check` names them, and with --accept-loss they are given up"
            )
        if self.trouble:
            raise BrokerUnavailable(f"the feed cannot be compared with the log: {self.trouble}")


class FeedStore:
    """The collections `feed_marks` and `feed_gaps`, and the log as the feed is compared with it.

    Every method raises `StoreUnavailable` when MongoDB is away; the same call may then be repeated.

    Args:
        client: A client of either driver.
        database: Database name.
    """

    def __init__(self, client: Client, database: str) -> None:
        db = writing(client, database)
        self._marks, self._gaps, self._events, self._people = (
            db[name] for name in ("feed_marks", "feed_gaps", "events", "people")
        )

    async def take_over(self, partitions: Collection[int], owner: str) -> dict[int, list[Mark]]:
        """Return the marks of partitions, newest first, and let nobody but their new owner change them.

        Args:
            partitions: Their numbers.
            owner: Names the one who consumes them now.
        """
        ids = [str(number) for number in partitions]
        operations = [UpdateOne({"_id": id_}, {"$set": {"owner": owner}}, upsert=True) for id_ in ids]
        with store_errors():
            await self._marks.bulk_write(operations, ordered=False)
            documents = await self._marks.find({"_id": {"$in": ids}}).to_list(None)
        return {int(one["_id"]): list(map(mark_of, one.get("marks", ()))) for one in documents}

    async def marks(self) -> dict[int, list[Mark]]:
        """Return the marks of all partitions that have any, newest first."""
        with store_errors():
            documents = await self._marks.find({"marks": {"$exists": True}}).to_list(None)
        return {int(one["_id"]): list(map(mark_of, one["marks"])) for one in documents}

    async def keep(self, marks: Mapping[int, Sequence[Mark]], owner: str) -> None:
        """Put the marks of partitions on record, in place of those before.

        Args:
            marks: By the number of the partition.
            owner: Who consumes them; of one that was taken over by another, nothing is changed.
        """
        operations = [
            UpdateOne(
                {"_id": str(number), "owner": owner},
                {"$set": {"marks": [mark.document() for mark in some]}},
            )
            for number, some in marks.items()
        ]
        if operations:
            with store_errors():
                await self._marks.bulk_write(operations, ordered=False)

    async def ask(self, since: datetime, partitions: int) -> None:
        """Ask those who consume the partitions for a reconciliation that goes back to some applied time.

        Args:
            since: The time, UTC.
            partitions: How many there are.
        """
        with store_errors():
            await self._marks.update_many(_of(range(partitions)), {"$min": {"asked": since}})

    async def asked(self, partitions: Iterable[int]) -> dict[int, datetime]:
        """Return the times since which such reconciliations are asked for and not given yet, by partition."""
        with store_errors():
            cursor = self._marks.find({**_of(partitions), "asked": {"$exists": True}}, {"asked": 1})
            return {int(one["_id"]): one["asked"] for one in await cursor.to_list(None)}

    async def answer(self, asked: Mapping[int, datetime]) -> None:
        """Note that the reconciliations were given; what was asked for meanwhile stays."""
        for number, since in asked.items():
            with store_errors():
                await self._marks.update_one({"_id": str(number), "asked": since}, {"$unset": {"asked": ""}})

    async def lower(self, lower_bound: datetime) -> None:
        """Let every reconciliation from the newest marks on look at what was applied since a time."""
        with store_errors():
            await self._marks.update_many(
                {"marks.0": {"$exists": True}}, {"$min": {"marks.0.floor": lower_bound}}
            )

    async def logged(
        self, after: tuple[datetime, str], until: datetime | None = None
    ) -> list[EventReference]:
        """Return the next people's events in the log, in order of applied time and id; a page of them.

        Args:
            after: Time and id of the last one before.
            until: None that was applied later.
        """
        time, last_id = after
        bound = {} if until is None else {"$lte": until}
        later: list[dict[str, Any]] = [
            {"applied_at": {"$gt": time, **bound}},
            {"applied_at": time, "_id": {"$gt": last_id}},
        ]
        with store_errors():
            cursor = self._events.find(
                {"$or": later, "type": {"$in": list(EVENT_TYPES)}},
                _PLACE,
                sort=[("applied_at", 1), ("_id", 1)],
                limit=_PAGE,
                batch_size=_PAGE,
            )
            documents = await cursor.to_list(None)
        return [
            EventReference(one["_id"], one["person_id"], one["version"], one["applied_at"])
            for one in documents
        ]

    async def lacking(self, places: Sequence[EventReference]) -> list[EventReference]:
        """Return those of some events of the feed that the log does not have, as a majority knows it."""
        logged_ids: set[str] = set()
        for begin in range(0, len(places), _PAGE):
            some = places[begin : begin + _PAGE]
            criteria = {
                "person_id": {"$in": list({one.person_id for one in some})},
                "_id": {"$in": [one.event_id for one in some]},
            }
            with store_errors():
                cursor = self._events.find(criteria, {"_id": 1})
                logged_ids.update([document["_id"] for document in await cursor.to_list(None)])
        return [place for place in places if place.event_id not in logged_ids]

    async def events(self, places: Sequence[EventReference]) -> list[RecordedEvent]:
        """Return the events at some places, each person's in order of version."""
        criteria = {
            "person_id": {"$in": list({one.person_id for one in places})},
            "_id": {"$in": [one.event_id for one in places]},
        }
        with store_errors():
            cursor = self._events.find(criteria, sort=[("person_id", 1), ("version", 1)])
            return [event_of(document) for document in await cursor.to_list(None)]

    async def projected(self, person_ids: Iterable[str]) -> dict[str, int]:
        """Return the version of each person that the read model has."""
        with store_errors():
            cursor = self._people.find({"_id": {"$in": list(person_ids)}}, {"version": 1})
            return {document["_id"]: document["version"] for document in await cursor.to_list(None)}

    async def record_gaps(self, places: Sequence[EventReference], now: datetime) -> None:
        """Put on record what the log lacks; what is there already stays, with whoever accepted it."""
        operations = [
            UpdateOne(
                {"_id": one.event_id},
                {
                    "$setOnInsert": {
                        "person_id": one.person_id,
                        "version": one.version,
                        "found_at": now,
                        "accepted_at": None,
                    }
                },
                upsert=True,
            )
            for one in places
        ]
        for begin in range(0, len(operations), _PAGE):
            with store_errors():
                await self._gaps.bulk_write(operations[begin : begin + _PAGE], ordered=False)

    async def gaps(self) -> list[EventReference]:
        """Return what the log lacks and nobody has accepted."""
        with store_errors():
            cursor = self._gaps.find({"accepted_at": None}, batch_size=_PAGE)
            documents = await cursor.to_list(None)
        return [
            EventReference(one["_id"], one["person_id"], one["version"], one["found_at"]) for one in documents
        ]

    async def close_gaps(self, now: datetime) -> list[EventReference]:
        """Take off the record what the log has again, and return what it still lacks."""
        gaps = await self.gaps()
        lacking = await self.lacking(gaps)
        ids = {place.event_id for place in lacking}
        there = [place.event_id for place in gaps if place.event_id not in ids]
        for begin in range(0, len(there), _PAGE):
            with store_errors():
                await self._gaps.update_many(
                    {"_id": {"$in": there[begin : begin + _PAGE]}},
                    {"$set": {"accepted_at": now, "accepted_by": "the log has it again"}},
                )
        return lacking

    async def accepted(self, event_ids: Sequence[str]) -> set[str]:
        """Return those of some events that the log lacks and somebody has accepted as lost."""
        with store_errors():
            cursor = self._gaps.find(
                {"_id": {"$in": list(event_ids)}, "accepted_at": {"$ne": None}}, {"_id": 1}
            )
            return {document["_id"] for document in await cursor.to_list(None)}

    async def accept(self, by: str, now: datetime) -> int:
        """Put on record that what the log lacks is lost; return how many events that are."""
        with store_errors():
            done = await self._gaps.update_many(
                {"accepted_at": None}, {"$set": {"accepted_at": now, "accepted_by": by}}
            )
            return int(done.modified_count)
