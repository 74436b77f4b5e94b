"""When an import is told of as finished, and when it expires."""

from datetime import datetime, timedelta
from itertools import count

from command_api.imports.drafting import Refused
from command_api.imports.record import ImportRequest, Progress
from command_api.imports.store import ImportStore
from events.imports.states import correlation_of
from service_kit.ids import new_id
from tests.store.given import NOW, create, run, update
from tests.system import eventually
from workers.imports.counts import PAUSE_SECONDS, ImportCounts
from workers.imports.expiry import ImportExpiry


async def test_an_import_is_finished_when_reads_show_its_people(mongo_client, empty):
    store, reads = empty
    database = store._db.name
    order = ImportRequest(new_id(), "ada", "upsert", False, "text/csv", ",", ("id",))
    rows = {"correlation_id": correlation_of(order.import_id)}
    made = create().model_copy(update=rows)
    later, same = (update(made.person_id, first_name="Eva").model_copy(update=rows) for _ in range(2))
    first = await run(store, made)
    decided = await run(store, later, same, project=False)
    keeping = ImportStore(mongo_client, database)
    record = await keeping.begin(order, "one", NOW, {})
    await keeping.keep(record, Progress(read=3, accepted=3), NOW, state="applying", whole=True)
    ticks = count()
    counts = ImportCounts(
        mongo_client, database, lambda: NOW + next(ticks) * timedelta(seconds=2 * PAUSE_SECONDS)
    )

    async def told():
        await counts.count()
        found = await reads.find("imports", {"_id": order.import_id}, {}, strong=True)
        (import_,) = found.documents
        return import_["state"], import_["applied"], import_["unchanged"], import_["undone"]

    async def all_counted():
        return (await told())[1:] == (2, 1, 0)

    await eventually(all_counted)
    assert (await told())[0] == "applying"
    await store.project([*first.changes.values(), *decided.changes.values()])

    async def finished():
        return await told() == ("finished", 2, 1, 0)

    await eventually(finished)


async def test_an_import_at_rest_expires_with_its_errors_and_one_that_goes_on_does_not(mongo_client, empty):
    store, _ = empty
    database, keep = store._db.name, timedelta(days=30)
    keeping, now = ImportStore(mongo_client, database), NOW
    expiry = ImportExpiry(mongo_client, database, keep, lambda: now)
    imports, errors = store._db["imports"], store._db["import_errors"]
    ids: dict[str, str] = {}
    for state in ("interrupted", "applying", "finished", "reading"):
        order = ImportRequest(new_id(), "ada", "create", False, "text/csv", ",", ("id",))
        ids[state] = order.import_id
        record = await keeping.begin(order, "one", NOW, {})
        await keeping.refuse(order.import_id, [Refused(1, []), Refused(2, [])])
        await keeping.keep(record, Progress(read=2, accepted=0, refused=2), NOW, state=state)
    # One of before there was an end: dry runs were kept as well.
    await imports.insert_one(
        {"_id": "old", "owner": "x", "state": "finished", "settled": True, "updated_at": NOW}
    )
    await errors.insert_one({"_id": "old:1", "import_id": "old", "row": 1, "errors": []})

    async def ends(collection, key) -> dict[str, datetime | None]:
        return {one[key]: one.get("expires_at") for one in await collection.find().to_list(None)}

    assert await expiry.settle() == 0
    now = NOW + timedelta(hours=2)
    await keeping.keep(record, Progress(read=2, refused=2), now)  # that one is read still
    assert await expiry.settle() == 3
    assert await expiry.settle() == 0
    expected = {
        "old": NOW + keep,
        ids["interrupted"]: NOW + keep,
        ids["finished"]: NOW + keep,
        ids["applying"]: None,
        ids["reading"]: None,
    }
    assert await ends(imports, "_id") == await ends(errors, "import_id") == expected
    # Once workers have decided all of it, it is at rest, too.
    await imports.update_one({"_id": ids["applying"]}, {"$set": {"settled": True, "counted_at": now}})
    await expiry.settle()
    expected[ids["applying"]] = now + keep
    assert await ends(imports, "_id") == await ends(errors, "import_id") == expected
    # What goes on keeps the errors that it had; they end anew.
    order = ImportRequest(ids["interrupted"], "ada", "create", False, "text/csv", ",", ("id",))
    await keeping.begin(order, "two", now, {})
    expected[ids["interrupted"]] = None
    assert await ends(imports, "_id") == await ends(errors, "import_id") == expected


async def test_an_import_that_goes_on_at_that_moment_does_not_expire(mongo_client, empty):
    store, _ = empty
    keeping = ImportStore(mongo_client, store._db.name)
    order = ImportRequest(new_id(), "ada", "create", False, "text/csv", ",", ("id",))
    record = await keeping.begin(order, "one", NOW, {})
    await keeping.refuse(order.import_id, [Refused(1, [])])
    await keeping.keep(record, Progress(read=1, refused=1), NOW, state="interrupted")
    expiry = ImportExpiry(mongo_client, store._db.name, timedelta(days=1), lambda: NOW + timedelta(days=2))
    document = await expiry._imports.find_one({"_id": order.import_id})
    await keeping.begin(order, "two", NOW, {})
    await expiry._settle(document)
    for collection in ("imports", "import_errors"):
        (one,) = await store._db[collection].find().to_list(None)
        assert one["expires_at"] is None
