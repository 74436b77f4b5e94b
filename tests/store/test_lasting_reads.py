"""Exports read by each driver: all of it, in order, and for longer than any other operation may last."""

import json

import pytest

from events.errors import StoreUnavailable
from query_api.exports.event_lines import NDJSON
from query_api.exports.options import EventsExportQuery
from query_api.exports.streams import BATCH, WRITTEN, Exports
from service_kit.mongo import connection as mongo
from service_kit.settings import Settings
from tests.default_schema import SCHEMA
from tests.store.given import create, run

STRONG = EventsExportQuery(consistency="strong", sort="applied_at")


@pytest.fixture
def settings(system, driver) -> Settings:
    return Settings(
        mongo_uri=system.mongo.uri,
        amqp_url=system.rabbit.url,
        mongo_driver=driver,
        jwt_key_file=system.directory / "jwt.key",
    )


async def test_an_export_outlasts_the_deadline_of_an_operation(empty, settings, monkeypatch):
    store, _ = empty
    commands = [create() for _ in range(3 * BATCH + 7)]
    await run(store, *commands)
    monkeypatch.setattr(mongo, "OPERATION_MS", 1)
    name = store._db.name
    for lasting in (False, True):
        client = mongo.connect(settings, "tests", lasting=lasting)
        try:
            if not lasting:
                with pytest.raises(StoreUnavailable):
                    await Exports(client, name, None, SCHEMA, None).events(STRONG, NDJSON).begin()
                continue
            export = Exports(client, name, None, SCHEMA, None).events(STRONG, NDJSON)
            assert await export.begin()
            chunks = [chunk async for chunk in export.chunks()]
            await export.close()
        finally:
            await mongo.close(client)
    assert len(chunks) == 3 * BATCH // WRITTEN + 1
    lines = [json.loads(line) for line in b"".join(chunks).splitlines()]
    assert sorted(line["person_id"] for line in lines) == sorted(one.person_id for one in commands)
    keys = [(line["applied_at"], line["event_id"]) for line in lines]
    assert keys == sorted(keys)


async def test_an_export_that_cannot_begin_is_ours_to_name(system, monkeypatch):
    monkeypatch.setattr(mongo, "SELECTION_MS", 300)
    settings = Settings(mongo_uri="mongodb://127.0.0.1:9/?replicaSet=x", amqp_url=system.rabbit.url)
    client = mongo.connect(settings, "tests", lasting=True)
    try:
        with pytest.raises(StoreUnavailable):
            await Exports(client, "x", None, SCHEMA, None).events(STRONG, NDJSON).begin()
    finally:
        await mongo.close(client)
