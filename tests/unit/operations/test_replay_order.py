"""The pure parts of a replay: the order of events, the place to go on from, what is under way at once."""

from datetime import UTC, datetime, timedelta

import pytest

from operations.errors import SetupError
from operations.replay.log import BATCH, SAFE_AGE, ReplayProgress, ReplayRange, batches, time_of
from operations.replay.queue import rounds
from tests.chained import stream

T = datetime(2026, 1, 31, 8)  # noqa: DTZ001 - as the reader gives them
MS = timedelta(milliseconds=1)


def event(person_id: str, version: int, ms: int):
    return {
        "_id": f"{person_id}{version}",
        "person_id": person_id,
        "version": version,
        "applied_at": T + ms * MS,
    }


def test_a_person_s_events_of_one_millisecond_are_in_order_whatever_their_ids():
    first, second = {**event("a", 1, 0), "_id": "z"}, {**event("a", 2, 0), "_id": "b"}
    given = [second, event("c", 1, 0), first, event("d", 1, 1)]
    (batch,) = batches(iter(given))
    assert [one["version"] for one in batch if one["person_id"] == "a"] == [1, 2]
    assert batch[-1]["person_id"] == "d"


def test_events_of_one_millisecond_are_in_one_batch():
    given = [event(f"p{n}", 1, n // 3) for n in range(3 * BATCH)]
    found = list(batches(iter(given)))
    assert [one for batch in found for one in batch] == given
    ends = [batch[-1]["applied_at"] for batch in found]
    assert len(ends) > 2 and all(
        batch[0]["applied_at"] > end for end, batch in zip(ends, found[1:], strict=False)
    )


def test_it_goes_on_after_the_last_event_but_not_beyond_what_may_still_get_company():
    place = ReplayProgress(None)
    place.passed([event("a", 1, 0), event("b", 1, 5)])
    assert place.next == (T + 6 * MS).replace(tzinfo=UTC)
    now = datetime.now(UTC).replace(tzinfo=None)
    place.passed([{**event("a", 2, 0), "applied_at": now}])
    assert (place.events, place.next) == (3, (T + 6 * MS).replace(tzinfo=UTC))
    place.passed([{**event("a", 3, 0), "applied_at": now - SAFE_AGE - MS}, event("b", 2, 10**12)])
    assert place.next > (T + 6 * MS).replace(tzinfo=UTC)


def test_no_person_has_two_events_under_way():
    a, b = stream("a", 3), stream("b", 1)
    found = list(rounds([a[0], b[0], a[1], a[2]]))
    assert found == [[a[0], b[0]], [a[1]], [a[2]]]
    assert list(rounds([])) == []


def test_what_is_wanted_is_asked_of_the_log():
    begin = T.replace(tzinfo=UTC)
    assert ReplayRange().conditions(None) == {}
    wanted = ReplayRange(until=begin, types=("person.deleted",), person_id="p", actor="ada")
    assert wanted.conditions(begin) == {
        "applied_at": {"$gte": begin, "$lt": begin},
        "type": {"$in": ["person.deleted"]},
        "person_id": "p",
        "actor": "ada",
    }


def test_a_time_has_an_offset():
    assert time_of("--until", "2026-01-31T09:00:00+01:00") == T.replace(tzinfo=UTC)
    for text in ("yesterday", "2026-01-31T09:00:00"):
        with pytest.raises(SetupError, match="--until"):
            time_of("--until", text)
