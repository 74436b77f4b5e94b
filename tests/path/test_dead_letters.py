"""Parked people and unreadable messages, as clients and operators meet them, through all processes."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import aio_pika
import httpx
import pytest
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from events.person.commands import UpdatePerson
from events.times import to_milliseconds
from operations.__main__ import main
from service_kit.broker.topology import (
    COMMANDS,
    DEAD,
    EVENTS_AGAIN,
    partition_of,
    partition_queue,
    subscriber_queues,
)
from service_kit.ids import new_id
from tests.canaries import documents_of
from tests.default_schema import PersonChanges
from tests.system import eventually, new_person
from tests.transport import key_in, sealed

WAIT = {"Prefer": "wait=20"}
SOMEBODY = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"


@pytest.fixture
def operator(system, monkeypatch, capsys):
    """Runs `dead-letters` as an operator does; returns what it said."""
    for name, value in system.environment().items():
        monkeypatch.setenv(name, value)

    async def run(*words: str, status: int = 0) -> list[str]:
        capsys.readouterr()
        ended = await asyncio.to_thread(main, ["dead-letters", *words])
        said = "".join(capsys.readouterr())
        assert ended == status, said
        return said.splitlines()

    return run


def set_created(system, person_id: str, text: str) -> None:
    with MongoClient(system.mongo.uri) as client:
        # The worker reads what a majority has.
        people = client["rollcall"].get_collection("people", write_concern=WriteConcern("majority"))
        changed = people.update_one({"_id": person_id}, {"$set": {"created_at": text}})
    assert changed.modified_count == 1


async def damaged(system, services, commands) -> dict:
    """Return a new person whose head cannot be read."""
    person = (await commands.post("/people", json=new_person(), headers=WAIT)).json()

    async def finished() -> bool:
        """Until it has logged a batch, the worker has its people in memory."""
        return person["id"] in services["workers"].words()

    await eventually(finished)
    set_created(system, person["id"], "no time")
    return person


async def gauges(services) -> dict[str, float]:
    async with httpx.AsyncClient() as client:
        texts = [
            (await client.get(f"{services[name].url}/metrics")).text for name in ("query_api", "workers")
        ]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("rollcall_parked")]
    return {name: float(value) for name, _, value in (line.partition(" ") for line in lines)}


async def versions(queries, person_id: str) -> list[str]:
    page = await queries.get(f"/people/{person_id}/history?consistency=strong")
    return [entry["command_id"] for entry in reversed(page.json()["items"])]


async def test_a_damaged_person_waits_while_others_go_on_and_is_applied_in_order_once_repaired(
    system, services, commands, queries, operator
):
    well = (await commands.post("/people", json=new_person(), headers=WAIT)).json()
    before = await gauges(services)
    ill = await damaged(system, services, commands)
    path, sent = f"/people/{ill['id']}", []
    for number in range(4):
        answer = await commands.patch(path, json={"address": f"Calle {number}"}, headers=WAIT)
        assert (answer.status_code, answer.json()["status"]) == (202, "parked")
        assert "preference-applied" not in answer.headers
        sent.append(answer.json()["command_id"])
        other = await commands.patch(f"/people/{well['id']}", json={"address": f"{number}"}, headers=WAIT)
        assert (other.status_code, other.json()["version"]) == (200, number + 2)

    for command_id, reason in ((sent[0], "ValueError"), (sent[1], "waits-behind")):
        status = (await queries.get(f"{path}/commands/{command_id}?consistency=strong")).json()
        assert (status["status"], status["reason"]) == ("parked", reason)
    (parked,) = await _people(queries, ill["id"])
    assert (parked["waiting"], parked["attempts"], parked["command_id"]) == (4, 1, sent[0])
    assert parked["detail"].startswith("ValueError at service_kit/read_model.py:")
    page = await queries.get(f"/dead-letters/{ill['id']}?limit=3&consistency=strong")
    rest = await queries.get(httpx.URL(page.links["next"]["url"]))
    items = page.json()["items"] + rest.json()["items"]
    assert [item["command_id"] for item in items] == sent
    assert json.loads(items[3]["message"])["data"] == {"address": "Calle 3"}
    blind = {"Authorization": f"Bearer {system.token('ops')}"}
    page = await queries.get(f"/dead-letters/{ill['id']}?consistency=strong", headers=blind)
    assert [item["message"] for item in page.json()["items"]] == [None] * 4
    assert b"Calle 3" not in documents_of(system)["parked"]
    after = await gauges(services)
    assert after["rollcall_parked_people"] >= 1
    assert after["rollcall_parked_commands"] >= 4
    counted = 'rollcall_parked_total{reason="ValueError"}'
    assert after[counted] == before.get(counted, 0) + 1

    dropped = await commands.delete(f"/dead-letters/{ill['id']}/{sent[2]}")
    assert dropped.status_code == 202
    await eventually(lambda: _status(queries, path, sent[2], "rejected"))
    assert (await queries.get(f"{path}/commands/{sent[2]}?consistency=strong")).json()["reason"] == "dropped"
    said = await operator("retry", ill["id"], status=1)
    assert said[0].startswith(
        f"Person {ill['id']}: still parked, after 2 attempts: ValueError at service_kit/read_model.py:"
    )

    set_created(system, ill["id"], ill["created_at"])
    sent.append((await commands.patch(path, json={"address": "last"})).json()["command_id"])
    asked = await commands.post(f"/dead-letters/{ill['id']}/retry")
    assert asked.status_code == 202
    assert asked.headers["location"] == f"/dead-letters/{ill['id']}"
    await eventually(lambda: _status(queries, path, sent[4], "applied"))
    await eventually(lambda: _free(queries, ill["id"]))
    assert (await versions(queries, ill["id"]))[1:] == [sent[0], sent[1], sent[3], sent[4]]
    person = (await queries.get(f"{path}?consistency=strong")).json()
    assert (person["version"], person["address"], person["created_at"]) == (5, "last", ill["created_at"])
    assert await _people(queries, ill["id"]) == []
    await eventually(lambda: _logged(services["workers"], ill["id"], "parked", "waits", "dropped", "retried"))
    assert "no time" not in services["workers"].words()


async def _free(queries, person_id: str) -> bool:
    """Return whether nothing waits; a command leaves the line after its effects are made."""
    return (await queries.get(f"/dead-letters/{person_id}?consistency=strong")).status_code == 404


async def _logged(worker, person_id: str, *events: str) -> bool:
    lines = [json.loads(line) for line in worker.words().splitlines() if person_id in line]
    return {line["event"] for line in lines} >= set(events)


async def _status(queries, path: str, command_id: str, status: str) -> bool:
    found = await queries.get(f"{path}/commands/{command_id}?consistency=strong")
    return found.status_code == 200 and found.json()["status"] == status


async def _people(queries, person_id: str) -> list[dict]:
    """Find a person in the list, a page at a time."""
    found, url = [], "/dead-letters?limit=1&consistency=strong"
    while url:
        page = await queries.get(url)
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        url = page.links.get("next", {}).get("url")
    return [one for one in found if one["person_id"] == person_id]


async def test_an_operator_lists_shows_and_drops_from_the_command_line(system, services, commands, operator):
    ill = await damaged(system, services, commands)
    answer = await commands.delete(f"/people/{ill['id']}", headers=WAIT)
    command_id = answer.json()["command_id"]
    listed = await operator("list")
    assert listed[0].split() == ["PARKED", "PERSON", "WAITING", "SINCE", "ATTEMPTS", "REASON"]
    assert any(row.split()[:2] == [ill["id"], "1"] for row in listed)
    (shown,) = [json.loads(row) for row in await operator("show", ill["id"], "--json")]
    assert (shown["command_id"], shown["type"], shown["actor"]) == (command_id, "person.delete", "tester")
    assert await operator("drop", ill["id"], new_id(), status=1)
    assert await operator("drop", ill["id"], command_id, "--actor", "grace") == [
        f"Person {ill['id']}: dropped; nothing waits any more."
    ]
    assert await operator("show", ill["id"], status=1) == [f"nothing waits of a person {ill['id']}"]
    set_created(system, ill["id"], ill["created_at"])
    again = await commands.patch(f"/people/{ill['id']}", json={"address": "free"}, headers=WAIT)
    assert again.status_code == 200


async def test_an_unreadable_message_is_listed_shown_handed_in_again_and_deleted(system, commands, operator):
    mark = new_id()
    body = json.dumps({"specversion": "1.0", "type": "person.explode", "id": mark}).encode()
    connection = await aio_pika.connect(system.rabbit.url)
    async with connection, connection.channel() as channel:
        exchange = await channel.get_exchange(COMMANDS)
        await exchange.publish(aio_pika.Message(body, message_id=mark, delivery_mode=2), "5")

    async def listed() -> dict | None:
        page = (await commands.get("/dead-letters/messages")).json()
        return next((one for one in page["items"] if one["message_id"] == mark), None)

    first = await eventually(listed)
    assert first["queue"] == "commands.5"
    assert first["reason"]
    assert first["time"].endswith("Z")
    for _ in range(30):  # more looks than RabbitMQ 4's default delivery limit
        assert await listed() == first
    path = f"/dead-letters/messages/{first['id']}"
    kept = (await commands.get(path)).json()
    assert kept == {**first, "body": kept["body"]}
    assert json.loads(kept["body"]).keys() >= {"transportkey", "data_base64"}
    assert mark not in kept["body"].replace(f'"id":"{mark}"', "")
    (shown,) = [json.loads(row) for row in await operator("show", first["id"], "--json")]
    assert shown == {**first, "body": body.decode()}
    assert (await commands.post(f"{path}/retry")).json()["status"] == "published"

    async def back() -> bool:
        again = await listed()
        return again is not None and again["time"] > first["time"]

    await eventually(back)
    rows = [json.loads(row) for row in await operator("list", "--json")]
    assert [row["kind"] for row in rows if row.get("message_id") == mark] == ["message"]
    assert await operator("drop", first["id"]) == [f"Message {first['id']} is deleted."]
    assert await listed() is None
    assert (await commands.delete(path)).status_code == 404
    assert await operator("show", first["id"], status=1)


def an_update(person_id: str, seconds: int, **changes) -> UpdatePerson:
    """Return a command that was accepted so many seconds from now."""
    command_id = new_id()
    return UpdatePerson(
        command_id=command_id,
        person_id=person_id,
        accepted_at=to_milliseconds(datetime.now(UTC) + timedelta(seconds=seconds)),
        actor="tester",
        correlation_id=command_id,
        data=PersonChanges(**changes),
    )


async def bury(system, *bodies: bytes, exchange: str = DEAD, key: str = "", **headers: str) -> None:
    """Put messages where the dead ones are, as the worker or a subscriber does."""
    connection = await aio_pika.connect(system.rabbit.url)
    async with connection, connection.channel() as channel:
        to = await channel.get_exchange(exchange) if exchange else channel.default_exchange
        headers = {"x-rollcall-reason": "delivered too often", **headers}
        for body in bodies:
            await to.publish(aio_pika.Message(body, delivery_mode=2, headers=headers), key)


async def test_dead_commands_are_retried_in_order_and_never_put_over_newer_values(
    system, services, commands, queries, operator
):
    made = [(await commands.post("/people", json=new_person(), headers=WAIT)).json() for _ in range(2)]
    ana, ben = (person["id"] for person in made)
    early = [an_update(ana, -60, address="early", occupation=f"{n}") for n in range(2)]
    later = await commands.patch(f"/people/{ana}", json={"address": "later"}, headers=WAIT)
    assert later.status_code == 200
    lost = [an_update(ben, n, address=f"Calle {n}") for n in range(1, 6)]
    for command in (*early, *lost):
        where = partition_queue(partition_of(command.person_id, 8))
        await bury(system, sealed(command, key_in(system)), **{"x-rollcall-queue": where})
    await bury(system, b"no command", **{"x-rollcall-queue": "commands.0"})
    page = (await commands.get("/dead-letters/messages")).json()["items"]
    bens = [one for one in page if one["person_id"] == ben]
    assert [one["type"] for one in bens] == ["person.update"] * 5

    # One of them takes with it what died before it of the same person, and nothing else.
    answer = (await commands.post(f"/dead-letters/messages/{bens[1]['id']}/retry")).json()
    assert answer["status"] == "published"
    assert [one["id"] for one in answer["before"]] == [bens[0]["id"]]
    said = await operator("retry", ben)
    assert [line.endswith(f"of person {ben}: applied.") for line in said] == [True] * 3

    said = await operator("retry", "--all", status=1)
    assert sum(line.endswith(f"of person {ana}: rejected as superseded.") for line in said) == 2
    stays = [line for line in said if "cannot be read, and stays in commands.dead" in line]
    assert len(stays) == 1
    assert said[-1] == "2 done, 1 left."
    assert (await versions(queries, ben))[1:] == [command.command_id for command in lost]
    person = (await queries.get(f"/people/{ana}?consistency=strong")).json()
    assert (person["address"], person["version"]) == ("later", 2)
    status = await queries.get(f"/people/{ana}/commands/{early[0].command_id}?consistency=strong")
    assert (status.json()["status"], status.json()["reason"]) == ("rejected", "superseded")
    assert await operator("drop", stays[0].split()[1])
    assert await operator("retry", "--all") == ["Nobody is parked, and no message is dead."]


async def test_what_a_subscriber_gave_up_is_listed_and_handed_to_it_alone_again(system, commands, operator):
    queue, dead = subscriber_queues("weary")
    connection = await aio_pika.connect(system.rabbit.url)
    async with connection, connection.channel() as channel:
        for one in (queue, dead):
            declared = await channel.declare_queue(one.name, durable=True, arguments=one.arguments)
            await declared.bind(EVENTS_AGAIN, one.name)
    events = [
        json.dumps({"id": f"e{n}", "type": "person.updated", "subject": SOMEBODY, "version": n}).encode()
        for n in range(3)
    ]
    await bury(system, *events, exchange="", key=dead.name)
    rows = [json.loads(row) for row in await operator("list", "--json", "--queue", dead.name)]
    rows = [row for row in rows if row["kind"] == "message"]
    assert [(row["type"], row["person_id"], row["queue"]) for row in rows] == [
        ("person.updated", SOMEBODY, queue.name)
    ] * 3
    assert (await commands.get("/dead-letters/messages?queue=other")).status_code == 400
    page = (await commands.get(f"/dead-letters/messages?queue={dead.name}")).json()
    assert [one["id"] for one in page["items"]] == [row["id"] for row in rows]
    said = await operator("retry", rows[0]["id"], "--queue", dead.name)
    assert said == [f"Message {rows[0]['id']} is in {queue.name} again."]
    handed = await commands.post(f"/dead-letters/messages/retry?queue={dead.name}")
    assert [one["id"] for one in handed.json()["items"]] == [row["id"] for row in rows[1:]]
    assert handed.json()["left"] == []
    taken = []
    connection = await aio_pika.connect(system.rabbit.url)
    async with connection, connection.channel() as channel:
        async with (await channel.get_queue(queue.name)).iterator(timeout=60) as messages:
            async for message in messages:
                taken.append(message.body)
                await message.ack()
                if len(taken) == len(events):
                    break
        for one in (queue, dead):
            await channel.queue_delete(one.name)
    assert taken == events


@pytest.mark.parametrize(
    ("side", "method", "path"),
    [
        ("queries", "GET", "/dead-letters"),
        ("queries", "GET", f"/dead-letters/{SOMEBODY}"),
        ("commands", "GET", "/dead-letters/messages"),
        ("commands", "GET", "/dead-letters/messages/0123456789abcdef"),
        ("commands", "POST", "/dead-letters/messages/0123456789abcdef/retry"),
        ("commands", "POST", "/dead-letters/messages/retry"),
        ("commands", "DELETE", "/dead-letters/messages/0123456789abcdef"),
        ("commands", "POST", f"/dead-letters/{SOMEBODY}/retry"),
        ("commands", "DELETE", f"/dead-letters/{SOMEBODY}"),
        ("commands", "DELETE", f"/dead-letters/{SOMEBODY}/{SOMEBODY}"),
    ],
)
async def test_dead_letters_are_for_operators(system, services, side, method, path):
    service = services["query_api" if side == "queries" else "command_api"]
    async with system.client(service, system.token("people:read", "people:write")) as client:
        answer = await client.request(method, path)
    assert answer.status_code == 403
    assert 'scope="ops"' in answer.headers["www-authenticate"]
