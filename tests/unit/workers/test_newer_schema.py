"""A command in a newer person schema than a worker's is neither decided nor given up: the worker holds it."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import orjson
import pytest
from structlog.testing import capture_logs

from events.errors import NewerSchema
from events.person.envelope import SOURCE
from events.person.schema.messages import person_schema_of
from events.person.schema.reading import read_schema
from service_kit.ids import new_id
from tests.system import eventually
from tests.transport import known_keys, sealed_as_it_is
from workers.consuming.batch_reading import read_batches
from workers.consuming.deliveries import Delivery, DeliveryQueue, Partition
from workers.consuming.pipeline import Pipeline

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
SCHEMA = read_schema({"version": 2, "type": "object", "properties": {"name": {"type": "string"}}})


def body(number, **data):
    """Return a command that says in which schema it is written."""
    envelope = {"specversion": "1.0", "type": "person.create", "subject": new_id(), "personschema": number}
    envelope |= {"id": new_id(), "source": SOURCE}
    return orjson.dumps({**envelope, "data": data})


def delivery(partition, content):
    return Delivery(partition, 1, content, None, None, None)


@pytest.mark.parametrize("content", [body(3, name="Ana"), body(3, shoe_size=43)])
def test_a_command_of_a_newer_schema_is_not_read(content):
    with pytest.raises(
        NewerSchema, match="number 3 of the person schema is newer than 2, by which this process goes"
    ):
        read_batches([delivery(SimpleNamespace(number=3), content)], [content], NOW, SCHEMA)


@pytest.mark.parametrize(
    "content",
    [
        body(2, shoe_size=43),
        body(None),
        body("3"),
        body(True),
        body(2.5),
        b"[" * 100_000,
        b"[]",
        b"\xff",
        b"",
    ],
)
def test_what_is_of_no_newer_schema_is_given_up_as_before(content):
    (batch,) = read_batches([delivery(SimpleNamespace(number=3), content)], [content], NOW, SCHEMA)
    assert len(batch.unreadable) == 1


def test_a_message_says_in_which_schema_it_is_written():
    assert [person_schema_of(body(one)) for one in (3, None, "3", True)] == [3, None, None, None]


async def test_a_worker_takes_nothing_more_until_it_ends():
    deliveries = DeliveryQueue()
    partition = Partition(0, SimpleNamespace(), SimpleNamespace(), reconciled=True)
    trials = SimpleNamespace(
        due_in=lambda: None, forget_handed_over=lambda: None, set_aside_if_suspect=lambda *_: False
    )
    inputs = SimpleNamespace(clock=lambda: NOW, schema=SCHEMA)
    idle = SimpleNamespace()
    pipeline = Pipeline(deliveries, idle, idle, idle, idle, idle, idle, trials, idle, inputs, known_keys())
    deliveries.enqueue(delivery(partition, sealed_as_it_is(orjson.loads(body(3, name="Ana")))))
    with capture_logs() as logs:
        working = asyncio.create_task(pipeline.process_batches())

        async def is_told():
            return bool(logs)

        await eventually(is_told)
        deliveries.enqueue(delivery(partition, sealed_as_it_is(orjson.loads(body(2, name="Ben")))))
        assert not working.done()
        deliveries.close()
        async with asyncio.timeout(5):
            await working
    assert [one["event"] for one in logs] == ["holding commands"]
    assert partition.in_flight == 1
