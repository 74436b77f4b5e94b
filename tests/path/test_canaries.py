"""A person's values go the whole way, with a failure at each step, and stand nowhere that they should not."""

import asyncio
import base64
import contextlib
import json

import aio_pika
import httpx
import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from service_kit.broker.connection import connect
from service_kit.broker.topology import COMMANDS, DEAD, partition_of
from service_kit.ids import new_id
from subscriber import subscribe
from tests.canaries import CANARIES, PERSON, PLAIN, documents_of, found_in, logs_of
from tests.people_files import finished
from tests.pictures import photo
from tests.system import eventually, person

WAIT = {"Prefer": "wait=20"}
SLOW = "function() { sleep(250); return false; }"


@pytest.fixture(scope="module")
def told() -> dict[str, httpx.Response]:
    """The answers that tell what is wrong."""
    return {}


@pytest.fixture(scope="module")
async def canary(system, services, commands, queries, told) -> str:
    """The path of a person who has gone the whole way."""
    created = await commands.post("/people", json=PERSON, headers=WAIT)
    assert created.status_code == 201, created.text
    path = f"/people/{created.json()['id']}"
    picture = await commands.patch(f"{path}/image", files={"file": photo()}, headers=WAIT)
    assert picture.status_code == 200
    await commands.patch(path, json={"occupation": None}, headers=WAIT)
    back = await commands.post(f"{path}/revert", json={"to_version": 1}, headers=WAIT)
    assert back.json()["occupation"] == PERSON["occupation"]
    await _refused_requests(commands, queries, told)
    await _failed_import(commands, queries, told)
    return path


async def _refused_requests(commands, queries, told) -> None:
    told["document taken"] = await commands.post("/people", json=PERSON, headers=WAIT)
    wrong = {**PERSON, "email": f"{PERSON['email']}@", "birth_date": f"{PERSON['birth_date']}x"}
    told["values refused"] = await commands.post("/people", json=wrong)
    told["no JSON"] = await commands.post("/people", content=json.dumps(PERSON)[:-1])
    told["no such route"] = await commands.post(f"/people/{PERSON['email']}/none", json=PERSON)
    document = {"document_type": PERSON["document_type"], "document_id": f"0{PERSON['document_id']}"}
    told["nobody has it"] = await queries.get("/people/by-document", params=document)
    for name in ("limit", "cursor", "created_from", "sort", "min_version"):
        told[f"wrong {name}"] = await queries.get("/people", params={name: PERSON["last_name"]})
    for name in ("If-Match", "X-Correlation-Id", "Idempotency-Key"):
        told[f"wrong {name}"] = await commands.post(
            "/people", json=person(1), headers={name: f"{PERSON['email']} x"}
        )
    told["searched"] = await queries.get("/people", params={"q": PERSON["last_name"], "limit": "x"})


async def _failed_import(commands, queries, told) -> None:
    rows = [{PERSON["first_name"]: 1}, {**PERSON, "email": PERSON["address"]}, PERSON]
    content = "\n".join(map(json.dumps, rows)) + '\n{"Canaryzoe":1,"Canaryzoe":2}\n'
    told["import"] = await commands.post(
        "/people/import", content=content, headers={"Content-Type": "application/x-ndjson"}
    )
    import_id = told["import"].headers["location"].rpartition("/")[2]
    assert (await finished(queries, import_id))["rejected"] == 4
    errors = await queries.get(f"/imports/{import_id}/errors", params={"consistency": "strong"})
    assert {json.loads(line)["row"] for line in errors.text.splitlines()} == {1, 2, 3, 4}
    told["import's errors"] = errors


def clean(places: dict[str, bytes]) -> dict[str, set[str]]:
    return {name: values for name, content in places.items() if (values := found_in(content))}


async def test_the_search_finds_what_is_there(system, canary):
    assert found_in(documents_of(system)["people"]) == set(CANARIES)
    for shift in range(3):
        text = json.dumps({"x": "y" * shift, **PERSON}, ensure_ascii=False).encode()
        assert found_in(base64.b64encode(text)) == set(CANARIES)


async def test_no_problem_repeats_a_value(canary, told):
    assert {one.status_code for one in told.values()} <= {200, 202, 400, 404, 405, 409, 412, 422}
    bodies = {name: one.content + str(one.headers).encode() for name, one in told.items()}
    assert clean(bodies) == {}


async def test_no_metric_has_a_value(services, canary):
    async with httpx.AsyncClient() as client:
        metrics = {name: (await client.get(f"{one.url}/metrics")).content for name, one in services.items()}
    assert all(metrics.values()) and clean(metrics) == {}


async def test_what_mongod_calls_slow_tells_no_value(system, canary):
    before = clean(logs_of(system))
    for each in system.sets:
        with MongoClient(each.uri) as client:
            people = client["rollcall"].get_collection("people", write_concern=WriteConcern(1))
            values = {"email": PERSON["email"], "first_name": PERSON["first_name"]}
            slow = {**values, "$where": SLOW}
            with contextlib.suppress(PyMongoError):
                people.find_one(slow)
            with contextlib.suppress(PyMongoError):
                people.update_one({**values, "$where": SLOW}, {"$set": {"address": PERSON["address"]}})
            status = client["rollcall"].command("profile", -1)
            assert (status["was"], status["slowms"]) == (0, 2**31 - 1)
    assert clean(logs_of(system)) == before == {}


async def test_a_letter_that_nobody_can_read_or_handle_says_where_and_not_what(system, services, canary):
    async def raises(event):
        raise ValueError(f"{event} {PERSON['email']}")

    number = new_id()
    body = json.dumps({"id": number, "type": "person.update", "subject": "x", "data": PERSON}).encode()
    async with await connect(system.rabbit.url, "tests") as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(COMMANDS, ensure=False)
        await exchange.publish(aio_pika.Message(body, message_id=number), str(partition_of(number, 64) % 4))
        dead = await channel.get_queue(DEAD, ensure=False)
        task = asyncio.create_task(
            subscribe(system.rabbit.url, "canary", raises, topics=["person.*"], attempts=1)
        )
        try:
            async with system.client(services["command_api"]) as commands:

                async def given_up():
                    await commands.patch(canary, json={"address": new_id()}, headers=WAIT)
                    # Where there is no queue yet, the broker closes the channel.
                    with contextlib.suppress(aio_pika.exceptions.ChannelClosed):
                        own = await connection.channel()
                        queue = await own.get_queue("events.canary.dead", ensure=False)
                        return await queue.get(fail=False, no_ack=True)

                letter = await eventually(given_up, pause=0.5)
                assert letter.headers["x-rollcall-reason"].startswith("ValueError at test_canaries.py:")
                unreadable = await eventually(lambda: dead.get(fail=False))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        headers = {"subscriber's": letter.headers, "unreadable": unreadable.headers}
        assert clean({name: str(one).encode() for name, one in headers.items()}) == {}
        await unreadable.ack()
        for name in ("events.canary", "events.canary.dead"):
            await channel.queue_delete(name)


async def test_no_log_and_no_collection_has_a_value_that_may_not_be_there(system, canary):
    assert clean(logs_of(system)) == {}
    documents = documents_of(system)
    assert clean({name: one for name, one in documents.items() if name not in PLAIN}) == {}
