"""The queries on a real MongoDB, on each driver."""

import asyncio

import pytest

from events.errors import NotFound, SearchTooLong, StoreUnavailable
from query_api.people import queries
from query_api.people.listing import Listing
from query_api.people.queries import Count, Reads
from query_api.reading.cursors import CursorSeal
from query_api.reading.searches import Searches
from service_kit.mongo import connection as mongo
from service_kit.mongo.connection import store_errors
from service_kit.settings import Settings
from service_kit.slots import AtOnce
from tests.default_schema import PeopleQuery
from tests.store.given import claim_of, create, delete, document_of, run, store_in, update
from tests.system import TOPOLOGIES, eventually


async def test_a_person_a_page_and_a_status(empty):
    store, reads = empty
    first, other, gone = create(first_name="Zoé"), create(), create()
    wrong = update(first.person_id, 9, address="x")
    await run(store, first, other, gone, delete(gone.person_id), wrong)

    answer = await reads.person(first.person_id, min_version=1, strong=False)
    assert answer.documents[0]["first_name"] == "Zoé"
    assert not (await reads.person(gone.person_id, min_version=2, strong=True)).documents
    with pytest.raises(NotFound):
        await reads.person(first.person_id, min_version=2, strong=False)

    page = await reads.people(PeopleQuery(limit=1, count="true", consistency="strong"))
    assert page.count == Count(2, exact=True)
    rest = await reads.people(PeopleQuery(limit=1, cursor=page.next, consistency="strong"))
    assert rest.next is None
    found = page.answer.documents + rest.answer.documents
    assert {document["_id"] for document in found} == {first.person_id, other.person_id}

    event = await reads.event_of_command(first.person_id, first.command_id, strong=True)
    assert event.documents[0]["version"] == 1
    refused = await reads.eventless_command(first.person_id, wrong.command_id, strong=True)
    assert refused.documents[0]["code"] == "version-mismatch"
    by_document = await reads.person_by_values(claim_of(first), document_of(first), strong=True)
    assert by_document.documents[0]["_id"] == first.person_id


async def test_the_newest_documents_of_people_have_tombstones_and_lack_who_never_was(empty):
    store, reads = empty
    left, gone = create(first_name="Zoé"), create()
    await run(store, left, gone, delete(gone.person_id))
    people = await reads.newest_people([left.person_id, gone.person_id, "nobody"])
    assert people.keys() == {left.person_id, gone.person_id}
    assert (people[left.person_id]["first_name"], people[left.person_id]["version"]) == ("Zoé", 1)
    assert people[gone.person_id]["deleted"]


async def test_reads_name_the_member_that_answered(system, empty):
    store, reads = empty
    primary, secondary = ("(router)",) * 2 if system.routed else ("(primary)", "(secondary)")
    first = create()
    await run(store, first)

    async def from_secondary():
        answer = await reads.person(first.person_id, min_version=None, strong=False)
        return answer.documents and reads.member_of(answer).endswith(secondary)

    await eventually(from_secondary)
    strong = await reads.person(first.person_id, min_version=None, strong=True)
    assert reads.member_of(strong).endswith(primary)


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_an_unreachable_mongodb_is_ours_to_name(system, driver, monkeypatch):
    monkeypatch.setattr(mongo, "OPERATION_MS", 300)
    settings = Settings(
        mongo_uri="mongodb://127.0.0.1:9/?replicaSet=x", amqp_url=system.rabbit.url, mongo_driver=driver
    )
    client = mongo.connect(settings, "tests")
    try:
        failures = await asyncio.gather(
            Reads(client, "x").check(), store_in(client, "x").heads(["a"]), return_exceptions=True
        )
        assert [type(failure) for failure in failures] == [StoreUnavailable] * 2
    finally:
        await mongo.close(client)


async def test_nobody_is_reported_missing_by_a_member_that_lags(empty, mongo_client):
    store, reads = empty
    person, other = create(email="ada@example.org"), create()
    await run(store, person, other)
    # Another database, in which nothing has happened yet, is what a secondary shows.
    reads._databases._eventual = mongo.reading(mongo_client, "nothing_here", strong=False)
    for filters in (
        {},
        {"id": person.person_id},
        {"id": f"{person.person_id},{other.person_id}"},
        {"email": "ada@example.org"},
        {"document_id.in": person.data.document_id},
        {"q": "ada@exa"},
    ):
        page = await reads.people(PeopleQuery.model_validate(filters))
        assert person.person_id in {document["_id"] for document in page.answer.documents}, filters
    assert (await reads.person(person.person_id, min_version=None, strong=False)).documents
    by_document = await reads.person_by_values(claim_of(person), document_of(person), strong=False)
    assert by_document.documents
    counted = await reads.people(PeopleQuery.model_validate({"count": True}))
    assert counted.count == Count(2, exact=True)


