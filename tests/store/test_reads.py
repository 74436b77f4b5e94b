"""The queries on a real MongoDB, on each driver."""

import asyncio

import pytest

from events.errors import NotFound, StoreUnavailable
from query_api.filters import PeopleQuery
from query_api.reads import Reads
from service_kit import mongo
from service_kit.settings import Settings
from tests.store.given import create, delete, run, update
from tests.system import eventually
from workers.store import Store


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

    page = await reads.people(PeopleQuery(limit=1, count=True, consistency="strong"))
    assert page.count == 2
    rest = await reads.people(PeopleQuery(limit=1, cursor=page.next, consistency="strong"))
    assert rest.next is None
    found = page.answer.documents + rest.answer.documents
    assert {document["_id"] for document in found} == {first.person_id, other.person_id}

    event = await reads.event_of_command(first.person_id, first.command_id, strong=True)
    assert event.documents[0]["version"] == 1
    refused = await reads.rejection_of_command(first.person_id, wrong.command_id, strong=True)
    assert refused.documents[0]["code"] == "version-mismatch"
    by_document = await reads.person_by_document("passport", first.data.document_id, strong=True)
    assert by_document.documents[0]["_id"] == first.person_id


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
async def test_an_unreachable_mongodb_is_ours_to_name(system, driver):
    settings = Settings(
        mongo_uri="mongodb://127.0.0.1:9/?replicaSet=x", amqp_url=system.rabbit.url, mongo_driver=driver
    )
    client = mongo.connect(settings, "tests")
    try:
        failures = await asyncio.gather(
            Reads(client, "x").check(), Store(client, "x").heads(["a"]), return_exceptions=True
        )
        assert [type(failure) for failure in failures] == [StoreUnavailable] * 2
    finally:
        await mongo.close(client)
