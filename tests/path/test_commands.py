"""The way of a command, from the command API to what the query API shows of it."""

from uuid import UUID

import httpx
import pytest
from pymongo import MongoClient

from service_kit.mongo.collections import keys_database
from service_kit.mongo.keys import key_in
from service_kit.seals.kek import Keks
from service_kit.seals.opening import open_document
from service_kit.seals.wrapping import KEYS
from tests.system import TEST_KEKS, eventually, new_person

WAIT = {"Prefer": "wait=10"}


async def create(commands: httpx.AsyncClient, **changes: str) -> dict:
    response = await commands.post("/people", json=new_person(**changes), headers=WAIT)
    assert response.status_code == 201, response.text
    return response.json()


async def test_an_accepted_person_is_soon_read_from_a_secondary(system, commands, queries):
    body = new_person(first_name="Zoé", last_name="Ñáñez")
    response = await commands.post("/people", json=body)

    assert response.status_code == 202
    accepted = response.json()
    assert accepted["status"] == "accepted"
    assert UUID(accepted["person_id"]).version == 7
    assert response.headers["location"] == (
        f"/people/{accepted['person_id']}/commands/{accepted['command_id']}"
    )

    member = "(router)" if system.routed else "(secondary)"

    async def visible():
        answer = await queries.get(f"/people/{accepted['person_id']}")
        # What a secondary does not have yet, or may not be asked while one lags, is the primary's to answer.
        there = answer.status_code == 200 and answer.headers["x-read-from"].endswith(member)
        return answer if there else None

    answer = await eventually(visible)
    assert answer.headers["etag"] == '"1"'
    person = answer.json()
    assert person["id"] == accepted["person_id"]
    assert (person["version"], person["first_name"], person["last_name"]) == (1, "Zoé", "Ñáñez")
    status = (await queries.get(response.headers["location"])).json()
    assert (status["status"], status["version"]) == ("applied", 1)


async def test_a_create_that_waits_answers_with_the_person(commands):
    response = await commands.post("/people", json=new_person(), headers=WAIT)

    assert response.status_code == 201
    assert response.headers["etag"] == '"1"'
    assert response.headers["preference-applied"] == "wait=10"
    assert response.json()["version"] == 1


async def test_a_body_of_the_replaced_systems_is_accepted_as_it_is(commands):
    body = new_person(
        document_type="Tarjeta de identidad",
        first_name="  María   José ",
        last_name="Gómez",
        birth_date="10-12-1990",
        gender="Prefiero no decir",
        email="Maria.Gomez@EXAMPLE.com",
        phone="300 123 4567",
    )
    body |= {"middle_name": ""}
    response = await commands.post("/people", json=body, headers=WAIT)

    assert response.status_code == 201, response.text
    person = response.json()
    assert person["document_type"] == "identity_card"
    assert person["first_name"] == "María José"
    assert person["middle_name"] is None
    assert person["birth_date"] == "1990-12-10"
    assert person["gender"] == "undisclosed"
    assert person["email"] == "maria.gomez@example.com"
    assert person["phone"] == "+573001234567"


async def test_a_merge_patch_changes_removes_and_leaves(commands, queries):
    person = await create(commands, occupation="Engineer", address="Calle 1")
    response = await commands.patch(
        f"/people/{person['id']}",
        json={"occupation": None, "last_name": "Ríos"},
        headers={**WAIT, "Content-Type": "application/merge-patch+json", "If-Match": '"1"'},
    )

    assert response.status_code == 200, response.text
    assert response.headers["etag"] == '"2"'
    patched = response.json()
    assert patched == {
        **person,
        "version": 2,
        "occupation": None,
        "last_name": "Ríos",
        "updated_at": patched["updated_at"],
    }
    read = await queries.get(f"/people/{person['id']}", params={"min_version": 2})
    assert read.json() == patched


async def test_another_version_is_refused_and_recorded(commands, queries):
    person = await create(commands)
    spanish, detail = {"Accept-Language": "es"}, "la persona está en la versión 1, no en 7"
    headers = {**WAIT, "If-Match": '"7"', **spanish}
    response = await commands.patch(f"/people/{person['id']}", json={"gender": "F"}, headers=headers)

    assert response.status_code == 412
    assert response.json()["type"] == "urn:rollcall:problem:version-mismatch"
    assert (response.json()["title"], response.json()["detail"]) == ("Otra versión", detail)

    later = await commands.patch(f"/people/{person['id']}", json={"gender": "F"}, headers={"If-Match": '"7"'})

    async def rejected():
        status = await queries.get(later.headers["location"], headers=spanish)
        return status.json() if status.status_code == 200 else None

    status = await eventually(rejected)
    assert (status["status"], status["reason"], status["detail"]) == ("rejected", "version-mismatch", detail)


async def test_a_second_person_with_the_document_is_refused_until_the_first_is_deleted(commands):
    first = await create(commands)
    taken = new_person(document_type=first["document_type"], document_id=first["document_id"])

    response = await commands.post("/people", json=taken, headers=WAIT)
    assert response.status_code == 409
    assert response.json()["type"] == "urn:rollcall:problem:duplicate-document"

    gone = await commands.delete(f"/people/{first['id']}", headers=WAIT)
    assert gone.status_code == 200
    assert gone.json() == {"id": first["id"], "version": 2, "deleted": True}

    response = await commands.post("/people", json=taken, headers=WAIT)
    assert response.status_code == 201


