"""Rebuilding the read model, as an operator does; it is altered behind everybody's back."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

import httpx

from events.errors import Outdated
from events.log.event import GENESIS
from events.log.stored import event_document
from events.person.decider import PersonState, fold
from operations.rebuild.read_model import ReadModel
from query_api.reading.projection_check import ProjectionCheck
from service_kit.ids import new_id
from service_kit.milestones import MILESTONE_EVERY, MILESTONE_FORM
from service_kit.mongo.streams import state_at
from service_kit.read_model import PROJECTION, projection_name
from tests.chained import event
from tests.default_schema import write_schema
from tests.store.given import claim_names, create, delete, long_stream, run, streams, streams_of, update
from tests.store.log import Log, harm
from tests.system import ROOT, eventually
from workers.outcomes import PersonChange


async def document(log: Log, person_id: str):
    return await log.store._people.find_one({"_id": person_id})


async def test_what_differs_is_named_and_put_right_or_left_alone(log, tmp_path):
    ids = await log.fill()
    # An account is nobody of whom there should be a document.
    account = event("account:ada", 1, GENESIS, type="account.created", event_id=new_id())
    harm(log, lambda events: events.insert_one(event_document(account)))
    assert await log.differences() == set()
    # Those workers do not reserve e-mail addresses. Once they are unique, a rebuild makes up for it.
    log.environment["ROLLCALL_PERSON_SCHEMA"] = str(write_schema(tmp_path / "schema.json"))
    assert len(await log.differences()) == 9
    found, said = await log.rebuild()
    assert (found, "put right 9 claim missing" in said) == (set(), True)
    assert await log.differences() == set()

    stored = await streams(log.store, ids)
    long = [one for one in ids if len(stored[one]) == 3]
    double = [one for one in ids if len(stored[one]) == 2]
    short = [one for one in ids if len(stored[one]) == 1]
    stranger = new_id()

    def name(document_id: str) -> str:
        return claim_names().name("document", ["passport", document_id])

    names = {one: name(stored[one][0].data["document_id"]) for one in ids}
    soon, phone, later = name("SOON"), f"phone:1:{'0' * 64}", f"phone.9:1:{'0' * 64}"

    def people(people):
        people.delete_one({"_id": double[0]})
        people.insert_one({"_id": stranger, "version": 1, "hash": "x", "projection": 1, "deleted": True})
        people.update_one({"_id": double[1]}, {"$set": {"address": "elsewhere", "more": 1}})
        people.update_one({"_id": double[2]}, {"$set": {"version": 1, "hash": stored[double[2]][0].hash}})
        people.update_one({"_id": long[0]}, {"$unset": {"projection": 1}})
        people.update_one({"_id": short[0]}, {"$set": {"version": 9}})
        people.update_one({"_id": short[1]}, {"$set": {"projection": PROJECTION + 1}})

    def claims(claims):
        claims.delete_one({"_id": names[short[2]]})
        claims.insert_one({"_id": names[long[0]], "person_id": long[0], "version": 1})
        claims.insert_one({"_id": soon, "person_id": short[3], "version": 2})
        claims.update_one({"_id": names[short[4]]}, {"$set": {"person_id": short[5]}})
        claims.insert_one({"_id": f"email:1:{'0' * 64}", "person_id": short[5], "version": 1})
        # Of a kind that was given up, and of one that another schema is about to have.
        claims.insert_one({"_id": phone, "person_id": short[5], "version": 1})
        claims.insert_one({"_id": later, "person_id": short[5], "version": 1})

    def events(events):
        events.update_one({"person_id": long[1], "version": 2}, {"$set": {"data.address": "elsewhere"}})

    harm(log, people, "people")
    harm(log, claims, "claims")
    harm(log, events)
    kept = {(short[0], "ahead"), (short[1], "newer", "projection"), (long[1], "unreadable")}
    taken = {(short[4], "claim_taken", "document"), (short[5], "claim_stray", "document")}
    expected = {
        *kept,
        *taken,
        (double[0], "missing"),
        (stranger, "orphan"),
        (double[1], "changed", "address", "more"),
        (double[2], "stale", "hash", "version"),
        (long[0], "outdated", "projection"),
        (short[2], "claim_missing", "document"),
        (long[0], "claim_stray", "document"),
        (short[5], "claim_stray", "email"),
        (short[5], "claim_stray", "phone"),
    }

    async def all_are_found():
        return await log.differences() == expected

    await eventually(all_are_found)
    before = await document(log, long[1])
    # The claim that was moved goes from whom it is not, and to whom it is, in one run.
    kept.add((stranger, "orphan"))
    found, said = await log.rebuild()
    assert found == kept
    assert "1 claim taken" in said.partition("left alone")[0]
    assert await log.differences() == kept
    assert await document(log, long[1]) == before
    assert await document(log, stranger)
    # The last copy of a person goes on the operator's word alone.
    kept.remove((stranger, "orphan"))
    found, said = await log.rebuild("--drop-orphans")
    assert (found, "put right 1 orphan" in said) == (kept, True)
    assert not await document(log, stranger)
    assert await log.store._claims.find_one({"_id": soon})
    assert not await log.store._claims.find_one({"_id": phone})
    assert await log.store._claims.find_one({"_id": later})
    harm(log, lambda people: people.delete_one({"_id": short[0]}), "people")
    harm(log, lambda people: people.update_one({"_id": short[1]}, {"$set": {"projection": 0}}), "people")
    assert (await log.rebuild())[0] == {(long[1], "unreadable")}


async def test_milestones_are_made_again_and_strays_are_removed(log):
    one, other = [await long_stream(log.store, 2 * MILESTONE_EVERY + 5) for _ in range(2)]
    first, second = one[0].person_id, other[0].person_id
    gone = (await long_stream(log.store, MILESTONE_EVERY + 5))[0].person_id
    its = streams_of(log.store)
    for person_id in (first, second, gone):
        await its.extend_milestones(person_id, len(one))
    await run(log.store, delete(gone))  # and no worker has removed the milestone yet
    stranger = new_id()

    def milestones(milestones):
        milestones.delete_one({"person_id": first, "version": MILESTONE_EVERY})
        milestones.update_one({"person_id": second, "version": MILESTONE_EVERY}, {"$set": {"hash": "x"}})
        milestones.insert_one({"person_id": stranger, "form": MILESTONE_FORM, "version": MILESTONE_EVERY})
        milestones.insert_one({"person_id": first, "form": 1, "version": MILESTONE_EVERY})

    expected = {
        *((person_id, "milestone_stray") for person_id in (first, second, gone, stranger)),
        *((person_id, "milestone_missing") for person_id in (first, second)),
    }
    harm(log, milestones, "milestones")

    async def all_are_found():
        found = await log.differences()
        return {one for one in found if one[1].startswith("milestone")} == expected

    await eventually(all_are_found, within=30)
    found, said = await log.rebuild()
    assert {one for one in found if one[1].startswith("milestone")} == set()
    assert "2 milestone missing, 4 milestone stray" in said
    assert await state_at(its._find, second) == fold(second, other)
    assert await log.store._db["milestones"].count_documents({}) == 4


async def test_a_worker_that_comes_in_between_is_not_undone(log, monkeypatch):
    ids = await log.fill(4)
    stored = await streams(log.store, ids)
    other, missing = [one for one in ids if stored[one][-1].type != "person.deleted"][:2]
    harm(log, lambda people: people.update_one({"_id": other}, {"$set": {"address": "elsewhere"}}), "people")
    harm(log, lambda people: people.delete_one({"_id": missing}), "people")
    loop, came = asyncio.get_running_loop(), []

    def after_a_worker(write, person_id):
        def do(model, *args):
            if person_id not in came:
                came.append(person_id)
                working = run(log.store, update(person_id, address="Calle 9"))
                asyncio.run_coroutine_threadsafe(working, loop).result(30)
            return write(model, *args)

        return do

    monkeypatch.setattr(ReadModel, "replace", after_a_worker(ReadModel.replace, other))
    monkeypatch.setattr(ReadModel, "insert", after_a_worker(ReadModel.insert, missing))
    assert (await log.rebuild())[0] == set()
    assert sorted(came) == sorted([other, missing])
    for person_id in came:
        person = await document(log, person_id)
        assert (person["version"], person["address"]) == (len(stored[person_id]) + 1, "Calle 9")
    assert await log.differences() == set()


async def test_ended_in_the_middle_it_goes_on_and_nobody_sees_a_person_go_back(log, tmp_path):
    """Commands are applied meanwhile, a reader looks, and the read model was in an older form."""
    people = [create() for _ in range(1_500)]
    ids = [one.person_id for one in people]
    for begin in range(0, len(people), 500):
        await run(log.store, *people[begin : begin + 500])
    old = {"$unset": {"projection": 1}, "$set": {"address": "elsewhere"}}
    harm(log, lambda people: people.update_many({"_id": {"$in": ids}}, old), "people")
    harm(log, lambda people: people.delete_many({"_id": {"$in": ids[::50]}}), "people")
    lost, known, ending = set(ids[::50]), dict.fromkeys(ids, 1), asyncio.Event()

    async def commands():
        number = 0
        while not ending.is_set():
            number += 1
            some = ids[number % 90 :: 90]
            await run(
                log.store, *(update(one, address=f"Calle {number}") for one in some), create(), project=True
            )

    async def reader():
        while not ending.is_set():
            found = await log.store._people.find({}, {"version": 1}).to_list(None)
            seen = {one["_id"]: one["version"] for one in found}
            for one in ids:
                assert one in seen or one in lost, "a person was missing"
                assert seen.get(one, 1) >= known[one], "a person went back"
                if one in seen:
                    lost.discard(one)
                    known[one] = seen[one]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(commands()), group.create_task(reader())]
        try:
            await killed_in_the_middle(log)
            status, _, err = await log.command("rebuild", "--jobs", 2)
            assert status == 0, err
            assert "Going on with a rebuild that was ended" in err
        finally:
            ending.set()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert not lost
    assert await log.differences() == set()
    assert not log.resume_file.exists()


async def killed_in_the_middle(log: Log) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "operations", "rebuild", "--jobs", "2"),
        cwd=ROOT,
        env={**os.environ, **log.environment},
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def some_are_done() -> bool:
        with suppress(OSError):
            return len(json.loads(log.resume_file.read_text())["done"]) >= 5
        return False

    await eventually(some_are_done, pause=0.001)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert log.resume_file.exists(), "it was too quick to be ended"


async def test_two_at_once_do_no_harm(log):
    ids = await log.fill(300)
    harm(log, lambda people: people.delete_many({"_id": {"$in": ids[::2]}}), "people")
    await asyncio.gather(*(log.command("rebuild", "--jobs", 2) for _ in range(2)))
    assert await log.differences() == set()


async def readiness_says(check: ProjectionCheck) -> str:
    try:
        await check.check()
    except Outdated:
        return "closed"
    return "open"


async def what_is_not_ready(service) -> dict[str, str]:
    """Return the words of readiness once it answers, and is not ready."""

    async def parts():
        async with httpx.AsyncClient(base_url=service.url) as client:
            with suppress(httpx.TransportError):
                response = await client.get("/readyz")
                return response.status_code == 503 and response.json()["parts"]

    return await eventually(parts)


async def folded(log, ids) -> dict[str, PersonState]:
    return {
        person_id: fold(person_id, stream) for person_id, stream in (await streams(log.store, ids)).items()
    }


async def test_a_new_projection_is_rolled_out(log, system, mongo_clients, monkeypatch):
    """New workers, then a rebuild, then the query API: unready until all documents are new."""
    ids = await log.fill(8)
    old = {"$unset": {"projection": 1, "image_url": 1}}
    harm(log, lambda people: people.update_many({}, old), "people")
    database = log.address.database
    query_api = system.service("query_api", ROLLCALL_MONGO_DB=database)
    query_api.spawn()
    try:
        ready = await what_is_not_ready(query_api)
        needed = f"projection {projection_name(PROJECTION)}"
        assert ready["read_model"] == f"documents are older than {needed}: run `rollcall rebuild`"
        check = ProjectionCheck(mongo_clients["pymongo"], database)
        # A new worker writes a document anew that has its version, as when it is told again,
        states = await folded(log, ids)
        await log.store.project([PersonChange(None, states[ids[0]], is_new=False)])
        assert (await document(log, ids[0]))["projection"] == PROJECTION
        # and whole, where it would change a part of its own form.
        await run(log.store, update(ids[1], address="Calle 9"))
        person = await document(log, ids[1])
        assert (person["projection"], person["image_url"], person["address"]) == (PROJECTION, None, "Calle 9")
        assert (await log.rebuild())[0] == set()
        await query_api.wait_ready()
        assert await log.differences() == set()

        # An old worker leaves a document alone that has its version, and not a newer one's.
        states = await folded(log, ids)
        active = [one for one in ids if states[one].status == "active"]
        with monkeypatch.context() as patch:
            patch.setattr("service_kit.read_model.PROJECTION", 0)
            await log.store.project([PersonChange(None, states[active[0]], is_new=False)])
            assert (await document(log, active[0]))["projection"] == PROJECTION
            await run(log.store, update(active[0], address="Calle 10"))
        assert (await document(log, active[0]))["projection"] == 0
        assert await readiness_says(ProjectionCheck(mongo_clients["pymongo"], database)) == "closed"
        assert await log.differences() == {(active[0], "outdated", "projection")}
        assert (await log.rebuild())[0] == set()
        assert await readiness_says(check) == "open"
    finally:
        query_api.kill()
        system.services.remove(query_api)
