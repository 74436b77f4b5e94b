"""Reads people's streams for the worker, and keeps their milestones: the last part of projecting."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from events.log.event import CODE_TYPES, GONE, RecordedEvent
from events.log.stored import event_of
from events.person.commands import Command
from events.person.decider import PersonState, holds_after, status_after
from events.person.schema.declarations import PersonSchema
from service_kit.milestones import (
    MILESTONE_EVERY,
    Milestone,
    Step,
    milestone_at,
    milestone_document,
    next_step,
)
from service_kit.mongo.connection import Client, Document, kept_out, store_errors, writing
from service_kit.mongo.keys import PersonKeys
from service_kit.mongo.streams import PORTION, walk_stream
from workers.store import commands_on_record

_BY_PERSON: Final = itemgetter("person_id")
_KEPT_AT_ONCE: Final = PORTION // MILESTONE_EVERY


@dataclass(slots=True)
class StreamReading:
    """What the log says of a person.

    Attributes:
        head: The person after the last event.
        newest: When the newest of the commands in the log was accepted.
        steps: In order: all events of a short stream; of a long one the last, and those of the commands that
            were asked for, with some around them.
    """

    head: PersonState
    newest: datetime | None = None
    steps: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Go on to the next event."""
        self.steps.append(step)
        self.head, self.newest = step.after, step.newest


