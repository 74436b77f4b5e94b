"""A new secret of claims takes the place of the old one while workers work, and no value is free meanwhile."""

import asyncio
import os
from dataclasses import replace
from unittest.mock import patch

import pytest
import pytest_asyncio

from events.person.rejections import ValueTaken
from operations.keys.renewing_claims import renew_claims
from operations.log_opening import Opening
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import writing
from service_kit.seals.kek import KekFile, load_keks
from service_kit.seals.wrapping import SECRETS
from tests.claims import names_in
from tests.default_schema import SCHEMA
from tests.store.given import create, inputs, run, update

PAUSES = 4


class Killed(BaseException):
    """The verb is no more."""


class Renewing:
    """The verb, and a worker that works in each of its pauses, by the secrets that it has just read."""

    def __init__(self, system, log) -> None:
        self.system, self.log = system, log
        self.loop = asyncio.get_running_loop()
        self.taken: list[str] = []
        self.refused = 0

    async def work(self) -> None:
        """Create somebody, give up a value and take another, and try to take values that others have."""
        names = await asyncio.to_thread(names_in, self.system, self.log.address.database, SCHEMA)

        async def load():
            return names

        given = replace(inputs(), claims=lambda: names, load_claims=load)
        first, moving = create(), create()
        moved = update(moving.person_id, document_id=f"{moving.data.document_id}9")
        await run(self.log.store, first, moving, moved, given=given)
        others = [create(document_id=one) for one in (first.data.document_id, *self.taken)]
        outcomes = await run(self.log.store, *others, given=given)
        self.refused += sum(isinstance(one, ValueTaken) for one in outcomes.rejections.values())
        assert self.refused and len(outcomes.rejections) == len(others)
        self.taken += [first.data.document_id, moved.data.document_id]
        free = create(document_id=moving.data.document_id)
        assert not (await run(self.log.store, free, given=given)).rejections
        self.taken.append(free.data.document_id)

    async def renew(self, killed_at: int = PAUSES):
        left = iter(range(killed_at))

        def pause(_seconds: float) -> None:
            if next(left, None) is None:
                raise Killed
            asyncio.run_coroutine_threadsafe(self.work(), self.loop).result(60)

        opening = Opening(self.log.address.database, load_keks(KekFile(self.system.kek_file)))
        with patch.dict(os.environ, self.log.alone):
            return await asyncio.to_thread(
                renew_claims, self.log.address, SCHEMA, opening, 1, lambda _: None, pause
            )


@pytest_asyncio.fixture
async def renewing(system, log):
    return Renewing(system, log)


@pytest.mark.parametrize("killed_at", range(PAUSES + 1))
async def test_every_value_stays_taken_and_a_run_that_was_cut_off_is_repeated(
    renewing, log, mongo_client, killed_at
):
    await log.fill()
    if killed_at < PAUSES:
        with pytest.raises(Killed):
            await renewing.renew(killed_at)
    assert await renewing.renew() == []
    claims = await mongo_client[log.address.database]["claims"].find({}, {"_id": 1}).to_list(None)
    assert claims and {one["_id"].split(":")[1] for one in claims} == {"2"}
    rows = writing(mongo_client, keys_database(log.address.database))[SECRETS]
    states = {row["_id"]: "key" in row for row in await rows.find().to_list(None)}
    assert states == {"claims.1": False, "claims.2": True}
    await renewing.work()
    assert await log.differences() == set()
