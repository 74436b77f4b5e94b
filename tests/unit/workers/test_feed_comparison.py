"""What log and feed do not have in common, and where a proof of a feed that was never proven begins."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from events.errors import BrokerUnavailable
from service_kit.broker import feed_comparison
from service_kit.broker.feed_comparison import Difference, EventReference, compare
from service_kit.broker.stream import FeedEntry, Start
from workers.announcing import mark_search
from workers.announcing.mark_search import FIRST_RECONCILIATION, beginnings, is_there
from workers.announcing.marks import Mark

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def id_(number: int) -> str:
    return str(UUID(int=number))


def place(number: int, person: str, version: int) -> EventReference:
    return EventReference(id_(number), person, version, NOW + timedelta(seconds=number))


def entry(number: int, person: str, version: int) -> FeedEntry:
    return FeedEntry(number, "person.updated", person, b"{}", id_(number), version)


async def compared(
    monkeypatch: pytest.MonkeyPatch,
    feed: Sequence[FeedEntry],
    log: Sequence[EventReference],
    at_once: int = 100,
) -> Difference:
    """Compare a feed and a log that are lists; the log comes in pages of three."""

    async def entries(_connection: object, start: Start, end: int, *, queue: str) -> object:
        for one in feed:
            yield one

    async def logged(after: tuple[datetime, str]) -> list[EventReference]:
        return [one for one in log if one.applied_at and (one.applied_at, one.event_id) > after][:3]

    monkeypatch.setattr(feed_comparison, "entries", entries)
    monkeypatch.setattr(feed_comparison, "AT_ONCE", at_once)
    return await compare(None, "first", feed[-1:], logged, NOW, {0}, 1)  # type: ignore[arg-type]


async def test_equal_ones_have_no_difference(monkeypatch):
    log = [place(n, "a", n) for n in range(1, 8)]
    found = await compared(monkeypatch, [entry(n, "a", n) for n in range(1, 8)], log)
    assert (found.missing, found.unknown, found.partial, found.entries, found.events) == ([], [], False, 7, 7)


async def test_what_comes_after_a_missing_event_of_a_person_is_announced_again_with_it(monkeypatch):
    log = [place(1, "a", 1), place(2, "b", 1), place(3, "a", 2), place(4, "a", 3), place(5, "b", 2)]
    feed = [entry(1, "a", 1), entry(2, "b", 1), entry(4, "a", 3), entry(5, "b", 2)]
    found = await compared(monkeypatch, feed, log)
    assert [(one.version, one.in_feed) for one in found.missing] == [(2, False), (3, True)]
    assert found.unknown == []


async def test_it_is_the_version_that_orders_and_not_the_clock(monkeypatch):
    log = [place(1, "a", 3), place(2, "a", 1), place(3, "a", 2)]
    found = await compared(monkeypatch, [entry(1, "a", 3), entry(2, "a", 1)], log)
    assert [(one.version, one.in_feed) for one in found.missing] == [(2, False)]


async def test_what_the_log_lacks_is_named(monkeypatch):
    feed = [entry(1, "a", 1), entry(2, "a", 2)]
    assert [one.version for one in (await compared(monkeypatch, feed, [place(1, "a", 1)])).unknown] == [2]


async def test_an_empty_feed_lacks_all_and_more_than_can_be_held_is_a_part(monkeypatch):
    log = [place(n, "a", n) for n in range(1, 20)]
    assert len((await compared(monkeypatch, [], log)).missing) == 19
    part = await compared(monkeypatch, [], log, at_once=5)
    assert part.partial
    assert 5 < len(part.missing) < 19


async def test_people_of_a_long_feed_are_taken_in_several_passes(monkeypatch):
    people = [f"p{n}" for n in range(40)]
    log = [place(n, person, 1) for n, person in enumerate(people)]
    feed = [entry(n, person, 1) for n, person in enumerate(people) if n % 4]
    found = await compared(monkeypatch, [*feed, entry(99, "gone", 1)], log, at_once=10)
    assert {one.person_id for one in found.missing} == set(people[::4])
    assert [one.person_id for one in found.unknown] == ["gone"]
    assert (found.entries, found.events) == (31, 40)


class Log:
    """Knows some of the events."""

    def __init__(self, *known: str) -> None:
        self._known = known

    async def lacking(self, places: Collection[EventReference]) -> list[EventReference]:
        return [one for one in places if one.event_id not in self._known]


async def begun(monkeypatch, log: Log, known, end: Sequence[FeedEntry], recent: Sequence[FeedEntry] = ()):
    async def probe(_connection: object, start: Start, *, seconds: float) -> list[FeedEntry]:
        assert isinstance(start, datetime)
        return list(recent)

    monkeypatch.setattr(mark_search, "probe", probe)
    return await beginnings(None, log, known, (), end, NOW)  # type: ignore[arg-type]


async def test_a_feed_that_was_never_proven_is_not_read_from_its_beginning(monkeypatch):
    end, recent = [entry(9, "a", 9)], [entry(4, "a", 4)]
    mark = Mark(4, id_(4), NOW - FIRST_RECONCILIATION, NOW - FIRST_RECONCILIATION)
    assert await begun(monkeypatch, Log(id_(9)), {0: []}, end, recent) == [[mark]]
    other = Mark(7, id_(7), NOW, NOW)
    assert await begun(monkeypatch, Log(id_(9)), {0: [], 1: [other]}, end, recent) == [[other], [mark]]
    assert await begun(monkeypatch, Log(id_(9)), {0: []}, end) == [
        [Mark(9, id_(9), NOW - FIRST_RECONCILIATION, NOW - FIRST_RECONCILIATION)]
    ]


async def test_it_is_if_it_is_empty_or_the_log_does_not_know_its_end(monkeypatch):
    end = [entry(9, "a", 9)]
    assert await begun(monkeypatch, Log(), {0: []}, end) == [[]]
    assert await begun(monkeypatch, Log(id_(9)), {0: []}, []) == [[]]


async def test_a_silent_feed_has_not_lost_a_mark(monkeypatch):
    async def nothing(_connection: object, _start: Start, *, seconds: float) -> list[FeedEntry]:
        return []

    monkeypatch.setattr(mark_search, "probe", nothing)
    mark, end = Mark(5, id_(5), NOW, NOW), [entry(9, "a", 9)]
    with pytest.raises(BrokerUnavailable):
        await is_there(None, mark, end)  # type: ignore[arg-type]
    assert not await is_there(None, mark, [entry(4, "a", 4)])  # type: ignore[arg-type]
    assert not await is_there(None, mark, [])  # type: ignore[arg-type]
    assert await is_there(None, Mark(-1, "", NOW, NOW), [])  # type: ignore[arg-type]