class Streams:
    """The log by people, and the milestones in it.

    Every method raises `StoreUnavailable` when MongoDB is away; the same call may then be repeated, and
    goes on from the milestones that are kept by then.

    Args:
        client: A client of either driver.
        database: Database name.
        keys: The people's keys.
        schema: The person schema in whose form people are; None where there has been one alone.
    """

    def __init__(
        self, client: Client, database: str, keys: PersonKeys, schema: PersonSchema | None = None
    ) -> None:
        self._schema = schema
        self._keys = keys
        self._db = writing(client, database)
        self._events = self._db["events"]
        self._milestones = self._db["milestones"]

    async def read(self, asked: Mapping[str, Collection[Command]]) -> dict[str, StreamReading]:
        """Return what the log says of people.

        Args:
            asked: Commands that may be in it, by person id.
        """
        readings = {person_id: StreamReading(PersonState(person_id)) for person_id in asked}
        for person_id, steps in await self._beginnings(asked):
            for step in steps:
                readings[person_id].add(step)
            if len(steps) == MILESTONE_EVERY:
                readings[person_id] = await self._read_long(person_id, asked[person_id])
        return readings

    async def _read_long(self, person_id: str, asked: Collection[Command]) -> StreamReading:
        reading = StreamReading(PersonState(person_id))
        async for step in self._walk(person_id):
            if milestone_at(step, self._schema):
                reading.steps.clear()
            reading.add(step)
        versions = await self._versions_of(person_id, asked)
        begins_at = reading.steps[0].event.version
        earlier: list[Step] = []
        for first, last in _close_together([one for one in versions if one <= begins_at]):
            earlier += [step async for step in self._walk(person_id, since=first, version=last)]
        reading.steps[:0] = earlier
        return reading

    async def _versions_of(self, person_id: str, asked: Collection[Command]) -> list[int]:
        """Return the versions that commands, or others with their keys, have made."""
        if not asked:
            return []
        keys = [command.idempotency_id for command in asked if command.idempotency_id is not None]
        made = commands_on_record([person_id], [command.command_id for command in asked], keys)
        with store_errors():
            found = await self._events.find(made, {"_id": 0, "version": 1}).to_list(None)
        return sorted(one["version"] for one in found)

    async def bare_heads(self, person_ids: Collection[str]) -> dict[str, PersonState]:
        """Return people without their fields: what an erase is decided on where a fold may fail.

        Args:
            person_ids: The ids; one without events is absent, and awaited.
        """
        heads = {one: PersonState(one, awaited=True) for one in person_ids}
        telling = {"person_id": {"$in": list(person_ids)}, "type": {"$in": [*GONE, *CODE_TYPES]}}
        shown = {"_id": 0, "person_id": 1, "version": 1, "hash": 1, "applied_at": 1, "type": 1, "data": 1}
        with store_errors():
            found = await self._events.find(telling, shown, sort=[("version", 1)]).to_list(None)
            for person_id in person_ids:
                newest = self._events.find({"person_id": person_id}, shown, sort=[("version", -1)], limit=1)
                for one in await newest.to_list(1):
                    head = PersonState(person_id, "active", one["version"], one["hash"])
                    heads[person_id] = replace(head, updated_at=one["applied_at"])
        for one in found:
            head = heads[one["person_id"]]
            status = status_after(head.status, one["type"])
            holds = holds_after(head.holds, one["type"], one["data"])
            heads[one["person_id"]] = replace(head, status=status, holds=holds)
        return heads

    async def events_of(self, person_id: str, command_ids: Collection[str]) -> dict[str, RecordedEvent]:
        """Return the events that commands of a person have made, closed, by command id."""
        with store_errors():
            made = {"person_id": person_id, "command_id": {"$in": list(command_ids)}}
            return {one["command_id"]: event_of(one) for one in await self._events.find(made).to_list(None)}

    async def steps_at(self, wanted: Mapping[str, Collection[int]]) -> dict[str, dict[int, Step]]:
        """Return events of people, by person id and version.

        Args:
            wanted: Their versions, at least one, by person id.
        """
        chosen: dict[str, dict[int, Step]] = defaultdict(dict)
        begin = [person_id for person_id, versions in wanted.items() if min(versions) <= MILESTONE_EVERY]
        for person_id, steps in await self._beginnings(begin):
            for step in steps:
                if step.event.version in wanted[person_id]:
                    chosen[person_id][step.event.version] = step
        for person_id, versions in wanted.items():
            for version in versions:
                if version > MILESTONE_EVERY:
                    async for step in self._walk(person_id, version=version):
                        if step.event.version == version:
                            chosen[person_id][version] = step
        return chosen

    async def _beginnings(self, person_ids: Collection[str]) -> list[tuple[str, list[Step]]]:
        """Return the first events of people, up to where the first milestone of each is."""
        if not person_ids:
            return []
        with store_errors():
            first = {"person_id": {"$in": list(person_ids)}, "version": {"$lte": MILESTONE_EVERY}}
            found = self._events.find(first, sort=[("person_id", 1), ("version", 1)])
            documents = await self._keys.open(await found.to_list(None))
        return [
            (person_id, list(_steps(person_id, its, self._schema)))
            for person_id, its in groupby(documents, _BY_PERSON)
        ]

    async def _walk(
        self, person_id: str, *, since: int | None = None, version: int | None = None
    ) -> AsyncGenerator[Step, None]:
        """Yield as `walk_stream` does, and keep the milestones that were missing on the way."""
        made: list[Milestone] = []
        async for step in walk_stream(
            self._find, person_id, since=since, version=version, schema=self._schema
        ):
            if milestone := milestone_at(step, self._schema):
                made.append(milestone)
            if len(made) == _KEPT_AT_ONCE:
                await self._keep(person_id, made)
                made = []
            yield step
        await self._keep(person_id, made)

    async def _find(
        self, collection: str, wanted: Mapping[str, Any], *, sort: Sequence[tuple[str, int]], limit: int
    ) -> list[Document]:
        with store_errors():
            found = self._db[collection].find(wanted, sort=sort, limit=limit, batch_size=limit)
            return await self._keys.open(await found.to_list(limit))

    async def extend_milestones(self, person_id: str, version: int) -> None:
        """Keep the milestones of a person up to a version that is in the log.

        If they have been kept so far, that is a read of the events since the last one. Where many are
        missing, only some are made now.
        """
        made: list[Milestone] = []
        async with aclosing(
            walk_stream(self._find, person_id, version=version, schema=self._schema)
        ) as steps:
            async for step in steps:
                if milestone := milestone_at(step, self._schema):
                    made.append(milestone)
                if len(made) == _KEPT_AT_ONCE:
                    break
        await self._keep(person_id, made)

    async def _keep(self, person_id: str, milestones: Sequence[Milestone]) -> None:
        """Keep milestones, unless the person is deleted, before or meanwhile."""
        if not milestones or await self._is_deleted(person_id):
            return
        operations = [ReplaceOne(one.key, milestone_document(one), upsert=True) for one in milestones]
        try:
            with store_errors():
                await self._milestones.bulk_write(operations, ordered=False)
        except BulkWriteError as exc:
            kept_out(exc)  # another worker made them just now
        # Who deletes appends first and then removes: one of the two sees what the other has written.
        if await self._is_deleted(person_id):
            await self.remove_milestones([person_id])

    async def _is_deleted(self, person_id: str) -> bool:
        with store_errors():
            newest = self._events.find({"person_id": person_id}, {"type": 1}, sort=[("version", -1)], limit=1)
            return any(one["type"] in GONE for one in await newest.to_list(1))

    async def remove_milestones(self, person_ids: Collection[str]) -> None:
        """Remove all milestones of people who are deleted: they are personal."""
        if person_ids:
            with store_errors():
                await self._milestones.delete_many({"person_id": {"$in": list(person_ids)}})


def _steps(person_id: str, documents: Iterator[Document], schema: PersonSchema | None) -> Iterator[Step]:
    """Yield the events in documents that begin with a person's first."""
    step = None
    for document in documents:
        step = next_step(person_id, step, event_of(document), schema)
        yield step


def _close_together(versions: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each group of ascending versions that are worth one walk."""
    groups: list[tuple[int, int]] = []
    for version in versions:
        if groups and version - groups[-1][1] <= MILESTONE_EVERY:
            groups[-1] = groups[-1][0], version
        else:
            groups.append((version, version))
    return groups
