"""When an import is told of as finished."""

from datetime import timedelta
from itertools import count

from command_api.imports.record import ImportRequest, Progress
from command_api.imports.store import ImportStore
from events.imports.states import correlation_of
from service_kit.ids import new_id
from tests.store.given import NOW, create, run, update
from tests.system import eventually
from workers.imports.counts import PAUSE_SECONDS, ImportCounts


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
