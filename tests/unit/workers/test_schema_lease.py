"""A worker says by which person schema it goes, and appends only while that can be relied upon."""

import dataclasses

import pytest

from events.errors import StoreUnavailable
from service_kit.mongo.worker_rows import LEASE_SECONDS
from tests.default_schema import SCHEMA
from workers import schema_lease
from workers.schema_lease import SchemaLease


class Rows:
    """The row of one worker, and the record, whose newest event is `last`."""

    def __init__(self, last) -> None:
        self.last, self.row = last, {}

    async def update_one(self, _wanted, change, upsert):
        assert upsert
        (stage,) = change
        self.row = stage["$set"]

    async def delete_one(self, _wanted):
        self.row = {}

    async def find_one(self, _wanted, _shown, sort):
        assert sort == [("version", -1)]
        return self.last


class Given:
    """A lease, a clock and what is on record."""

    def __init__(self, monkeypatch, on_record, last) -> None:
        self.rows, self.now = Rows(last), 100.0
        collections = {"workers": self.rows, "schema_events": self.rows}
        monkeypatch.setattr(schema_lease, "writing", lambda *_: collections)
        monkeypatch.setattr(schema_lease, "reading", lambda *_, **__: collections)
        schema = dataclasses.replace(SCHEMA, on_record=on_record)
        self.lease = SchemaLease(None, "rollcall", schema, lambda: self.now)

    @property
    def behind(self) -> bool:
        return self.lease._behind.is_set()

    async def may_append(self) -> bool:
        try:
            await self.lease.check()
        except StoreUnavailable:
            return False
        return True


def event(version, number):
    return {"version": version, "data": {"number": number}}


async def test_nothing_is_appended_before_the_row_is_there_nor_once_it_is_old(monkeypatch):
    given = Given(monkeypatch, 3, event(3, 1))
    assert not await given.may_append()
    await given.lease._renew()
    assert (await given.may_append(), given.rows.row["step"], given.behind) == (True, 3, False)
    given.now += LEASE_SECONDS
    assert not await given.may_append()
    await given.lease._renew()
    assert await given.may_append()
    await given.lease.end()
    assert (await given.may_append(), given.rows.row) == (False, {})


async def test_who_is_behind_finishes_what_is_under_way_as_long_as_everybody_sees_the_row(monkeypatch):
    given = Given(monkeypatch, 3, event(3, 1))
    await given.lease._renew()
    given.rows.last = event(4, 2)
    for _ in range(3):
        given.now += LEASE_SECONDS - 1
        await given.lease._renew()
        assert (await given.may_append(), given.rows.row["step"], given.behind) == (True, 3, True)


async def test_who_wakes_late_appends_nothing_that_was_decided_before_what_is_on_record_now(monkeypatch):
    given = Given(monkeypatch, 3, event(3, 1))
    await given.lease._renew()
    given.rows.last = event(4, 2)
    given.now += LEASE_SECONDS + 60
    await given.lease._renew()
    assert (await given.may_append(), given.behind) == (False, True)


@pytest.mark.parametrize(
    ("last", "step", "behind"),
    [
        (None, 0, False),
        (event(1, SCHEMA.version), 1, False),
        (event(2, SCHEMA.version + 1), 0, True),
    ],
)
async def test_who_could_not_ask_when_it_started_goes_by_the_number_in_force(monkeypatch, last, step, behind):
    given = Given(monkeypatch, 0, last)
    await given.lease._renew()
    await given.lease._renew()
    assert (given.rows.row["step"], given.behind, await given.may_append()) == (step, behind, not behind)