async def test_counting_stops_unless_all_is_asked_for(empty, monkeypatch):
    store, reads = empty
    monkeypatch.setattr(queries, "COUNTED", 3)
    people = [create(gender="female" if number < 3 else "male") for number in range(5)]
    gone = create(gender="female")
    await run(store, *people, gone, delete(gone.person_id))
    for filters, count, exact in (
        ({}, Count(3, exact=False), 5),
        ({"gender": "F"}, Count(3, exact=True), 3),
        ({"gender": "M"}, Count(2, exact=True), 2),
        ({"email.exists": "false"}, Count(0, exact=True), 0),
        ({"gender.in": "F,M"}, Count(3, exact=False), 5),
    ):
        asked = {**filters, "consistency": "strong", "limit": 1}
        page = await reads.people(PeopleQuery.model_validate({**asked, "count": "true"}))
        assert page.count == count, filters
        page = await reads.people(PeopleQuery.model_validate({**asked, "count": "exact"}))
        assert page.count == Count(exact, exact=True), filters


@pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True, scope="session")
async def test_a_search_ends_with_its_time_at_the_server_too(empty, mongo_client):
    store, _ = empty
    people = store._db["people"]
    await people.insert_one({"_id": "slow"})
    searches = Searches(AtOnce(1, 1), 0.2)
    with pytest.raises(SearchTooLong):
        async with searches.turn("ada"):
            with store_errors():
                await people.find({"$where": "sleep(60000) || true"}).to_list(1)
    assert searches.slots.in_use == 0

    async def given_up():
        of_it = {"ns": people.full_name, "command.filter.$where": {"$exists": True}}
        running = await mongo_client.admin.command("currentOp", **of_it)
        return not running["inprog"]

    await eventually(given_up, within=20)


async def test_a_search_does_not_take_a_store_that_is_away_for_a_slow_one(system, driver, monkeypatch):
    monkeypatch.setattr(mongo, "OPERATION_MS", 300)
    settings = Settings(
        mongo_uri="mongodb://127.0.0.1:9/?replicaSet=x", amqp_url=system.rabbit.url, mongo_driver=driver
    )
    client = mongo.connect(settings, "tests")
    try:
        with pytest.raises(StoreUnavailable):
            async with Searches(AtOnce(1, 1), 0.2).turn("ada"):
                await Reads(client, "x").people(PeopleQuery(count="true"))
    finally:
        await mongo.close(client)


def stages(plan) -> set[str]:
    """Return the names of all stages of a plan."""
    if isinstance(plan, list):
        return {name for one in plan for name in stages(one)}
    if not isinstance(plan, dict):
        return set()
    found = {name for value in plan.values() for name in stages(value)}
    return found | ({plan["stage"]} if isinstance(plan.get("stage"), str) else set())


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"sort": "-first_name"},
        {"sort": "birth_date"},
        {"sort": "-created_at"},
        {"sort": "updated_at"},
        {"q": "o'solano mira"},
        {"q": "300 123 4567"},
        {"q": "a+b@example.org"},
        {"id": "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c,0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6d"},
        {"last_name": "O'Solano"},
        {"last_name.in": "Solano,Paz", "sort": "first_name"},
        {"last_name.gte": "m", "sort": "-created_at"},
        {"last_name.exists": "false"},
        {"birth_date.gte": "1990-01-01", "birth_date.lt": "1991-01-01"},
        {"created_at.lte": "2026-01-31", "sort": "-created_at"},
        {"email.in": "a@example.org,b@example.org"},
        {"email.exists": "false"},
        {"phone": "+573001234567"},
        {"document_id": "1234567", "document_type": "CC"},
        {"occupation.in": "Engineer,Baker"},
        {"occupation.exists": "false"},
        {"gender.in": "F,M"},
        {"document_type": "CC"},
        {"address.exists": "true"},
    ],
    ids=str,
)
# The router of tests explains nothing; each shard has the same indexes.
@pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True, scope="session")
async def test_an_index_serves_every_filter_and_every_order(empty, filters):
    store, _ = empty
    await run(store, *(create() for _ in range(20)))
    query = PeopleQuery.model_validate(filters, context={"phone_region": "CO"})
    listing = Listing.of(query, CursorSeal())
    parts = list(listing._parts())
    assert parts
    for conditions, order in parts:
        find = {
            "find": "people",
            "filter": {"$and": [*listing.filters, *conditions]},
            "limit": 51,
            "sort": dict(order),
        }
        plan = await store._db.command({"explain": find, "verbosity": "queryPlanner"})
        used = stages(plan["queryPlanner"]["winningPlan"])
        assert "COLLSCAN" not in used, used
        assert used & {"IXSCAN", "EOF"}, used
        # Filters that choose few may sort those few; those that choose many must not.
        if set(filters) <= {"sort", "gender.in", "document_type", "address.exists"}:
            assert "SORT" not in used, used


async def test_an_order_by_several_fields_reads_one_page_of_an_index(empty):
    store, reads = empty
    people = [
        create(last_name=f"N{n % 7}", first_name=f"F{n}", birth_date=f"19{50 + n % 10}-01-01")
        for n in range(60)
    ]
    await run(store, *people)
    for sort in (
        "last_name,-birth_date",
        "-last_name,first_name",
        "birth_date,last_name",
        "-created_at,-birth_date",
    ):
        seen, cursor = [], None
        while True:
            page = await reads.people(PeopleQuery(sort=sort, limit=8, cursor=cursor, consistency="strong"))
            seen += [document["_id"] for document in page.answer.documents]
            cursor = page.next
            if cursor is None:
                break
        assert sorted(seen) == sorted(one.person_id for one in people), sort
