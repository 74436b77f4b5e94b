"""Values on their whole way: what is accepted is decided, as it was meant, and what changes nothing says so."""

import asyncio
from datetime import UTC, datetime

import aio_pika
import pytest

from events.imports.states import causation_of, correlation_of
from events.person.commands import UpdatePerson, encode_command
from events.times import to_milliseconds
from service_kit.broker.topology import COMMANDS, partition_of
from service_kit.ids import new_id
from tests.default_schema import PersonChanges
from tests.people_files import NDJSON, errors, exported, finished, ndjson_of, people, send
from tests.system import eventually, new_person
from tests.transport import key_in, sealed_as_it_is

WAIT = {"Prefer": "wait=20"}
KEPT = [
    ("first_name", "\u0958" * 50, "\u0915\u093c" * 50),
    ("phone", "+43 1110", "+431110"),
    ("phone", "+98 9601", "+989601"),
    ("phone", "+57 601 555 0142 ext. 12", "+576015550142;ext=12"),
    ("document_id", "79.123.456.789", "79123456789"),
    ("first_name", "ソフィア・ルイーズ", "ソフィア・ルイーズ"),
    ("first_name", "ג׳ורדן", "ג׳ורדן"),
    ("last_name", "בן־דור", "בן־דור"),
    ("first_name", "པད་མ", "པད་མ"),
    ("first_name", "Anne‑Marie", "Anne‑Marie"),
    ("first_name", "O‘Hara", "O‘Hara"),
    ("last_name", None, None),
    ("occupation", "برنامه\u200cنویس", "برنامه\u200cنویس"),
    ("address", "Torre 👨\u200d👩\u200d👧", "Torre 👨\u200d👩\u200d👧"),
    ("birth_date", "1988-03-04T00:00:00Z", "1988-03-04"),
]


async def test_whoever_was_just_created_is_missing_to_nobody(commands, queries):
    for _ in range(6):
        person = await created(commands)
        reads = [queries.get(f"/people/{person['id']}") for _ in range(60)]
        assert {response.status_code for response in await asyncio.gather(*reads)} == {200}


async def created(commands, **changes) -> dict:
    response = await commands.post("/people", json=new_person(**changes), headers=WAIT)
    assert response.status_code == 201, response.text
    return response.json()


@pytest.mark.parametrize(("name", "written", "stored"), KEPT)
async def test_a_value_is_kept_as_it_was_meant(commands, queries, name, written, stored):
    person = await created(commands, **{name: written})
    assert person[name] == stored
    read = await queries.get(f"/people/{person['id']}")
    assert read.json()[name] == stored


async def test_rows_of_such_values_are_decided_and_the_import_ends(commands, queries):
    rows = people(len(KEPT))
    for row, (name, written, _) in zip(rows, KEPT, strict=True):
        row[name] = written if name != "document_id" else f"{int(row[name]):,}".replace(",", ".")
    told = await send(commands, ndjson_of(rows), NDJSON)
    status = await finished(queries, told["import_id"])
    assert (status["applied"], status["rejected"]) == (len(KEPT), 0)


async def test_what_get_gave_with_one_field_changed_is_a_patch_and_the_same_again_changes_nothing(
    commands, queries
):
    person = await created(commands, middle_name=None)
    body = {**(await queries.get(f"/people/{person['id']}")).json(), "address": "Calle 3"}
    path = f"/people/{person['id']}"
    changed = await commands.patch(path, json=body, headers=WAIT)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json() == {**person, **body, "version": 2, "updated_at": changed.json()["updated_at"]}
    again = await commands.patch(path, json=body, headers={**WAIT, "If-Match": '"2"'})
    assert (again.status_code, again.headers["etag"]) == (200, '"2"')
    assert again.json() == changed.json()
    assert (await commands.post("/people", json={**new_person(), "id": "x", "version": 9})).status_code == 202

    back = await commands.post(f"{path}/revert", json={"to_version": 2})
    status = await decided(queries, back)
    assert (status["status"], status["version"]) == ("unchanged", 2)
    history = (await queries.get(f"{path}/history?include=rejected&consistency=strong")).json()
    assert [entry["status"] for entry in history["items"]] == ["applied", "applied"]


async def decided(queries, accepted) -> dict:
    """Wait for a command's outcome and return its status."""

    async def status():
        found = await queries.get(accepted.headers["location"])
        return found.json() if found.status_code == 200 else None

    return await eventually(status)


async def test_an_export_imported_again_changes_nobody(commands, queries):
    rows = people(20, occupation="Reimported")
    await finished(queries, (await send(commands, ndjson_of(rows), NDJSON))["import_id"])
    found = await exported(queries, occupation="Reimported")
    assert len(found) == 20
    found[3]["address"] = "Calle 3"
    told = await send(commands, ndjson_of(found), NDJSON, mode="upsert")
    status = await finished(queries, told["import_id"])
    counts = {name: status[name] for name in ("accepted", "applied", "unchanged", "rejected")}
    assert counts == {"accepted": 20, "applied": 1, "unchanged": 19, "rejected": 0}
    versions = sorted(person["version"] for person in await exported(queries, occupation="Reimported"))
    assert versions == [1] * 19 + [2]


