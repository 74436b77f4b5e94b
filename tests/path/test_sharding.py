"""What a sharded cluster must do with people: spread them, ask one shard for one, keep values unique."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from pymongo import MongoClient

from service_kit.ids import new_id
from tests.pictures import photo
from tests.store.given import NOW, create, run, store_in
from tests.system import eventually, new_person
from tests.witness import Seen, Witness

pytestmark = pytest.mark.parametrize("system", ["sharded"], indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}
FAN_OUT = {
    *("/people", "/people/export", "/imports/{import_id}/errors", "/events", "/dead-letters"),
    *("/accesses", "/people/{person_id}/accesses", "/people/{person_id}/report"),
}
"""The reads that ask every shard; a list has no other way, and one batch of access records is of many people.
Whoever adds one adds it here."""


@pytest.fixture
def witness(system) -> Iterator[Witness]:
    watching = Witness(system)
    yield watching
    watching.close()


def shards_of(seen: list[Seen], collection: str) -> set[str]:
    return {one.shard for one in seen if one.collection == collection}


async def test_people_and_events_spread_over_the_shards(system, mongo_clients):
    database = "spread"
    system.initialise(database)
    store = store_in(mongo_clients["pymongo"], database)
    for _ in range(8):
        await run(store, *(create() for _ in range(500)))
    witness = Witness(system, database)
    try:
        for collection in ("people", "events", "claims"):
            counts = [
                direct[database][collection].count_documents({})
                for (_, index), direct in witness.members.items()
                if index == 0
            ]
            assert sum(counts) == 4_000
            assert all(1_600 <= count <= 2_400 for count in counts), (collection, counts)
    finally:
        witness.close()


async def test_every_write_of_a_person_goes_to_one_shard(witness, commands):
    homes = set()
    await commands.post("/people", json=new_person(), headers=WAIT)  # by then the feed is reconciled
    for _ in range(40):  # each falls on one of two shards
        with witness.watching() as seen:
            person = (await commands.post("/people", json=new_person(), headers=WAIT)).json()
            path = f"/people/{person['id']}"
            await commands.patch(path, json={"address": "Calle 1"}, headers=WAIT)
            await commands.patch(path, json={"address": "x"}, headers={**WAIT, "If-Match": '"9"'})
            await commands.delete(path, headers=WAIT)
        (home,) = shards_of(seen, "people")
        homes.add(home)
        for collection in ("events", "rejections", "parked"):
            assert shards_of(seen, collection) == {home}
        writes = Counter((one.collection, one.verb) for one in seen)
        assert writes["events", "insert"] == 3
        assert writes["people", "insert"] + writes["people", "update"] == 3
        assert writes["rejections", "insert"] == 1
        # A document and an e-mail address, each at home where its own name is.
        assert writes["claims", "insert"] in (1, 2)
        assert writes["claims", "delete"] == 2
        if len(homes) == 2:
            return
    raise AssertionError(f"40 people, all on {homes}")


@pytest.fixture
def parked(system) -> Iterator[str]:
    """The id of somebody of whom a command waits."""
    waiting = {
        "person_id": new_id(),
        "command_id": new_id(),
        "position": 1,
        "type": "person.delete",
        "actor": "ada",
        "body": b"{}",
        "reason": "ValueError",
        "detail": "ValueError",
        "attempts": 1,
        **dict.fromkeys(("accepted_at", "parked_at", "tried_at"), NOW),
    }
    with MongoClient(system.mongo.uri) as client:
        client["rollcall"]["parked"].insert_one(dict(waiting))
        yield waiting["person_id"]
        client["rollcall"]["parked"].delete_one({"person_id": waiting["person_id"]})


async def test_only_lists_ask_every_shard(witness, queries, commands, worker, parked):
    answer = await commands.post("/people", json=new_person(), headers=WAIT)
    person, command_id = answer.json(), answer.headers["x-command-id"]
    ndjson = {"Content-Type": "application/x-ndjson"}
    imported = (await commands.post("/people/import", content=b"{}\n", headers=ndjson)).json()["import_id"]

    async def everywhere():
        status = f"/people/{person['id']}/commands/{command_id}"
        paths = status, f"/dead-letters/{parked}", f"/imports/{imported}"
        return all([(await queries.get(path)).status_code == 200 for path in paths])

    await eventually(everywhere)
    targets = {
        "/people": "/people?limit=5&count=true",
        "/people/{person_id}": f"/people/{person['id']}?min_version=1",
        "/people/by-document/{document_type}/{document_id}": (
            f"/people/by-document/{person['document_type']}/{person['document_id']}"
        ),
        "/people/by-email/{email}": f"/people/by-email/{person['email']}",
        "/people/{person_id}/commands/{command_id}": f"/people/{person['id']}/commands/{command_id}",
        "/people/{person_id}/history": f"/people/{person['id']}/history?include=rejected&limit=1",
        "/events": "/events?limit=5",
        "/people/export": "/people/export",
        "/imports/{import_id}": f"/imports/{imported}",
        "/imports/{import_id}/errors": f"/imports/{imported}/errors",
        "/dead-letters": "/dead-letters?limit=5",
        "/dead-letters/{person_id}": f"/dead-letters/{parked}?limit=5",
        "/accesses": "/accesses?limit=5",
        "/people/{person_id}/accesses": f"/people/{person['id']}/accesses?limit=5",
        "/people/{person_id}/report": f"/people/{person['id']}/report",
    }
    document = (await queries.get("/openapi.json")).json()
    operations = {"/healthz", "/readyz", "/metrics", "/schema"}  # they ask no member
    operations |= {"/events/stream", "/events/stream/tickets", "/events/open"}  # nor do these
    operations |= {"/images/{image_id}", "/images/{image_id}/thumbnail"}  # the next test's
    assert set(document["paths"]) - operations == set(targets), "a route is missing here"
    wide: dict[str, set[str]] = {}

    async def only_on(roles: set[str], asked: str) -> list[Seen]:
        """Return what a read did, unless members of other roles noted something: of the read before, late."""
        with witness.watching() as seen:
            response = await queries.get(asked)
        assert response.status_code == 200, response.text
        return seen if {one.role for one in seen} == roles else []

    with worker.paused():  # which reads the whole log when it takes over a partition
        for route, target in targets.items():
            for consistency in ("eventual", "strong"):
                asked = f"{target}{'&' if '?' in target else '?'}consistency={consistency}"
                roles = {"primary"} if consistency == "strong" else {"secondary"}
                if route == "/people/{person_id}/report":
                    roles = {"primary"}  # what a person is told is whole
                if route == "/imports/{import_id}/errors":
                    roles.add("primary")  # it also says of all other rows that they were not refused
                seen = await eventually(lambda asked=asked, roles=roles: only_on(roles, asked))
                collections = {one.collection for one in seen}
                if several := {one for one in collections if len(shards_of(seen, one)) > 1}:
                    wide[route] = several
    assert wide.keys() == FAN_OUT, wide


async def test_an_image_is_read_from_one_shard_s_secondary(witness, queries, commands):
    person = (await commands.post("/people", json=new_person(), headers=WAIT)).json()
    changed = await commands.patch(
        f"/people/{person['id']}/image", files={"file": ("x", photo())}, headers=WAIT
    )

    async def asked_for(url):
        with witness.watching() as seen:
            assert (await queries.get(url)).status_code == 200
        return seen

    for url in (changed.json()["image_url"], changed.json()["thumbnail_url"]):

        async def by_secondaries(url=url):
            seen = await asked_for(url)
            # A worker may count an import meanwhile, or a lag be on record: then it is looked at again.
            if {(one.collection, one.role) for one in seen} != {
                ("images.files", "secondary"),
                ("images.chunks", "secondary"),
            }:
                return False
            assert len({one.shard for one in seen if one.collection == "images.files"}) == 1
            assert len({one.shard for one in seen if one.collection == "images.chunks"}) == 1
            return True

        await eventually(by_secondaries)


async def test_reads_move_the_secondaries_counters_and_not_the_primaries(witness, queries, commands):
    people = [(await commands.post("/people", json=new_person(), headers=WAIT)).json() for _ in range(10)]
    before = witness.reads("people")
    for person in people * 4:
        await queries.get(f"/people/{person['id']}")
    for _ in range(10):
        await queries.get("/people?limit=5")
    moved = {member: count - before[member] for member, count in witness.reads("people").items()}
    by_role: Counter[str] = Counter()
    for member, count in moved.items():
        by_role[witness.role(member)] += count
    assert by_role["primary"] == 0, moved
    assert by_role["secondary"] >= 40 + 2 * 10, moved


async def test_one_document_for_many_clients_at_once_is_one_person(system, commands):
    async with system.running("workers") as second:
        assert second.process is not None
        for _ in range(3):
            body = new_person()
            rivals = [
                {**new_person(), "document_type": body["document_type"], "document_id": body["document_id"]}
                for _ in range(24)
            ]
            answers = await asyncio.gather(
                *(commands.post("/people", json=rival, headers=WAIT) for rival in rivals)
            )
            assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 23}


async def test_a_cluster_initialised_again_is_not_changed(system):
    assert system.initialise() == []
