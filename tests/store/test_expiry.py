"""Who was deleted long ago: whose erasure is asked for, by whom, and how erasures are listed."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from operations.__main__ import main
from service_kit.ids import new_id
from tests.store.given import KEKS, create, delete, envelope, keys_of, run, store_in, streams_of
from tests.unit.events.test_erasing import ErasePerson, Erasure, Hold, HoldPerson
from workers.erasing.expiry import DeletedExpiry

YEAR = timedelta(days=365)


class Expiry:
    """A database with people, and what asks for their erasures; time is `now`."""

    def __init__(self, store) -> None:
        self.store, self.handed_in = store, []
        self.now = datetime.now(UTC)
        db = store._db
        self.expiry = DeletedExpiry(
            db.client, db.name, streams_of(store), self.hand_in, lambda: self.now, new_id
        )

    async def hand_in(self, commands) -> None:
        self.handed_in += commands

    async def deleted(self) -> str:
        person = create()
        await run(self.store, person, delete(person.person_id))
        return person.person_id


@pytest_asyncio.fixture
async def expiry(mongo_client, databases_of_tests):
    async with databases_of_tests.empty() as name:
        yield Expiry(store_in(mongo_client, name))


async def test_who_is_deleted_for_long_is_to_be_erased_but_not_who_is_held_or_there(expiry):
    first, held = await expiry.deleted(), await expiry.deleted()
    await run(expiry.store, create())
    hold = HoldPerson(data=Hold(reason="contract", reference="C-7"), **envelope(held))
    await run(expiry.store, hold)
    expiry.now += 20 * YEAR
    dry = await expiry.expiry.ask(YEAR, "rollcall", dry=True)
    assert ((dry.asked, dry.held), expiry.handed_in) == ((1, 1), [])
    await expiry.expiry.ask(YEAR, "rollcall")
    (command,) = expiry.handed_in
    assert (command.person_id, command.data.reason, command.actor) == (first, "retention", "rollcall")
    assert command.expected_versions == {2}
    (outcome,) = (await run(expiry.store, command)).applied.values()
    assert outcome.event.type == "person.erased"
    await expiry.store._db["erasures"].insert_one({"_id": first})
    assert (await expiry.expiry.ask(YEAR, "rollcall")).asked == 0


async def test_nobody_is_erased_before_the_time(expiry):
    await expiry.deleted()
    # Events of these tests are of one day, on which nothing is older than twenty years.
    assert (await expiry.expiry.ask(20 * YEAR, "rollcall")).asked == 0


@pytest.fixture
def verb(system, expiry, monkeypatch, capsys):
    monkeypatch.setenv("ROLLCALL_MONGO_URI", system.mongo.uri)
    monkeypatch.setenv("ROLLCALL_MONGO_DB", expiry.store._db.name)
    file = system.directory / "kek.of.expiry"
    file.write_text("".join(f"{id_} {key.hex()}\n" for id_, key in KEKS._keys.items()))
    file.chmod(0o600)
    monkeypatch.setenv("ROLLCALL_KEK_FILE", str(file))

    async def call(*words: str) -> tuple[int, list[str]]:
        status = await asyncio.to_thread(main, ["people", *words])
        return status, capsys.readouterr().out.splitlines()

    return call


async def test_the_verb_lists_erasures_and_what_is_left_of_each(expiry, verb):
    person_id = await expiry.deleted()
    command = ErasePerson(data=Erasure(reason="asked"), **envelope(person_id))
    await run(expiry.store, command)
    status, (line,) = await verb("erasures", "--json")
    told = json.loads(line)
    assert (status, told["person_id"], told["reason"], told["done"]) == (0, person_id, "asked", False)
    await keys_of(expiry.store).destroy(person_id, datetime.now(UTC))
    status, (line,) = await verb("erasures", "--json")
    told = json.loads(line)
    assert (told["done"], told["final"]) == (True, False)
    assert any("key-encryption key" in one for one in told["left"])
    status, (line,) = await verb("erasures")
    assert "not final: key-encryption key" in line
    assert "cannot be looked at" not in line, "every member's oplog is looked at"


async def test_the_verb_counts_without_erasing(expiry, verb):
    await expiry.deleted()
    assert await verb("expire", "--older-than", "1s", "--dry-run") == (0, ["1 would be erased."])
