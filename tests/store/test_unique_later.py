"""What becomes unique later: workers claim and refuse nobody, all is reserved, and only then is it in force."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from events.errors import NewerSchema, StoreUnavailable
from events.person.rejections import ValueTaken
from operations.schema import applying
from service_kit.ids import new_id
from service_kit.mongo.schema_record import SchemaRecord
from service_kit.schema_in_force import schema_at_start
from tests.claims import names_in
from tests.store.given import NOW, create, delete, keys_of, run, update
from tests.store.test_schema_record import settings_of, write
from tests.system import eventually
from workers.deciding.person_batch import DecisionInputs
from workers.deciding.preparation import Preparation
from workers.schema_lease import SchemaLease
from workers.store import Store


class Worker:
    """What decides and says on record by which schema it does."""

    def __init__(self, system, log, client, schema) -> None:
        database = log.address.database
        self.schema, self.names = schema, names_in(system, database, schema)
        self.lease = SchemaLease(client, database, schema)
        self.store = Store(client, database, schema, keys_of(log.store), self.lease.check)

        async def load():
            return self.names

        withdraw = Preparation(client, database, schema, lambda: NOW, new_id).withdraw
        self.inputs = DecisionInputs(lambda: NOW, new_id, schema, lambda: self.names, load, withdraw=withdraw)

    async def decide(self, *commands):
        await self.lease._renew()
        return await run(self.store, *commands, given=self.inputs)


@pytest.fixture
def hire(log, system, mongo_client):
    """Start a worker that goes by what is on record now."""

    async def start() -> Worker:
        schema = await asyncio.to_thread(schema_at_start, settings_of(log), seed=True)
        worker = Worker(system, log, mongo_client, schema)
        await worker.lease._renew()
        return worker

    return start


def unique(fields, _document):
    fields["email"]["rollcall"]["unique"] = True


async def history(log) -> list[str]:
    """Return what was done to which number."""
    lines = (await log.here("schema", "history"))[1]
    done = [line.split() for line in lines if not line.startswith(" ")]
    return [f"{words[0]} {words[3] if len(words) > 3 else 'applied'}" for words in done]


@asynccontextmanager
async def applied(log, file):
    """Apply a file while the block runs; what it came to is known after it."""
    done = SimpleNamespace()
    running = asyncio.create_task(log.command("schema", "apply", file, "--jobs", 1, "--actor", "ada"))

    async def is_prepared():
        return running.done() or "2 prepared" in await history(log)

    try:
        await eventually(is_prepared)
        assert not running.done(), await running
        yield done
        done.status, done.lines, done.said = await running
    finally:
        running.cancel()


async def held(log, mongo_client) -> dict[str, str]:
    """Return who holds what becomes unique."""
    claims = mongo_client[log.address.database]["claims"]
    found = await claims.find({"_id": {"$regex": r"^email\."}}).to_list(None)
    return {one["_id"]: one["person_id"] for one in found}


def holders(worker, *people):
    """Return who should hold it, by the name."""
    (called,) = [*worker.schema.coming] or [worker.schema.claimed_as["email"]]
    return {worker.names.name(called, [one.data.email]): one.person_id for one in people}


async def test_it_is_in_force_once_all_workers_claim_and_everybodys_is_reserved(
    log, hire, mongo_client, tmp_path
):
    old = await hire()
    before = [create() for _ in range(3)]
    await old.decide(*before)
    async with applied(log, write(tmp_path, 2, unique)) as done:
        # One that does not claim yet still works, and claims for nobody.
        late = create()
        assert (await old.decide(late)).applied
        assert await held(log, mongo_client) == {}
        new = await hire()
        meanwhile, moved = create(), update(before[0].person_id, email="moved@example.com")
        assert len((await new.decide(meanwhile, moved)).applied) == 2
        assert len(await held(log, mongo_client)) == 2
        await old.lease.end()
    assert done.status == 0, done.said
    assert await history(log) == ["1 applied", "2 prepared", "2 applied"]
    newest = await hire()
    wanted = holders(newest, *before[1:], late, meanwhile)
    wanted[newest.names.name("email.2", ["moved@example.com"])] = before[0].person_id
    assert await held(log, mongo_client) == wanted
    # One that has not seen it yet gives nobody what is taken.
    eve = create(email=late.data.email)
    with pytest.raises(NewerSchema):
        await new.decide(eve)
    assert [type(one) for one in (await newest.decide(eve)).rejections.values()] == [ValueTaken]
    assert await log.differences() == set()
    assert await log.verify() == set()


async def test_people_who_share_it_are_told_of_and_it_is_withdrawn(log, hire, mongo_client, tmp_path):
    old = await hire()
    ana = create()
    await old.decide(ana)
    file = write(tmp_path, 2, unique)
    async with applied(log, file) as done:
        eve = create(email=ana.data.email)
        assert (await old.decide(eve)).applied
        await old.lease.end()
    assert (done.status, "Number 2 is withdrawn" in done.said) == (1, True), done.said
    (line,) = [one for one in done.lines if one.startswith("refused")]
    assert {one.person_id in line for one in (ana, eve)} == {True}
    assert await history(log) == ["1 applied", "2 prepared", "2 withdrawn"]
    # Nobody minds what it has left.
    worker = await hire()
    assert not worker.schema.coming
    bob = create(email=ana.data.email)
    assert len((await worker.decide(delete(eve.person_id), delete(ana.person_id), bob)).applied) == 3
    await worker.lease.end()
    status, _, said = await log.here("schema", "apply", file, "--jobs", 1)
    assert status == 0, said
    assert await held(log, mongo_client) == holders(await hire(), bob)


async def test_a_worker_that_gives_two_people_the_same_withdraws_it_and_refuses_neither(log, hire, tmp_path):
    old = await hire()
    ana = create()
    await old.decide(ana)
    async with applied(log, write(tmp_path, 2, unique)) as done:
        new = await hire()
        bob, eve = create(email="b@example.com"), create(email="b@example.com")
        assert len((await new.decide(bob, eve)).applied) == 2
        assert await history(log) == ["1 applied", "2 prepared", "2 withdrawn"]
        # The same worker goes on, though they share it no more by the time that somebody looks.
        assert len((await new.decide(create(email="b@example.com"))).applied) == 1
        await old.lease.end()
        await new.lease.end()
    assert done.status == 1, done.said
    assert await history(log) == ["1 applied", "2 prepared", "2 withdrawn"]


async def test_what_was_shared_for_a_moment_only_is_not_put_in_force_either(log, hire, tmp_path):
    old = await hire()
    async with applied(log, write(tmp_path, 2, unique)) as done:
        new = await hire()
        bob, eve = create(email="b@example.com"), create(email="b@example.com")
        await new.decide(bob, eve)
        await new.decide(delete(bob.person_id))
        await old.lease.end()
        await new.lease.end()
    assert done.status == 2
    assert "Meanwhile somebody got a value that another person has (email)" in done.said


async def test_who_does_not_claim_is_named_and_may_append_nothing_once_it_counts_as_gone(log, hire, tmp_path):
    asleep = await hire()
    file = write(tmp_path, 2, unique)
    status, _, said = await log.here("schema", "apply", file, "--jobs", 1, "--wait", 0)
    assert (status, asleep.lease._id in said) == (2, True), said
    asleep.lease._until = -1.0  # it slept
    with pytest.raises(StoreUnavailable, match="which person schema this worker goes by"):
        await asleep.decide(create())
    await asleep.lease.end()
    assert (await log.here("schema", "apply", file, "--jobs", 1, "--wait", 0))[0] == 0


class Killed(BaseException):
    """The apply is no more."""


async def test_an_apply_that_is_killed_anywhere_is_taken_up_or_withdrawn(
    log, hire, mongo_client, monkeypatch, tmp_path
):
    worker = await hire()
    people = [create() for _ in range(3)]
    await worker.decide(*people)
    await worker.lease.end()
    file = write(tmp_path, 2, unique)
    words = ("schema", "apply", file, "--jobs", 1)

    async def kill(what, where=applying, nth=1):
        with monkeypatch.context() as patched:
            known, seen = getattr(where, what), []

            def die(*args, **named):
                seen.append(args)
                if len(seen) == nth:
                    raise Killed
                return known(*args, **named)

            patched.setattr(where, what, die)
            with pytest.raises(Killed):
                await log.here(*words)

    await kill("forget")
    assert await history(log) == ["1 applied"]
    await kill("wait_for_workers", nth=2)
    assert await history(log) == ["1 applied", "2 prepared"]
    assert "Number 2 is prepared" in (await log.here("schema", "show"))[2]
    other = tmp_path / "other"
    other.mkdir()
    another = write(other, 2, lambda fields, _document: fields["address"].update(maxLength=210))
    status, _, said = await log.here("schema", "apply", another)
    assert (status, "Another file with number 2 is prepared" in said) == (2, True), said
    # Workers go on, and what they claim is kept.
    worker = await hire()
    people.append(create())
    await worker.decide(people[-1])
    await worker.lease.end()
    assert (await log.here("schema", "withdraw"))[0] == 0
    assert "Nothing is prepared" in (await log.here("schema", "withdraw"))[2]
    await kill("reserve")
    await kill("add", SchemaRecord)
    done = ["1 applied", "2 prepared", "2 withdrawn", "2 prepared"]
    assert await history(log) == done
    status, _, said = await log.here(*words)
    assert status == 0, said
    assert await history(log) == [*done, "2 applied"]
    assert "in force already" in (await log.here(*words))[2]
    assert await held(log, mongo_client) == holders(await hire(), *people)
    assert await log.verify() == set()
