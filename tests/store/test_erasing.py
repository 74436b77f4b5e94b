"""Erasures on a real store: what is left of a person, whenever a worker is killed, and whoever is parked."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from events.errors import KeyTrouble
from events.person.commands import CreatePerson, UpdatePerson
from events.person.rejections import PersonErased, PersonHeld
from operations.erasing.replaying import replay_journal
from service_kit.erasure_journal import ErasureJournal, read_journal
from service_kit.ids import new_id
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import writing
from service_kit.mongo.keys import PersonKeys
from service_kit.mongo.rounds import Rounds
from service_kit.seals.kek import KekFile, load_keks
from service_kit.seals.opening import ERASED
from tests.default_schema import SCHEMA, PersonChanges, PersonFields
from tests.store.given import inputs
from tests.system import eventually
from tests.transport import known_keys, sealed
from tests.unit.events.test_erasing import FIELDS, ErasePerson, Erasure, Hold, HoldPerson
from workers.announcing.feed_store import KnownGaps
from workers.deciding.batches import BatchDecider
from workers.erasing.eraser import Eraser
from workers.erasing.journal_check import JournalCheck
from workers.erasing.sweep import ErasureSweep
from workers.outcomes import AppliedCommand, ParkedCommand, Reason, RejectedCommand
from workers.parking.parked import WaitingCommands, WaitingMessage
from workers.projecting.projector import Projector
from workers.store import Store
from workers.streams import Streams

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


class Killed(BaseException):
    """The worker is no more."""


class Worker:
    """Decides, projects and announces on a real store, and may be killed at a step of an erasure."""

    def __init__(self, client, name, keks, folder) -> None:
        self.db, self.folder = client[name], folder
        self.keys = PersonKeys(client, name, keks)
        self.store = Store(client, name, SCHEMA, self.keys)
        streams = Streams(client, name, self.keys, SCHEMA)
        self.waiting = WaitingCommands(self.db["parked"], known_keys())
        given = inputs()
        self.decider = BatchDecider(self.store, streams, self.keys, self.waiting, KnownGaps(), given)
        eraser = Eraser(client, name, self.keys, ErasureJournal(folder), self.give_up, lambda: NOW)
        self.projector = Projector(self.store, streams, self, self.reconciled, eraser)  # type: ignore[arg-type]
        self.announced: list[str] = []
        self.rows = writing(client, keys_database(name))["keys"]
        rounds = Rounds(client, name, lambda: NOW)
        self.sweep = ErasureSweep(client, name, self.keys, self.store, streams, eraser, rounds, lambda: NOW)

    async def give_up(self, person_ids) -> None:
        """There are no dead letters here."""

    async def reconciled(self, events) -> None:
        """Let everything be announced."""

    def encode_announcement(self, event) -> bytes:
        return event.type.encode()

    async def announce(self, frames) -> None:
        self.announced += [frame.decode() for frame in frames]

    async def work(self, *commands):
        outcomes = await self.decider.decide_batch(commands, {})
        outcomes = await self.projector.project_people(outcomes)
        return await self.projector.announce_events(outcomes)

    async def park(self, *commands) -> None:
        parked = [
            WaitingMessage(ParkedCommand(one, Reason("ValueError", "in vain")), sealed(one))
            for one in commands
        ]
        await self.waiting.park(parked, NOW)

    async def left_of(self, person_id: str) -> dict[str, int]:
        """Return how many documents there are of a person in each collection that is to have none."""
        return {
            name: await self.db[name].count_documents({"person_id": person_id})
            for name in ("claims", "parked")
        }

    async def is_whole(self, person_id: str) -> None:
        """See that nothing is left of an erased person, but what says so."""
        assert await self.left_of(person_id) == {"claims": 0, "parked": 0}
        document = await self.db["people"].find_one({"_id": person_id})
        assert document.keys() == {"_id", "version", "hash", "projection", "deleted", "erased"}
        self.keys.forget(person_id)
        assert await self.keys.find([person_id]) == {person_id: ERASED}
        assert person_id in {line.person_id for line in read_journal(self.folder)}
        assert (await self.db["erasures"].find_one({"_id": person_id}))["finished_at"] is not None


@pytest_asyncio.fixture
async def worker(mongo_client, databases_of_tests, system, tmp_path):
    async with databases_of_tests.empty() as name:
        yield Worker(mongo_client, name, load_keks(KekFile(system.kek_file)), tmp_path / "journal")


def envelope(person_id: str):
    command_id = new_id()
    stamps = {
        "accepted_at": NOW,
        "actor": "ada",
        "correlation_id": command_id,
        "person_schema": SCHEMA.version,
    }
    return {"command_id": command_id, "person_id": person_id, **stamps}


def create(person_id: str, number: str = "AB123"):
    data = PersonFields(**{**FIELDS, "document_id": number, "email": f"{number.lower()}@example.com"})
    return CreatePerson(data=data, **envelope(person_id))


def update(person_id: str, address: str):
    return UpdatePerson(data=PersonChanges(address=address), **envelope(person_id))


def erase(person_id: str):
    return ErasePerson(data=Erasure(reason="asked"), **envelope(person_id))


def hold(person_id: str):
    return HoldPerson(data=Hold(reason="contract", reference="C-7"), **envelope(person_id))


async def test_nothing_is_left_of_an_erased_person_and_the_values_are_free(worker):
    ana, other = new_id(), new_id()
    await worker.work(create(ana), update(ana, "Calle 1"))
    asked, late = erase(ana), update(ana, "Calle 2")
    outcomes = await worker.work(asked, late)
    assert isinstance(outcomes[asked.command_id], AppliedCommand)
    assert isinstance(outcomes[late.command_id].rejection, PersonErased)
    await worker.is_whole(ana)
    again = await worker.work(taken := create(other), back := create(ana, "XY999"))
    assert isinstance(again[taken.command_id], AppliedCommand)
    assert isinstance(again[back.command_id].rejection, PersonErased)


@pytest.mark.parametrize(
    "step",
    ["Eraser.let_go", "Store.project", "ErasureJournal.append", "PersonKeys.destroy", "Worker.announce"],
)
@pytest.mark.parametrize("parked", [False, True])
async def test_whoever_is_killed_at_a_step_the_next_one_ends_it(worker, monkeypatch, step, parked):
    ana = new_id()
    await worker.work(create(ana))
    if parked:
        await worker.park(update(ana, "Calle 1"))
    asked = erase(ana)
    kinds = {one.__name__: one for one in (Eraser, Store, ErasureJournal, PersonKeys, Worker)}
    kind, _, name = step.partition(".")

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(kinds[kind], name, killed)
        with pytest.raises(Killed):
            await worker.work(asked)
    outcomes = await worker.work(asked)
    assert isinstance(outcomes[asked.command_id], AppliedCommand)
    await worker.is_whole(ana)
    assert worker.announced.count("person.erased") == 1
    assert await worker.db["events"].count_documents({"person_id": ana, "type": "person.erased"}) == 1


async def test_a_sweep_destroys_again_a_key_that_a_backup_brought_back(worker):
    ana, ben = new_id(), new_id()
    await worker.work(create(ana), create(ben, "XY999"))
    row = await worker.rows.find_one({"_id": ana})
    await worker.work(erase(ana))
    await worker.rows.replace_one({"_id": ana}, row)
    worker.keys.forget(ana)
    assert await worker.sweep.sweep() == 1
    assert await worker.sweep.sweep() == 0
    await worker.is_whole(ana)
    assert (await worker.left_of(ben))["claims"]


async def test_an_erasure_whose_key_does_not_open_holds_up_no_other(worker):
    ana, ben = new_id(), new_id()
    await worker.work(create(ana), create(ben, "XY999"))
    rows = {one: await worker.rows.find_one({"_id": one}) for one in (ana, ben)}
    await worker.work(erase(ana), erase(ben))
    for person_id, more in ((ana, {"kek": "gone"}), (ben, {})):
        await worker.rows.replace_one({"_id": person_id}, rows[person_id] | more)
    assert await worker.sweep.sweep() == 1
    await worker.is_whole(ben)


async def test_a_second_sweep_looks_at_what_is_recent_alone(worker):
    ana = new_id()
    await worker.work(create(ana))
    row = await worker.rows.find_one({"_id": ana})
    await worker.work(erase(ana))
    assert await worker.sweep.sweep() == 0
    await worker.rows.replace_one({"_id": ana}, row)
    worker.sweep.since = NOW + timedelta(seconds=1)
    assert await worker.sweep.sweep() == 0
    worker.sweep.since = None
    assert await worker.sweep.sweep() == 1


async def test_what_a_backup_brought_back_is_erased_again_by_the_journal_though_it_is_held(worker):
    ana, ben = new_id(), new_id()
    await worker.work(create(ana), update(ana, "Calle 1"), create(ben, "XY999"), hold(ana))
    row = await worker.rows.find_one({"_id": ana})
    person = await worker.db["people"].find_one({"_id": ana})
    asked = ErasePerson(data=Erasure(reason="asked", from_journal=True), **envelope(ana))
    await worker.work(asked)
    events, people = (writing(worker.db.client, worker.db.name)[name] for name in ("events", "people"))
    await events.delete_one({"person_id": ana, "type": "person.erased"})
    await worker.rows.replace_one({"_id": ana}, row)
    await people.replace_one({"_id": ana}, person)
    await writing(worker.db.client, worker.db.name)["erasures"].delete_one({"_id": ana})

    check = JournalCheck(worker.folder, worker.keys, worker.sweep)
    waiting = asyncio.create_task(check.until_clear())

    async def compared() -> bool:
        return "that the journal" in check.reason

    await eventually(compared)
    with pytest.raises(KeyTrouble, match="1 keys are there that the journal"):
        await check.check()
    assert await replay_journal(worker.folder, worker.keys, lambda all_: worker.work(*all_), print) == 1
    await worker.is_whole(ana)
    await asyncio.wait_for(waiting, 30)
    await check.check()
    (again,) = await events.find({"person_id": ana, "type": "person.erased"}).to_list(None)
    assert (again["command_id"], again["data"]["reason"]) == (asked.command_id, "asked")
    assert (await worker.left_of(ben))["claims"]


async def test_a_worker_that_begins_destroys_a_key_that_a_killed_one_was_about_to(worker, monkeypatch):
    ana = new_id()
    await worker.work(create(ana))

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(PersonKeys, "destroy", killed)
        with pytest.raises(Killed):
            await worker.work(erase(ana))
    check = JournalCheck(worker.folder, worker.keys, worker.sweep)
    await asyncio.wait_for(check.until_clear(), 30)
    await worker.is_whole(ana)


async def test_of_workers_that_start_together_one_begins_a_round(worker):
    now = [NOW]
    rounds = [Rounds(worker.db.client, worker.db.name, lambda: now[0]) for _ in range(3)]
    hour = timedelta(hours=1)
    begun = await asyncio.gather(*(one.begin("sweep", hour) for one in rounds))
    assert sorted(begun) == [False, False, True]
    assert await rounds[0].begin("another", hour)
    now[0] += hour
    assert await rounds[0].begin("sweep", hour)
    assert not await rounds[1].begin("sweep", hour)


async def test_a_hold_that_waits_refuses_an_erase_and_nothing_of_the_line_goes(worker):
    ana = new_id()
    await worker.work(create(ana))
    await worker.park(update(ana, "Calle 1"), hold(ana))
    asked = erase(ana)
    outcomes = await worker.work(asked, behind := update(ana, "Calle 2"))
    assert isinstance(outcomes[asked.command_id].rejection, PersonHeld)
    assert "C-7" in outcomes[asked.command_id].rejection.detail
    assert isinstance(outcomes[behind.command_id], ParkedCommand)
    assert (await worker.left_of(ana))["parked"] == 2


async def test_an_id_of_which_there_is_only_a_create_that_waits_is_erased_as_version_1(worker):
    ana = new_id()
    await worker.park(waiting := create(ana))
    outcomes = await worker.work(asked := erase(ana))
    assert outcomes[asked.command_id].event.version == 1
    await worker.is_whole(ana)
    (again,) = (await worker.work(waiting)).values()
    assert isinstance(again, RejectedCommand)
