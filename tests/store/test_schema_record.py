"""Changing what a person is, as an operator does: checked against the data, put on record, verified."""

import asyncio
import json
from copy import deepcopy
from dataclasses import replace

from service_kit.mongo.schema_watch import SchemaWatch
from service_kit.schema_in_force import schema_at_start
from service_kit.settings import Settings
from tests.default_schema import SCHEMA
from tests.store.given import create, run
from tests.store.log import harm
from workers.schema_lease import SchemaLease


def write(folder, number, change=lambda _fields, _document: None):
    """Write a file with a number of its own, and a change of the shipped schema."""
    document = deepcopy(dict(SCHEMA.document))
    document["version"] = number
    change(document["properties"], document)
    file = folder / f"person-{number}.json"
    file.write_text(json.dumps(document))
    return file


def settings_of(log) -> Settings:
    return Settings(
        mongo_uri=log.address.uri,
        mongo_db=log.address.database,
        amqp_url="amqp://a:b@unused",
        jwt_key_file="k",
    )


async def test_a_change_is_checked_against_the_data_and_put_on_record(log, tmp_path):
    people = [create(occupation=one) for one in ("Notary", "Notary", "Judge", None)]
    await run(log.store, *people)

    def strict(fields, document):
        fields["occupation"] |= {"maxLength": 5, "examples": ["Judge"]}
        fields["occupation"]["rollcall"]["unique"] = True
        document["required"].append("occupation")
        fields["address"]["type"] = "integer"

    status, lines, said = await log.here("schema", "check", write(tmp_path, 2, strict), "--jobs", 1)
    assert (status, len(lines)) == (2, 0), "an integer has no format"
    assert "properties.address.format" in said

    def strict_but_whole(fields, document):
        strict(fields, document)
        fields["address"] = {"type": "integer"}

    status, lines, said = await log.here("schema", "check", write(tmp_path, 2, strict_but_whole), "--jobs", 1)
    assert (status, "Number 1 stays in force" in said) == (1, True), said
    in_the_way = {line.split()[1]: line for line in lines if line.startswith("refused") and "way" in line}
    assert next(line for line in lines if "address is " in line).startswith("refused")
    counts = [line.partition(" in the way")[0].rpartition(": ")[2] for line in lines if "way" in line]
    assert sorted(counts) == ["1 person is", "2 people are", "2 people are"], lines
    assert set(in_the_way) == {"occupation"}
    status, _, _ = await log.here("schema", "apply", write(tmp_path, 2, strict_but_whole), "--jobs", 1)
    assert status == 1
    assert (await log.here("schema", "history"))[1] == []

    def wide(fields, _document):
        fields["nickname"] = {"type": "string", "format": "name"}
        fields["occupation"]["maxLength"] = 120
        fields["gender"]["rollcall"]["search"] = "exact"
        fields["phone"]["rollcall"]["sort"] = True

    file = write(tmp_path, 2, wide)
    status, lines, said = await log.here("schema", "check", file)
    assert (status, "Number 2 can be put in force" in said) == (0, True)
    assert {line.split()[1] for line in lines} == {"nickname", "occupation", "phone"}
    assert (await log.here("schema", "apply", file, "--actor", "ada"))[0] == 0
    assert "in force already" in (await log.here("schema", "apply", file))[2]
    status, lines, _ = await log.here("schema", "history")
    assert [line.split()[::2] for line in lines if not line.startswith(" ")] == [["1", "ada"], ["2", "ada"]]
    assert any("nickname is new" in line for line in lines)
    shown = json.loads("\n".join((await log.here("schema", "show"))[1]))
    assert shown == json.loads(file.read_text())

    # The log covers it.
    assert await log.verify() == set()
    assert "6 events in 5 streams" in (await log.command("verify", "--jobs", 2))[2]
    _, events, _ = await log.here("replay", "--to", "ndjson", "--type", "schema.applied")
    assert [json.loads(one)["data"]["number"] for one in events] == [1, 2]

    def forge(schemas):
        schemas.update_one({"person_id": "schema:person", "version": 1}, {"$set": {"actor": "eve"}})
        schemas.insert_one({"_id": "forged", "person_id": people[0].person_id, "version": 9})

    harm(log, forge, "schema_events")
    assert await log.found() == {("schema:person", 1, "altered"), (None, None, "altered")}


async def test_of_two_applies_at_once_one_wins(log, tmp_path):
    files = [write(tmp_path, 2)]
    other = tmp_path / "other"
    other.mkdir()
    files.append(write(other, 2, lambda fields, _document: fields["address"].update(maxLength=210)))
    assert (await log.here("schema", "apply", write(tmp_path, 1)))[0] == 0
    done = await asyncio.gather(*(log.command("schema", "apply", file) for file in files))
    statuses = sorted(status for status, _, _ in done)
    assert statuses[0] == 0 and statuses[1] in (1, 2), done
    assert await log.verify() == set()
    assert len([one for one in (await log.here("schema", "history"))[1] if not one.startswith(" ")]) == 2


async def test_services_go_by_the_newest_on_record_which_the_first_worker_seeds(log, mongo_clients, tmp_path):
    settings = settings_of(log)
    assert (await asyncio.to_thread(schema_at_start, settings)).version == 1
    assert (await log.here("schema", "history"))[1] == []
    both = (asyncio.to_thread(schema_at_start, settings, seed=True) for _ in range(2))
    assert [one.version for one in await asyncio.gather(*both)] == [1, 1]
    (line,) = (await log.here("schema", "history"))[1]
    assert line.endswith("  rollcall")
    for client in mongo_clients.values():
        await SchemaWatch(client, log.address.database, SCHEMA).check()
    file = write(tmp_path, 2, lambda fields, _document: fields["address"].update(maxLength=210))
    assert (await log.here("schema", "apply", file))[0] == 0
    for client in mongo_clients.values():
        async with asyncio.timeout(30):
            lease = SchemaLease(client, log.address.database, replace(SCHEMA, on_record=1))
            renewing = asyncio.create_task(lease.run())
            await lease.until_behind()
            renewing.cancel()
            await lease.end()
    newest = await asyncio.to_thread(schema_at_start, settings)
    assert (newest.version, newest.by_name["address"].max_length) == (2, 210)
    away = settings.model_copy(update={"mongo_db": "rollcall", "mongo_uri": None})
    assert (await asyncio.to_thread(schema_at_start, away)).version == 1
