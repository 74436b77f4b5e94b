"""What a person was is read from a milestone on; long streams are folded a few at a time, short ones at once."""

import asyncio
from types import SimpleNamespace

import pytest

from events.errors import Busy
from events.person.decider import fold
from query_api.history.filters import HistoryQuery
from query_api.history.folding import LONG_AT_ONCE, SHORT, Folds
from query_api.history.queries import LogReads
from query_api.people.queries import Answer
from query_api.reading import searches
from query_api.reading.cursors import CursorSeal
from service_kit.milestones import MILESTONE_EVERY
from service_kit.pieces import PIECE, ROUNDS
from service_kit.slots import WAITING
from tests.chained import SomeKeys
from tests.default_schema import SCHEMA
from tests.unit.events.test_decider import ID
from tests.unit.service_kit.test_milestones import LENGTH, LOG, MILESTONES, Documents


class Reads:
    """The queries on what two members show."""

    def __init__(self, primary: Documents, secondary: Documents | None = None) -> None:
        self.cursors = CursorSeal()
        self._members = {True: primary, False: primary if secondary is None else secondary}
        for member in self._members.values():
            member.key = "none"

    async def find(self, collection, wanted, _shown, *, strong, sort, limit, batch=0) -> Answer:
        documents = await self._members[strong](collection, wanted, sort=sort, limit=limit)
        return Answer(documents, ("primary" if strong else "secondary", 1))


class Newest(Documents):
    """Documents of which a page is asked by a version that it is to be below."""

    async def __call__(self, collection, wanted, *, sort, limit):
        if "$and" in wanted:
            wanted = {name: value for one in wanted["$and"] for name, value in one.items()}
        below = wanted.get("version", {}).get("$lt")
        if below is not None:
            wanted = {**wanted, "version": {"$lte": below - 1}}
        return await super().__call__(collection, wanted, sort=list(sort), limit=limit)


async def test_a_page_of_a_long_history_reads_few_events():
    documents = Newest(LOG, MILESTONES)
    reads = Reads(documents)
    keys = SomeKeys()
    log = LogReads(reads, Folds(reads, 60.0, keys), SCHEMA, keys)
    seen, cursor = [], None
    while True:
        before = documents.read
        page = await log.history("ada", ID, HistoryQuery(limit=40, cursor=cursor))
        assert documents.read - before <= MILESTONE_EVERY + 2 + SHORT + 1 + 41
        seen += page.answer.documents
        if (cursor := page.next) is None:
            break
    assert [entry["version"] for entry in seen] == list(range(LENGTH, 0, -1))
    for entry in seen:
        for name, change in entry["changes"].items():
            assert change["from"] == fold(ID, LOG[: entry["version"] - 1]).fields.get(name)


@pytest.mark.parametrize("version", [1, 200, 431, LENGTH])
async def test_a_version_and_a_time_are_read_from_a_milestone_on(version):
    documents = Documents(LOG, MILESTONES)
    reads = Reads(documents)
    folds = Folds(reads, 60.0, SomeKeys())
    assert (await folds.state_at("ada", ID, version=version, strong=False))[0] == fold(ID, LOG[:version])
    assert documents.read <= MILESTONE_EVERY + 2
    state, member, _ = await folds.state_at("ada", ID, as_of=LOG[version - 1].applied_at, strong=False)
    assert (state, member) == (fold(ID, LOG[:version]), ("primary", 1))
    assert documents.read <= 2 * (MILESTONE_EVERY + 2)


async def test_a_member_that_lags_has_the_primary_asked():
    reads = Reads(Documents(LOG, MILESTONES), Documents(LOG[:20]))
    folds = Folds(reads, 60.0, SomeKeys())
    state, member, _ = await folds.state_at("ada", ID, version=20, strong=False)
    assert (state.version, member[0]) == (20, "secondary")
    state, member, _ = await folds.state_at("ada", ID, version=LENGTH, strong=False)
    assert (state.version, member[0]) == (LENGTH, "primary")


class Slow(Reads):
    """Counts the streams that are folded at once, each at its second portion until it may go on."""

    def __init__(self, documents: Documents) -> None:
        super().__init__(documents)
        self.inside = 0
        self.go_on = asyncio.Event()

    async def find(self, collection, wanted, shown, *, strong, sort, limit, batch=0) -> Answer:
        answer = await super().find(
            collection, wanted, shown, strong=strong, sort=sort, limit=limit, batch=batch
        )
        if collection == "events" and wanted["version"]["$gte"] > 1:
            self.inside += 1
            await self.go_on.wait()
            self.inside -= 1
        return answer


async def settled() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_long_streams_are_folded_a_few_at_a_time_and_short_ones_at_once(monkeypatch):
    monkeypatch.setattr(searches, "WAIT_SECONDS", 60.0)
    reads = Slow(Documents(LOG))  # without milestones
    folds = Folds(reads, 60.0, SomeKeys())

    def ask(subject: str) -> asyncio.Task[object]:
        return asyncio.create_task(folds.state_at(subject, ID, version=LENGTH, strong=True))

    ada = [ask("ada") for _ in range(1 + WAITING)]
    await settled()
    assert reads.inside == LONG_AT_ONCE.each == 1
    with pytest.raises(Busy, match="long histories"):
        await ask("ada")
    others = [ask(subject) for subject in ("grace", "ida")]
    await settled()
    assert reads.inside == LONG_AT_ONCE.number
    short, *_ = await folds.state_at("ada", ID, version=SHORT, strong=True)
    assert short == fold(ID, LOG[:SHORT]), "a short one waits for nobody"
    reads.go_on.set()
    states = await asyncio.gather(*ada, *others)
    assert {one.state.version for one in states} == {LENGTH}
    assert folds.long.slots.in_use == 0


async def test_others_have_their_turn_while_a_stream_is_folded():
    reads = Reads(Documents(LOG))
    turns = SimpleNamespace(count=0)

    async def other() -> None:
        while True:
            turns.count += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await Folds(reads, 60.0, SomeKeys()).state_at("ada", ID, version=LENGTH, strong=True)
    beside.cancel()
    assert turns.count >= ROUNDS * (LENGTH // PIECE - 2)
