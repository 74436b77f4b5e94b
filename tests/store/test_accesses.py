"""Access records in the database: verified, signed by checkpoints, found out when altered, and cut off."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient

from events.access.batch import ACCESS_HEADS, ACCESSES, access_stream
from service_kit.access.log import AccessLog
from service_kit.access.records import AccessRecord
from service_kit.ids import new_id
from service_kit.mongo.access_store import AccessStore
from service_kit.mongo.collections import keys_database
from tests.store.given import KEKS
from tests.store.log import Log, findings, harm
from tests.system import eventually
from workers.accesses.expiry import AccessExpiry

NOW = time.time()


@pytest.fixture
def accessed(system, mongo_client, databases_of_tests) -> Log:
    return Log(system, None, databases_of_tests.make())


async def written(log: Log, client, at: float) -> AccessLog:
    """Return a process's log with one batch in it."""
    store = AccessStore(client, log.address.database, KEKS)
    access_log = AccessLog(store, "query-api", new_id(), "on", lambda: at)
    await more(access_log, at)
    return access_log


async def more(access_log: AccessLog, at: float) -> None:
    """Add a batch."""
    path = {"person_id": new_id()}
    record = AccessRecord(
        at, "GET", "/people/{person_id}", 200, "ada", "192.0.2.1", query=b"q=Ana", path=path
    )
    access_log.add(record)
    await access_log.close()


async def is_clean(log: Log, *words) -> None:
    """Return once nothing is found: the secondaries may be behind."""

    async def nothing_is_found():
        return await log.verify(*words) == set()

    await eventually(nothing_is_found)


@pytest.mark.parametrize("driver", ["pymongo"], indirect=True)
async def test_access_records_are_verified_signed_and_cut_off_only_then(accessed, mongo_client, tmp_path):
    log, folder, keys = accessed, tmp_path / "checkpoints", tmp_path / "keys"
    against = ("--checkpoints", folder, "--public-key", keys / "checkpoint.pub")
    sign = ("checkpoint", "--jobs", 1, "--to", folder, "--key", keys / "checkpoint.key")
    await log.here("checkpoint-key", keys)
    access_log = await written(log, mongo_client, NOW)
    stream = access_stream(access_log._stream.partition(":")[2])
    await more(access_log, NOW)
    status, _, err = await log.here(*sign)
    assert status == 0, err
    await more(access_log, NOW)
    await is_clean(log, *against)

    later = [datetime.now(UTC)]
    expiry = AccessExpiry(mongo_client, log.address.database, timedelta(days=400), lambda: later[0])
    assert await expiry.cut() == 0
    later[0] += timedelta(days=500)
    assert await expiry.cut() == 1
    await expiry.end_keys()
    with MongoClient(log.address.uri) as client:
        batches = list(client[log.address.database][ACCESSES].find(sort=[("version", 1)]))
        rows = list(client[keys_database(log.address.database)]["access_keys"].find())
        assert client[log.address.database][ACCESS_HEADS].count_documents({}) == 0
    assert [(one["version"], "records" in one, "marks" in one) for one in batches] == [
        (2, False, False),
        (3, True, True),
    ]
    assert rows and not any("key" in row or "kek" in row for row in rows)
    await is_clean(log)
    await is_clean(log, *against)
    status, _, err = await log.here(*sign)
    assert status == 0, err

    # What no checkpoint signed may not be cut off, nor hidden from who looks for it.
    await more(access_log, NOW)
    gone = {"records": "", "people": "", "sealed": "", "marks": "", "subjects": ""}
    harm(log, lambda them: them.update_many({"version": 4}, {"$unset": gone}), ACCESSES)
    assert await log.found(*against) == {(stream, 4, "truncated")}
    assert findings(await log.here("verify", "--json", "--jobs", 1, *against)) == {(stream, 4, "truncated")}
    harm(log, lambda them: them.update_many({"version": 3}, {"$set": {"marks": []}}), ACCESSES)
    assert await log.found(*against) == {(stream, 3, "altered")}
    harm(log, lambda them: them.delete_many({}), ACCESSES)
    assert await log.found(*against) == {(stream, 1, "removed")}