@pytest.mark.parametrize("header", ['"1", "7"', '"7" ,"1"', "*"])
async def test_if_match_is_any_of_a_list(commands, header):
    person = await created(commands)
    headers = {**WAIT, "If-Match": header}
    response = await commands.patch(f"/people/{person['id']}", json={"address": "Calle 9"}, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("tags", [['W/"1"'], ['"7"'], ['W/"1", "8"'], ['"7"', '"8"'], ['"01"'], ['"x"']])
async def test_if_match_compares_strongly_and_tells_the_version_there_is(commands, tags):
    person = await created(commands)
    headers = [("Prefer", "wait=20"), *(("If-Match", tag) for tag in tags)]
    response = await commands.patch(f"/people/{person['id']}", json={"address": "Calle 9"}, headers=headers)
    assert response.status_code == 412
    assert (response.json()["version"], response.headers["etag"]) == (1, '"1"')


async def test_several_lines_of_if_match_are_one_list(commands):
    person = await created(commands)
    headers = [("Prefer", "wait=20"), ("If-Match", '"7"'), ("If-Match", '"1"'), ("If-Match", '"8"')]
    response = await commands.delete(f"/people/{person['id']}", headers=headers)
    assert response.status_code == 200


async def test_a_conflict_names_the_fields_that_are_taken(commands):
    person = await created(commands)
    taken = new_person(document_type=person["document_type"], document_id=person["document_id"])
    response = await commands.post("/people", json=taken, headers=WAIT)
    assert response.status_code == 409
    assert response.json()["fields"] == ["document_type", "document_id"]
    response = await commands.post("/people", json=new_person(email=person["email"]), headers=WAIT)
    assert response.json()["fields"] == ["email"]


async def test_a_key_is_good_for_one_content(commands, queries):
    key = {"Idempotency-Key": "one-content"}
    body = new_person()
    first = await commands.post("/people", json=body, headers={**WAIT, **key})
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    again = await commands.post(
        "/people", json={**body, "first_name": f" {body['first_name']} "}, headers={**WAIT, **key}
    )
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"

    other = {**new_person(), "first_name": "Otra"}
    refused = await commands.post("/people", json=other, headers={**WAIT, **key})
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:rollcall:problem:idempotency-key-reused"
    later = await commands.post("/people", json=other, headers=key)
    assert later.status_code == 202
    assert later.json()["person_id"] == first.json()["id"]
    status = await decided(queries, later)
    assert (status["status"], status["reason"]) == ("rejected", "idempotency-key-reused")
    assert (await exported(queries, email=other["email"])) == []
    # If-Match is part of what is asked.
    path, key = f"/people/{first.json()['id']}", {"Idempotency-Key": "one-patch", **WAIT}
    for tag, code in (('"1"', 200), ('"2"', 422), ('"1"', 200)):
        patched = await commands.patch(path, json={"address": "Calle 3"}, headers={**key, "If-Match": tag})
        assert patched.status_code == code
    assert patched.headers["idempotent-replayed"] == "true"
    same = {"Idempotency-Key": "no-change", **WAIT}
    for number in range(2):
        kept = await commands.patch(path, json={"address": "Calle 3"}, headers=same)
        assert (kept.status_code, kept.headers["etag"]) == (200, '"2"')
        assert ("idempotent-replayed" in kept.headers) is bool(number)


async def test_of_two_contents_under_one_key_at_once_one_is_applied(commands, queries):
    key = {"Idempotency-Key": "at-once"}
    bodies = [new_person() for _ in range(6)]
    accepted = [await commands.post("/people", json=body, headers=key) for body in bodies]
    outcomes = [await decided(queries, one) for one in accepted]
    assert [one["status"] for one in outcomes] == ["applied"] + ["rejected"] * 5
    assert {one["reason"] for one in outcomes[1:]} == {"idempotency-key-reused"}


async def publish(system, message: dict) -> None:
    """Publish a message as the command API would."""
    connection = await aio_pika.connect(system.rabbit.url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(COMMANDS, ensure=False)
        key = str(partition_of(message["subject"], 8))
        body = aio_pika.Message(
            sealed_as_it_is(message, key_in(system)), message_id=message["id"], delivery_mode=2
        )
        await exchange.publish(body, key, mandatory=True)


async def test_a_message_of_ours_that_no_worker_can_read_has_a_status_and_stops_nobody(
    system, commands, queries, worker
):
    person = await created(commands)
    told = await send(commands, ndjson_of(people(1)), NDJSON)
    stamp = {"command_id": new_id(), "person_id": person["id"], "actor": "tester"}
    causes = {"correlation_id": correlation_of(told["import_id"]), "causation_id": causation_of(2)}
    now = to_milliseconds(datetime.now(UTC))
    command = UpdatePerson(data=PersonChanges(address="Calle 7"), accepted_at=now, **stamp, **causes)
    message = encode_command(command)
    await publish(system, {**message, "data": {"address": "Calle 7", "shoe_size": "43"}})
    path = f"/people/{person['id']}"

    async def status() -> dict | None:
        found = await queries.get(f"{path}/commands/{command.command_id}")
        return found.json() if found.status_code == 200 else None

    found = await eventually(status)
    assert (found["status"], "shoe_size" in found["detail"]) == ("unreadable", True)
    found = await errors(queries, told["import_id"])
    assert [(one["row"], one["code"]) for one in found] == [(2, "unreadable")]
    # Nobody is parked, and once it can be read it is decided.
    await commands.patch(path, json={"address": "Calle 8"}, headers=WAIT)
    await publish(system, message)

    async def applied() -> bool:
        return ((await status()) or {})["status"] == "applied"

    await eventually(applied)
    letters = (await commands.get("/dead-letters/messages")).json()["items"]
    (letter,) = [one for one in letters if one["message_id"] == command.command_id]
    assert (await commands.delete(f"/dead-letters/messages/{letter['id']}")).status_code in (200, 204)
