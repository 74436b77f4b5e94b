"""Transport keys end once nothing is sealed with them any more, and not before."""

from datetime import UTC, datetime, timedelta

import aio_pika
import pytest_asyncio

from service_kit.broker import sealed_messages
from service_kit.broker.declaring import declare
from service_kit.broker.sealed_messages import transport_keys_in_queues
from service_kit.broker.topology import DEAD
from service_kit.ids import new_id
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import writing
from service_kit.seals.messages import sealed_message
from service_kit.seals.transport import TransportKey
from service_kit.seals.wrapping import TRANSPORT
from tests.store.given import KEKS
from workers.erasing.transport_expiry import TransportExpiry

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
OLD = ["2026-02-25", "2026-02-26", "2026-02-27"]
KEPT = "2026-02-28"
PARTITIONS = 8


class Keys:
    """A database with the transport keys of four days, and what ends them."""

    def __init__(self, store) -> None:
        self.store, self.waiting = store, set()
        client, name = store._db.client, store._db.name
        self.rows = writing(client, keys_database(name))[TRANSPORT]
        self.expiry = TransportExpiry(client, name, self.in_queues, lambda: NOW)

    async def in_queues(self):
        return self.waiting

    async def there(self) -> list[str]:
        found = await self.rows.find({"key": {"$exists": True}}, {"_id": 1}).to_list(None)
        return sorted(row["_id"] for row in found)


@pytest_asyncio.fixture
async def keys(empty) -> Keys:
    made = Keys(empty[0])
    for day in (*OLD, KEPT):
        kek, wrapped = TransportKey.new(day).wrapped(KEKS)
        await made.rows.insert_one({"_id": day, "kek": kek, "key": wrapped})
    return made


async def test_what_is_unused_at_two_looks_ends_and_its_row_stays(keys):
    assert await keys.expiry.end() == []
    assert await keys.there() == [*OLD, KEPT]
    assert await keys.expiry.end() == OLD
    assert await keys.there() == [KEPT]
    rows = await keys.rows.find({"_id": {"$in": OLD}}).to_list(None)
    assert [sorted(row) for row in rows] == [["_id", "ended_at"]] * 3
    assert await keys.expiry.end() == []


async def test_what_something_waits_under_is_kept_until_nothing_does(keys):
    keys.waiting = {OLD[0]}
    parked = keys.store._db["parked"]
    waiting = {"person_id": new_id(), "command_id": new_id(), "position": 1, "transport_key": OLD[1]}
    await parked.insert_one(waiting | {"parked_at": NOW - timedelta(days=1)})
    for _ in range(2):
        ended = await keys.expiry.end()
    assert ended == [OLD[2]]
    keys.waiting = set()
    await parked.delete_one({name: waiting[name] for name in ("person_id", "command_id")})
    assert await keys.expiry.end() == []
    assert await keys.expiry.end() == OLD[:2]


async def test_while_commands_wait_nothing_ends_and_the_two_looks_begin_anew(keys):
    await keys.expiry.end()
    keys.waiting = None
    assert await keys.expiry.end() == []
    keys.waiting = set()
    assert await keys.expiry.end() == []
    assert await keys.expiry.end() == OLD


async def test_the_queues_tell_under_which_keys_messages_wait(system, monkeypatch):
    # Workers of other tests may consume the partitions.
    monkeypatch.setattr(sealed_messages, "partition_queue", lambda number: f"events.tests-partition-{number}")
    key = TransportKey.new("2001-01-01")
    body = sealed_message(key, id_=new_id(), type_="person.update", source="/tests", content=b"{}")
    message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    connection = await aio_pika.connect(system.rabbit.url)
    async with connection, connection.channel() as channel:
        await declare(connection, PARTITIONS)
        partitions = [
            await channel.declare_queue(f"events.tests-partition-{number}", durable=True)
            for number in range(2)
        ]
        await (await channel.get_exchange(DEAD)).publish(message, "")
        assert await transport_keys_in_queues(system.rabbit.url, 2) >= {key.id}
        await channel.default_exchange.publish(message, "events.tests-partition-1")
        assert await transport_keys_in_queues(system.rabbit.url, 2) is None
        for queue in partitions:
            await queue.delete(if_empty=False)
        queue = await channel.get_queue(DEAD)
        held = []
        while (one := await queue.get(fail=False)) is not None:
            held.append(one)
        for one in held:
            await (one.ack() if one.body == body else one.nack())
