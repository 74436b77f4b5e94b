"""Carries out what an erasure means, once it is in the log: step by step, each of which may be made twice.

The key is destroyed last (docs/adr/0067): whoever is killed before finds it by the key that is left, and
begins again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from events.errors import Damaged
from events.log.event import RecordedEvent
from events.person.rejections import PersonErased
from events.times import rfc3339
from service_kit.erasure_journal import ErasureJournal, JournalLine
from service_kit.images import image_name
from service_kit.mongo.connection import Client, store_errors, writing
from service_kit.mongo.keys import PersonKeys
from service_kit.seals.opening import open_document
from workers.store import insert_new

ERASED: Final = "person.erased"
ERASURES: Final = "erasures"
"""The collection with a document for each erased person, whose id it has."""
GiveUp = Callable[[Collection[str]], Awaitable[object]]
"""Deletes the dead letters of people."""

log = structlog.get_logger()


class Eraser:
    """Does the steps that lie before and after a tombstone.

    Every method raises `StoreUnavailable` when MongoDB is away or the journal cannot be written; the same
    call may then be repeated.

    Args:
        client: A client of either driver.
        database: Database name.
        keys: The people's keys.
        journal: What outlives the database.
        give_up: Deletes the dead letters of people.
        clock: Tells the time, UTC, whole milliseconds.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        keys: PersonKeys,
        journal: ErasureJournal,
        give_up: GiveUp,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = writing(client, database)
        self._keys = keys
        self._journal = journal
        self._give_up = give_up
        self._clock = clock

    async def let_go(self, events: Sequence[RecordedEvent]) -> None:
        """Free what erased people hold, and list their images: what comes before the tombstone.

        Args:
            events: Each says that a person is erased.
        """
        if not events:
            return
        keys = await self._keys.find([event.person_id for event in events])
        for event in events:
            key = keys.get(event.person_id)
            # Without the key it was done before, or there is nothing that could be opened.
            images = await self._images(event.person_id, key) if key is not None else []
            await self._list(event, images)
        people = {"person_id": {"$in": [event.person_id for event in events]}}
        with store_errors():
            # By person: also what was reserved for events that never came, or whose values cannot be opened.
            await self._db["claims"].delete_many(people)
        for event in events:
            await self._drop_waiting(event)
        await self._give_up({event.person_id for event in events})

    async def destroy_keys(self, events: Sequence[RecordedEvent]) -> None:
        """Put erasures into the journal, then destroy the keys: what comes after the tombstone."""
        if not events:
            return
        with store_errors():
            ids = {"_id": {"$in": [event.person_id for event in events]}}
            listed = {one["_id"]: one for one in await self._db[ERASURES].find(ids).to_list(None)}
        lines = [_line(event, listed.get(event.person_id, {}).get("images", ())) for event in events]
        await asyncio.to_thread(self._journal.append, lines)
        for event in events:
            await self._keys.destroy(event.person_id, event.applied_at)
            with store_errors():
                done = {"$set": {"finished_at": self._clock()}}
                await self._db[ERASURES].update_one({"_id": event.person_id, "finished_at": None}, done)
            log.info("erased", person_id=event.person_id, event_id=event.event_id)

    async def _images(self, person_id: str, key: Any) -> list[str]:
        """Return the names of all images that a person ever had."""
        with store_errors():
            wanted = {"person_id": person_id, "type": "person.image_changed"}
            documents = await self._db["events"].find(wanted).to_list(None)
        names = set()
        for document in documents:
            try:
                image_id = open_document(document, key)["data"].get("image_id")
            except Damaged as exc:
                # The sweep of images finds it by its person.
                log.warning("image not listed", reason=exc.detail)
                continue
            if image_id:
                names.add(image_name(str(image_id)))
        return sorted(names)

    async def _list(self, event: RecordedEvent, images: Sequence[str]) -> None:
        document = {
            "event_id": event.event_id,
            "command_id": event.command_id,
            "version": event.version,
            "reason": event.data["reason"],
            "actor": event.actor,
            "erased_at": event.applied_at,
            "finished_at": None,
        }
        change: dict[str, Any] = {"$setOnInsert": document}
        change["$addToSet"] = {"images": {"$each": list(images)}}
        with store_errors():
            await self._db[ERASURES].update_one({"_id": event.person_id}, change, upsert=True)

    async def _drop_waiting(self, event: RecordedEvent) -> None:
        """Give up what waits of an erased person, on record but for what is in the log."""
        person_id = event.person_id
        shown = {"_id": 0, "body": 0}
        with store_errors():
            waiting = await self._db["parked"].find({"person_id": person_id}, shown).to_list(None)
            if not waiting:
                return
            ids = {"person_id": person_id, "command_id": {"$in": [one["command_id"] for one in waiting]}}
            in_log = await self._db["events"].find(ids, {"_id": 0, "command_id": 1}).to_list(None)
        known, now = {one["command_id"] for one in in_log}, self._clock()
        documents = [
            {
                "_id": one["command_id"],
                "command_id": one["command_id"],
                "person_id": person_id,
                "type": one["type"],
                "code": PersonErased.code,
                "detail": f"the person {person_id} was erased: the id cannot be used again",
                "actor": one["actor"],
                "accepted_at": one["accepted_at"],
                "rejected_at": now,
                "correlation_id": one["command_id"],
            }
            for one in waiting
            if one["command_id"] not in known
        ]
        if documents:
            await insert_new(self._db["rejections"], documents, ordered=False)
        with store_errors():
            await self._db["parked"].delete_many({"person_id": person_id})


def _line(event: RecordedEvent, images: Sequence[str]) -> JournalLine:
    return JournalLine(
        event.person_id,
        event.event_id,
        event.command_id,
        str(event.data["reason"]),
        event.actor,
        rfc3339(event.applied_at),
        tuple(images),
    )
