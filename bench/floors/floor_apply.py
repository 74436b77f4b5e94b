"""The floor of `apply`: one process, one loop: consume, log, read model, announce, acknowledge.

The same I/O as a worker's, on the same queues, collections and indexes, in batches of what is there, 500
at the most, one step after the other: one find for the versions, one unordered insert into the log, one
write of the read model, each with majority concern; each event published persistent with its confirm to
the topic exchange, all at once; one acknowledgement for each queue. Documents and messages are as large as
ours. Not here: checked commands, rules, claims, finding what was done before, hashing, order within a
batch beyond the version number, rejections, dead letters, replies, retries, sharing, metrics, logs.

Updates go to the read model as a `$set` of what changed, guarded by the version: faster than to read and
replace the whole document. Messages are published through the AMQP client's lower layer, aiormq.
"""

import asyncio
import os
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import aiormq
import orjson
import uuid_utils
import uvloop
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic
from pymongo import AsyncMongoClient, UpdateOne
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bench.floors.people import document_of, folded, written

BATCH = 500
PREFETCH = 250
NO_HASH = "0" * 64

Delivery = tuple[Channel, DeliveredMessage]


class Floor:
    """The loop and what it holds open."""

    def __init__(self, publishing: Channel, database: Any) -> None:
        self._publishing = publishing
        self._events = database["events"]
        self._people = database["people"]
        self._waiting: list[Delivery] = []
        self._filled = asyncio.Event()

    async def receive(self, channel: Channel, message: DeliveredMessage) -> None:
        """Take a message from the broker."""
        self._waiting.append((channel, message))
        self._filled.set()

    async def run(self) -> None:
        """Apply batch after batch until the process is ended."""
        while True:
            await self._filled.wait()
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if not self._waiting:
                self._filled.clear()
            await self._apply(batch)

    async def _apply(self, batch: list[Delivery]) -> None:
        commands = [orjson.loads(message.body) for _, message in batch]
        ids = [command["subject"] for command in commands]
        found = await self._people.find({"_id": {"$in": ids}}, {"version": 1}).to_list()
        versions = {document["_id"]: document["version"] for document in found}
        now = datetime.now(UTC)
        events, created, changed = [], [], []
        for command in commands:
            version = versions.get(command["subject"], 0) + 1
            versions[command["subject"]] = version
            events.append(event_document(command, version, now))
            if command["type"] == "person.create":
                created.append(document_of(command["subject"], 1, command["data"], NO_HASH, (now, now)))
            else:
                changed.append(change(command, version, now))
        await self._events.insert_many(events, ordered=False)
        if created:
            await self._people.insert_many(created, ordered=False)
        if changed:
            await self._people.bulk_write(changed, ordered=False)
        await asyncio.gather(*map(self._announce, events))
        for channel, message in dict(batch).items():
            await channel.basic_ack(message.delivery_tag or 0, multiple=True, wait=False)

    async def _announce(self, event: dict[str, Any]) -> None:
        await self._publishing.basic_publish(
            message_of(event),
            exchange="events",
            routing_key=event["type"],
            properties=Basic.Properties(
                content_type="application/cloudevents+json",
                delivery_mode=2,
                message_id=event["_id"],
                message_type=event["type"],
            ),
            wait=False,
        )


def event_document(command: dict[str, Any], version: int, now: datetime) -> dict[str, Any]:
    """Return what the log keeps: as many fields as ours, as long."""
    return {
        "_id": str(uuid_utils.uuid7()),
        "person_id": command["subject"],
        "version": version,
        "type": f"{command['type']}d",
        "schema": 2,
        "person_schema": command["personschema"],
        "data": {},
        "sealed_fields": ["@source_address", *sorted(command["data"])],
        "values": NO_HASH,
        "sealed": _as_long_as_sealed({"@source_address": command["sourceaddress"], **command["data"]}),
        "command_id": command["id"],
        "actor": command["actor"],
        "accepted_at": now,
        "applied_at": now,
        "correlation_id": command["correlationid"],
        "prev": NO_HASH,
        "hash": NO_HASH,
    }


def _as_long_as_sealed(values: dict[str, Any]) -> bytes:
    """Return the values with as many bytes more as sealing adds."""
    content = orjson.dumps(values)
    return content.ljust(-(-len(content) // 64) * 64 + 28)


def change(command: dict[str, Any], version: int, now: datetime) -> UpdateOne:
    """Return the update of the read model: the load generator never renames anybody."""
    values = {**command["data"], "version": version, "hash": NO_HASH, "updated_at": written(now)}
    if "occupation" in command["data"]:
        values["keys.occupation"] = folded(command["data"]["occupation"])
    guard = {"_id": command["subject"], "version": {"$lt": version}}
    return UpdateOne(guard, {"$set": values})


def message_of(event: dict[str, Any]) -> bytes:
    """Return what subscribers get: as many attributes as ours, as long."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event["_id"],
            "source": "/floor/people",
            "type": event["type"],
            "subject": event["person_id"],
            "time": event["applied_at"],
            "datacontenttype": "application/json",
            "schemaversion": 2,
            "personschema": event["person_schema"],
            "partitionkey": event["person_id"],
            "version": event["version"],
            "commandid": event["command_id"],
            "actor": event["actor"],
            "acceptedat": event["accepted_at"],
            "correlationid": event["correlation_id"],
            "sealedfields": event["sealed_fields"],
            "values": event["values"],
            "sealed": event["sealed"].hex(),
            "prevhash": event["prev"],
            "hash": event["hash"],
            "data": event["data"],
        }
    )


async def main() -> None:
    """Consume every queue until the process is ended."""
    url = os.environ["ROLLCALL_AMQP_URL"]
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["ROLLCALL_MONGO_URI"])
    database = client.get_database(
        os.environ["ROLLCALL_MONGO_DB"],
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern(w="majority"),
    )
    publisher = await aiormq.connect(url)
    consumer = await aiormq.connect(url)
    publishing = cast(Channel, await publisher.channel(publisher_confirms=True))
    floor = Floor(publishing, database)
    for number in range(int(os.environ["ROLLCALL_PARTITIONS"])):
        channel = cast(Channel, await consumer.channel(publisher_confirms=False))
        await channel.basic_qos(prefetch_count=PREFETCH)
        await channel.basic_consume(f"commands.{number}", partial(floor.receive, channel))
    await floor.run()


if __name__ == "__main__":
    uvloop.run(main())
