"""Chains of access records as `verify` judges them: what is altered, hidden, or cut off, is found."""

from datetime import UTC
from typing import Any

import pytest

from events.access.batch import FOUND_BY, HELD
from operations.access_links import link_of_batch
from service_kit.access import log as access_log
from service_kit.access.log import AccessLog
from service_kit.access.records import AccessRecord
from service_kit.ids import new_id
from service_kit.seals.access_key import AccessKey
from verifier import Recorded, walk


class Kept:
    """Keeps batches as a walk reads them: their times without a zone."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Any]] = []

    async def key_for(self, stream: str, month: str) -> tuple[str, AccessKey]:
        return f"{month}:{stream}", AccessKey.new()

    async def keep(self, batch) -> None:
        assert all(batch[name].tzinfo is UTC for name in ("begun_at", "ended_at"))
        times = {name: batch[name].replace(tzinfo=None) for name in ("begun_at", "ended_at")}
        self.batches.append({**batch, **times})


@pytest.fixture
async def batches(monkeypatch) -> list[dict[str, Any]]:
    """Four batches of two records each."""
    monkeypatch.setattr(access_log, "BATCH", 2)
    kept = Kept()
    log = AccessLog(kept, "query-api", new_id(), "on", lambda: 1_774_000_000.5)
    for number in range(8):
        path = {"person_id": new_id()}
        log.add(
            AccessRecord(
                1_774_000_000.5 + number,
                "GET",
                "/people/{person_id}",
                200,
                "ada",
                "192.0.2.1",
                b"a case",
                b"q=Ana",
                path,
            )
        )
    await log.close()
    return kept.batches


def found(batches: list[dict[str, Any]], *signed: int) -> list[tuple[str, int | None]]:
    """Return what is found, where checkpoints have signed the heads of some versions."""
    heads = {batch["version"]: batch["hash"] for batch in batches}
    stream = batches[0]["person_id"]
    recorded = [Recorded(stream, version, heads[version], version) for version in signed]
    verdicts = walk(map(link_of_batch, batches), recorded)
    return [(one.finding.kind, one.finding.version) for one in verdicts if one.finding]


def without(batch: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name not in names}


async def test_whatever_is_altered_in_a_batch_is_found(batches):
    assert found(batches) == found(batches, 2, 4) == []
    second = batches[1]
    for changed in (
        {"records": batches[0]["records"]},
        {"people": batches[0]["people"]},
        {"sealed": batches[0]["sealed"]},
        {"marks": []},
        {"subjects": ["eve"]},
        {"count": 1},
        {"key": "another"},
        {"more": 1},
        {"_id": "another"},
        {"ended_at": batches[0]["ended_at"]},
    ):
        assert found([batches[0], {**second, **changed}, *batches[2:]]) == [("altered", 2)], changed
    for name in (*HELD, *FOUND_BY, "prev"):
        assert found([batches[0], without(second, name), *batches[2:]]) == [("altered", 2)], name
    assert found([batches[0], *batches[2:]]) == [("missing", 2)]


async def test_a_stream_begins_at_a_batch_that_was_emptied_where_a_checkpoint_signed(batches):
    cut = without(batches[1], *HELD, *FOUND_BY)
    rest = batches[2:]
    assert found([cut, *rest]) == []
    assert found([cut, *rest], 2, 4) == []
    assert found([batches[0], cut, *rest], 2) == []
    assert found([cut, *rest], 4) == [("truncated", 2)]
    assert found(rest, 4) == [("missing", 1)]
