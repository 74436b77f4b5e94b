"""The worker's reads and writes in MongoDB, each for a whole batch."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError

from events.errors import StoreUnavailable
from events.log.event import RecordedEvent
from events.log.stored import ACCOUNT_EVENTS, event_document
from events.person.claims import Claim
from events.person.decider import PersonState
from events.person.outcomes import UNREADABLE
from events.person.schema.declarations import PersonSchema
from service_kit.mongo.collections import load_collections
from service_kit.mongo.connection import Client, Document, DocumentCollection, kept_out, store_errors, writing
from service_kit.mongo.indexes import check_unique_indexes
from service_kit.mongo.keys import PersonKeys
from service_kit.read_model import person_changes, person_document, projection_of
from service_kit.seals.opening import seal_attributes
from workers.outcomes import PersonChange

_CLAIM_TRIES: Final = 5
_HEAD: Final = {"keys": 0}
_IDS: Final = {"_id": 0, "command_id": 1, "idempotency_id": 1}
_EVENTLESS: Final = {"code": 1, "detail": 1, "version": 1, "accepted_at": 1}


async def _no_lease() -> None:
    return None


class Store:
    """The collections of people, as the worker uses them.

    Every method raises `StoreUnavailable` when MongoDB is away; the same call may then be repeated.

    Args:
        client: A client of either driver.
        database: Database name.
        schema: What a person is.
        keys: The people's keys.
        check_lease: Raises `StoreUnavailable` while nothing may be appended.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        schema: PersonSchema,
        keys: PersonKeys,
        check_lease: Callable[[], Awaitable[None]] = _no_lease,
    ) -> None:
        self._schema = schema
        self._check_lease = check_lease
        self._keys = keys
        self._db = writing(client, database)
        self._events = self._db["events"]
        self._people = self._db["people"]
        self._claims = self._db["claims"]
        self._rejections = self._db["rejections"]

    async def check_indexes(self) -> None:
        """Return if the unique indexes that all correctness rests on are there."""
        ours = {collection.name for collection in load_collections()} - {ACCOUNT_EVENTS}
        await check_unique_indexes(self._db, ours)

    async def heads(self, person_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the document in the read model of each person that has one, for `state_of`."""
        if not person_ids:
            return {}
        with store_errors():
            found = self._people.find({"_id": {"$in": list(person_ids)}}, _HEAD)
            return {document["_id"]: document for document in await found.to_list(None)}

    async def applied(
        self, person_ids: list[str], command_ids: list[str], idempotency_ids: Sequence[str] = ()
    ) -> dict[str, Document]:
        """Return what the log says of the commands that are in it, and of others with their idempotency ids.

        Args:
            person_ids: Of all of them.
            command_ids: The commands.
            idempotency_ids: Those that they have.

        Returns:
            By command id, that and perhaps an idempotency id.
        """
        commands = commands_on_record(person_ids, command_ids, idempotency_ids)
        with store_errors():
            found = await self._events.find(commands, _IDS).to_list(None)
            return {document["command_id"]: document for document in found}

    async def eventless(
        self, person_ids: list[str], command_ids: list[str], idempotency_ids: Sequence[str] = ()
    ) -> dict[str, Document]:
        """Return what is on record of commands that got an outcome without an event; else like `applied`."""
        commands = commands_on_record(person_ids, command_ids, idempotency_ids)
        with store_errors():
            final = {**commands, "code": {"$ne": UNREADABLE}}
            found = await self._rejections.find(final, {**_IDS, **_EVENTLESS}).to_list(None)
            return {document["command_id"]: document for document in found}

    async def append_each(self, events: Sequence[RecordedEvent]) -> set[int]:
        """Append events of different people, in any order.

        Returns:
            The positions of those that lost a race: their version or command is in the log already.
        """
        await self._check_lease()
        return await insert_new(self._events, [event_document(event) for event in events], ordered=False)

    async def append_chain(self, events: Sequence[RecordedEvent]) -> int:
        """Append events one after the other, so that none is in without the one before it.

        Returns:
            How many are in; less than all if the next one lost a race.
        """
        await self._check_lease()
        lost = await insert_new(self._events, [event_document(event) for event in events], ordered=True)
        return min(lost, default=len(events))

    async def claim(self, claims: Sequence[Claim]) -> set[int]:
        """Reserve values; one that the same person holds already is had again.

        Returns:
            The positions of those that belong to somebody else.
        """
        taken: set[int] = set()
        open_: list[int] = list(range(len(claims)))
        for _ in range(_CLAIM_TRIES):
            wanted = [
                {"_id": claims[i].name, "person_id": claims[i].person_id, "version": claims[i].version}
                for i in open_
            ]
            lost = [open_[n] for n in await insert_new(self._claims, wanted, ordered=False)]
            if not lost:
                return taken
            with store_errors():
                found = self._claims.find({"_id": {"$in": [claims[i].name for i in lost]}})
                holders = {document["_id"]: document for document in await found.to_list(None)}
            open_ = [
                i
                for i in lost
                if not await self._hold_again(claims[i], holders.get(claims[i].name), taken, i)
            ]
            if not open_:
                return taken
        raise StoreUnavailable("MongoDB: a claim keeps changing hands")

    async def _hold_again(
        self, claim: Claim, holder: Document | None, taken: set[int], position: int
    ) -> bool:
        """Return whether it is known whose a lost claim is; False: it was just freed, try again."""
        if holder is None:
            return False
        if holder["person_id"] != claim.person_id:
            taken.add(position)
            return True
        if holder["version"] >= claim.version:
            return True
        # A release of the older claim may be under way: renew it, or find it gone.
        with store_errors():
            renewed = await self._claims.update_one(
                {"_id": claim.name, "person_id": claim.person_id, "version": holder["version"]},
                {"$set": {"version": claim.version}},
            )
        return bool(renewed.matched_count)

    async def release(self, claims: Collection[Claim]) -> None:
        """Free values, each only if its person still holds it since before the given version."""
        if claims:
            operations = [
                DeleteOne({"_id": c.name, "person_id": c.person_id, "version": {"$lt": c.version}})
                for c in claims
            ]
            with store_errors():
                await self._claims.bulk_write(operations, ordered=False)

    async def project(self, changes: Collection[PersonChange]) -> None:
        """Bring the read model to what people are; a newer version that is there already stays.

        One who is new is inserted, and of one who is as expected just the changed fields are written, since
        both are cheaper than to replace. Where the read model is not as expected, that is done after all.
        """
        new, old, updates = [], [], []
        for change in changes:
            if change.is_new:
                new.append(change.after)
            elif change.before is not None:
                updates.append((change.before, change.after))
            else:
                old.append(change.after)
        known, behind, _ = await asyncio.gather(
            self._insert_people([person_document(state, self._schema) for state in new]),
            self._update(updates),
            self._replace_older(old),
        )
        unexpected = [new[position] for position in known]
        await self._replace_older(unexpected + [state for _, state in updates] if behind else unexpected)

    async def _update(self, updates: Sequence[tuple[PersonState, PersonState]]) -> bool:
        """Write what changed where the document is as expected, in our form; return whether one was not."""
        if not updates:
            return False
        operations = [
            UpdateOne(
                {
                    "_id": after.person_id,
                    "version": before.version,
                    "projection": projection_of(self._schema),
                },
                {"$set": person_changes(before, after, self._schema)},
            )
            for before, after in updates
        ]
        with store_errors():
            result = await self._people.bulk_write(operations, ordered=False)
        return int(result.matched_count) < len(updates)

    async def _insert_people(self, documents: Sequence[dict[str, Any]]) -> set[int]:
        return await insert_new(self._people, documents, ordered=False) if documents else set()

    async def _replace_older(self, states: Sequence[PersonState]) -> None:
        if not states:
            return
        documents = [person_document(state, self._schema) for state in states]
        operations = [ReplaceOne(older_than(document), document, upsert=True) for document in documents]
        try:
            with store_errors():
                await self._people.bulk_write(operations, ordered=False)
        except BulkWriteError as exc:
            kept_out(exc)  # the stored one is newer: nothing to do

    async def record_eventless(self, documents: Sequence[dict[str, Any]]) -> None:
        """Keep commands whose outcome is no event; one that is kept already stays as it is.

        But one that could not be read, and can now, has its outcome only now. Who asked from where is sealed
        with the person's key, and left out of what is asked about somebody without one.

        Args:
            documents: As `service_kit.read_model` makes them.
        """
        keys = await self._keys.find({one["person_id"] for one in documents}) if documents else {}
        documents = [seal_attributes(one, keys.get(one["person_id"])) for one in documents]
        known = await insert_new(self._rejections, documents, ordered=False) if documents else set()
        if known:
            names = ("person_id", "command_id")
            again = [
                ReplaceOne({**{name: one[name] for name in names}, "code": UNREADABLE}, one)
                for one in (documents[position] for position in known)
            ]
            with store_errors():
                await self._rejections.bulk_write(again, ordered=False)


def commands_on_record(
    person_ids: Sequence[str], command_ids: Sequence[str], idempotency_ids: Sequence[str]
) -> dict[str, Any]:
    """Return the filter of commands by their ids, and of others with the same idempotency ids."""
    people = {"person_id": {"$in": list(person_ids)}}
    if not idempotency_ids:
        return {**people, "command_id": {"$in": command_ids}}
    # Of a command of before, the id was that of its key.
    by_command = {"command_id": {"$in": [*command_ids, *idempotency_ids]}}
    return {**people, "$or": [by_command, {"idempotency_id": {"$in": list(idempotency_ids)}}]}


async def insert_new(
    collection: DocumentCollection, documents: Sequence[Document], *, ordered: bool
) -> set[int]:
    """Insert documents and return the positions of those that a unique index kept out."""
    try:
        with store_errors():
            await collection.insert_many(documents, ordered=ordered)
    except BulkWriteError as exc:
        return kept_out(exc)
    return set()


def older_than(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter of a person's document that this one may replace: of an older version, or of the same
    version in an older form. So no reader sees a person go back, nor does an older worker undo a rebuild.
    """
    older = {"version": {"$lt": document["version"]}}
    same = {"version": document["version"], "projection": {"$not": {"$gte": document["projection"]}}}
    return {"_id": document["_id"], "$or": [older, same]}
