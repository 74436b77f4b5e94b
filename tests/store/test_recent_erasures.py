"""Who was erased just now is not shown, whatever a secondary that lags still says."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from events.errors import StoreUnavailable
from events.person.rejections import PersonErased
from query_api.exports.event_lines import NDJSON
from query_api.exports.streams import Exports
from query_api.people.queries import Reads
from query_api.reading.erasures import KEPT_SECONDS, RecentErasures
from service_kit.person_view import PersonView
from tests.default_schema import SCHEMA, ExportQuery, PeopleQuery
from tests.store.given import create, run
from tests.store.test_reads import claim_of, document_of

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Recent:
    """A database with two people who are there, one of whom was erased just now; time is `seconds`."""

    def __init__(self, store) -> None:
        self.seconds = 0.0
        self.client, self.name = store._db.client, store._db.name
        self.gone = RecentErasures(self.client, self.name, lambda: NOW, lambda: self.seconds)
        self.reads = Reads(self.client, self.name, gone=self.gone)


@pytest.fixture
def recent(empty) -> Recent:
    return Recent(empty[0])


async def test_who_was_erased_just_now_is_not_shown_though_the_document_is_there(recent, empty):
    erased, other = create(), create()
    await run(empty[0], erased, other)
    strong = {"consistency": "strong"}

    async def shown() -> list[set[str]]:
        page = await recent.reads.people(PeopleQuery(**strong))
        by_value = await recent.reads.person_by_values(claim_of(erased), document_of(erased), strong=True)
        exports = Exports(recent.client, recent.name, None, SCHEMA, None, recent.gone)
        export = exports.people(ExportQuery(**strong), NDJSON, PersonView(SCHEMA, frozenset()))
        try:
            lines = b"".join([chunk async for chunk in export.chunks()]).splitlines()
        finally:
            await export.close()
        return [
            {one["_id"] for one in page.answer.documents},
            {one["_id"] for one in by_value.documents},
            {json.loads(line)["id"] for line in lines},
        ]

    both = {erased.person_id, other.person_id}
    assert await shown() == [both, {erased.person_id}, both]
    recent.gone.note([erased.person_id])
    assert await shown() == [{other.person_id}, set(), {other.person_id}]
    with pytest.raises(PersonErased):
        await recent.reads.person(erased.person_id, min_version=None, strong=False)
    recent.seconds = KEPT_SECONDS + 1
    assert await shown() == [both, {erased.person_id}, both]


async def test_a_process_that_starts_reads_who_was_erased_in_the_last_minutes(recent, empty):
    ages = {"new": 100, "old": 140}
    documents = [{"_id": name, "erased_at": NOW - timedelta(seconds=age)} for name, age in ages.items()]
    await empty[0]._db["erasures"].insert_many(documents)
    with pytest.raises(StoreUnavailable):
        await recent.gone.check()
    await recent.gone.read()
    await recent.gone.check()
    assert [name for name in ages if name in recent.gone] == ["new"]


async def test_memory_ends_with_the_time(recent):
    recent.gone.note(["a", "b"])
    recent.seconds = KEPT_SECONDS / 2
    recent.gone.note(["a"])
    recent.seconds = KEPT_SECONDS
    recent.gone.note([])
    assert ["a" in recent.gone, "b" in recent.gone, list(recent.gone._until)] == [True, False, ["a"]]