async def test_an_email_is_unique_when_the_schema_says_so(commands):
    first = await create(commands)
    response = await commands.post("/people", json=new_person(email=first["email"]), headers=WAIT)

    assert response.status_code == 409
    assert response.json()["type"] == "urn:rollcall:problem:duplicate-email"
    # The refused person's document is free again.
    freed = new_person()
    refused = await commands.post("/people", json={**freed, "email": first["email"]}, headers=WAIT)
    assert refused.status_code == 409
    assert (await commands.post("/people", json=freed, headers=WAIT)).status_code == 201


async def test_an_update_moves_the_claim_to_the_new_document(commands):
    first, second = await create(commands), await create(commands)
    patch = {"document_id": second["document_id"], "document_type": second["document_type"]}
    response = await commands.patch(f"/people/{first['id']}", json=patch, headers=WAIT)
    assert response.status_code == 409

    moved = await commands.patch(
        f"/people/{first['id']}", json={"document_id": new_person()["document_id"]}, headers=WAIT
    )
    assert moved.status_code == 200
    old = new_person(document_type=first["document_type"], document_id=first["document_id"])
    assert (await commands.post("/people", json=old, headers=WAIT)).status_code == 201


async def test_a_deleted_person_leaves_nothing_personal(commands, queries, system):
    person = await create(commands)
    await commands.delete(f"/people/{person['id']}", headers=WAIT)

    read = await queries.get(f"/people/{person['id']}", params={"consistency": "strong"})
    assert read.status_code == 404
    assert read.json()["type"] == "urn:rollcall:problem:person-not-found"
    with MongoClient(system.mongo.uri) as client:
        tombstone = client["rollcall"]["people"].find_one({"_id": person["id"]})
    assert set(tombstone) == {"_id", "version", "hash", "projection", "deleted"}
    again = await commands.delete(f"/people/{person['id']}", headers=WAIT)
    assert again.status_code == 404


@pytest.mark.parametrize("method", ["patch", "delete"])
async def test_an_unknown_person_is_not_found(commands, method):
    arguments = {"json": {"gender": "M"}} if method == "patch" else {}
    response = await getattr(commands, method)(
        "/people/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c", headers=WAIT, **arguments
    )
    assert response.status_code == 404


async def test_a_retry_with_the_same_key_is_the_same_command(commands, queries):
    body, headers = new_person(), {"Idempotency-Key": "order-17"}
    first = await commands.post("/people", json=body, headers=headers)
    again = await commands.post("/people", json=body, headers={**headers, **WAIT})
    third = await commands.post("/people", json=body, headers=headers)

    assert first.json() == third.json()
    assert again.status_code == 201
    assert again.json()["id"] == first.json()["person_id"]
    assert again.json()["version"] == 1


async def test_a_repeated_refusal_stays_refused_though_it_would_now_pass(commands):
    first = await create(commands)
    taken = new_person(document_type=first["document_type"], document_id=first["document_id"])
    headers = {**WAIT, "Idempotency-Key": "once-refused"}
    assert (await commands.post("/people", json=taken, headers=headers)).status_code == 409
    await commands.delete(f"/people/{first['id']}", headers=WAIT)
    assert (await commands.post("/people", json=taken, headers=headers)).status_code == 409


async def test_keys_belong_to_subject_and_route(commands, system, services):
    headers = {"Idempotency-Key": "shared", **WAIT}
    mine = await commands.post("/people", json=new_person(), headers=headers)
    async with system.client(services["command_api"], system.token(subject="other")) as other:
        theirs = await other.post("/people", json=new_person(), headers=headers)
    assert theirs.status_code == 201
    assert mine.json()["id"] != theirs.json()["id"]


async def test_the_event_carries_actor_trace_and_times(commands, system):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {**WAIT, "traceparent": trace, "X-Correlation-Id": "batch-9", "User-Agent": "probe/1"}
    person = (await commands.post("/people", json=new_person(), headers=headers)).json()
    with MongoClient(system.mongo.uri, tz_aware=True) as client:
        event = client["rollcall"]["events"].find_one({"person_id": person["id"]})
        row = client[keys_database("rollcall")][KEYS].find_one({"_id": person["id"]})
    assert not {"user_agent", "source_address"} & event.keys()
    opened = open_document(event, key_in(row, Keks(TEST_KEKS)))
    assert event["actor"] == "tester"
    assert event["traceparent"] == trace
    assert event["correlation_id"] == "batch-9"
    assert opened["user_agent"] == "probe/1"
    assert opened["source_address"] == "127.0.0.1"
    assert event["schema"] == 2
    assert event["accepted_at"] <= event["applied_at"]


async def test_not_decided_in_time_answers_202(commands, system, worker):
    with system.locked():
        response = await commands.post("/people", json=new_person(), headers={"Prefer": "wait=1"})
    assert response.status_code == 202
    assert "preference-applied" not in response.headers
