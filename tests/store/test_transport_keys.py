"""The rows of transport keys: made once, a day ahead, found anew, and gone on with while MongoDB is away."""

import asyncio
from datetime import timedelta

import pytest

from events.errors import StoreUnavailable
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import writing
from service_kit.mongo.transport_keys import TransportKeys, content_of
from service_kit.seals.repeatable_ids import ROW
from service_kit.seals.wrapping import TRANSPORT
from tests.store.given import KEKS, create
from tests.transport import DAY, sealed

TOMORROW = DAY + timedelta(days=1)


@pytest.fixture
async def name(databases_of_tests):
    async with databases_of_tests.empty() as made:
        yield made


def keys(client, name, **more) -> TransportKeys:
    return TransportKeys(client, name, KEKS, lambda: DAY, **more)


async def test_several_workers_make_one_key_a_day_and_one_ahead(mongo_client, name):
    workers = [keys(mongo_client, name, makes=True) for _ in range(4)]
    await asyncio.gather(*(one.read() for one in workers))
    await asyncio.gather(*(one.read() for one in workers))
    rows = await mongo_client[keys_database(name)][TRANSPORT].find().to_list(None)
    assert sorted(row["_id"] for row in rows) == [DAY.date().isoformat(), TOMORROW.date().isoformat(), ROW]
    command, others = create(), keys(mongo_client, name)
    await others.read()
    body = sealed(command, workers[0].current())
    assert len({one.repeatable_ids().of("a") for one in (*workers, others)}) == 1
    for one in (*workers, others):
        (opened,) = await one.open_all([body])
        assert command.command_id.encode() in content_of(opened)


async def test_a_key_that_is_not_known_is_looked_for(mongo_client, name):
    worker, api = keys(mongo_client, name, makes=True), keys(mongo_client, name)
    await worker.read()
    (opened,) = await api.open_all([sealed(create(), worker.current())])
    assert content_of(opened)
    rows = writing(mongo_client, keys_database(name))[TRANSPORT]
    await rows.update_one({"_id": DAY.date().isoformat()}, {"$unset": {"key": "", "kek": ""}})
    (opened,) = await keys(mongo_client, name).open_all([sealed(create(), worker.current())])
    assert "there is no transport key 2026-01-31" in opened.detail


async def test_a_destroyed_key_is_dropped_and_never_made_again(mongo_client, name):
    worker = keys(mongo_client, name, makes=True)
    await worker.read()
    rows = writing(mongo_client, keys_database(name))[TRANSPORT]
    await rows.update_one({"_id": DAY.date().isoformat()}, {"$unset": {"key": "", "kek": ""}})
    body = sealed(create(), worker.current())
    await worker.read()
    assert worker.current().id == TOMORROW.date().isoformat()
    (opened,) = await worker.open_all([body])
    assert "is destroyed, or unknown" in opened.detail


async def test_what_was_read_is_gone_on_with_after_a_restart(mongo_client, name, tmp_path):
    await keys(mongo_client, name, makes=True).read()
    first = keys(mongo_client, name, cache=tmp_path / "keys")
    await first.read()
    body = sealed(create(), first.current())
    kept = (tmp_path / "keys").read_bytes()
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
    rows = await mongo_client[keys_database(name)][TRANSPORT].find().to_list(None)
    assert all(row["key"].hex().encode() in kept for row in rows)
    again = TransportKeys(None, name, KEKS, lambda: DAY + timedelta(days=9), tmp_path / "keys")
    assert again.current().id == TOMORROW.date().isoformat()
    assert again.repeatable_ids().of("a") == first.repeatable_ids().of("a")
    (opened,) = await again.open_all([body])
    assert content_of(opened)
    other = TransportKeys(None, "other", KEKS, lambda: DAY, tmp_path / "keys")
    with pytest.raises(StoreUnavailable):
        other.current()
