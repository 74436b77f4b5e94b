"""Without `audit:read` the feed tells what is still so: no former value, nothing of the deleted, no whereabouts."""

import asyncio
from contextlib import aclosing, asynccontextmanager

import orjson
import pytest

from events.errors import StoreUnavailable
from events.feed.position import Position
from query_api.feed.buffer import FeedBuffer
from query_api.feed.items import Item
from query_api.feed.live_client import LiveClient
from query_api.feed.replays import FIRST
from query_api.feed.withholding import HiddenFields
from service_kit.broker.stream import FeedEntry
from tests.default_schema import SCHEMA

ATTRIBUTES = {
    "actor": "ada",
    "sourceaddress": "203.0.113.9",
    "useragent": "curl",
    "hash": "a" * 64,
    "prevhash": "b" * 64,
}
EARLY, LATE = "2026-01-31T08:00:00.000Z", "2026-01-31T09:00:00.000Z"


class Log:
    """Makes announcements, each at the next offset."""

    def __init__(self) -> None:
        self.offset = -1

    def entry(self, person: str, version: int, data: dict | None = None, time: str = LATE) -> FeedEntry:
        self.offset += 1
        kind = "person.deleted" if data is None else "person.created" if version == 1 else "person.updated"
        event_id = f"0199b1f0-7a35-7d0e-8000-{self.offset:012x}"
        content = {"id": event_id, "type": kind, "subject": person, "version": version, "time": time}
        body = orjson.dumps({**content, **ATTRIBUTES, "data": data or {}})
        return FeedEntry(self.offset, kind, person, body, event_id, version, time)


def told(items, people=None) -> list[dict]:
    """Return the data that clients without `audit:read` get, event by event."""
    bodies = [one.current_frame(people or {}).split(b"\ndata: ")[1] for one in items]
    return [orjson.loads(body)["data"] for body in bodies]


def buffer_of(*entries: FeedEntry, fresh_since: str = "") -> FeedBuffer:
    feed = FeedBuffer()
    for entry in entries:
        feed.add([entry], fresh_since)
    return feed


def test_a_value_is_told_until_it_changes():
    log = Log()
    feed = buffer_of(
        log.entry("p", 1, {"first_name": "Ana", "phone": "+571", "address": "Calle 1"}),
        log.entry("q", 1, {"first_name": "Ben"}),
        log.entry("p", 2, {"address": "Calle 2", "phone": None}),
    )
    assert told(feed.since(0)) == [
        {"first_name": "Ana"},
        {"first_name": "Ben"},
        {"address": "Calle 2", "phone": None},
    ]
    feed.add([log.entry("p", 3, {"address": "Calle 3"})])
    assert told(feed.since(0))[2:] == [{"phone": None}, {"address": "Calle 3"}]


def test_of_a_deleted_person_nothing_personal_is_told():
    log = Log()
    feed = buffer_of(
        log.entry("p", 1, {"first_name": "Ana"}), log.entry("p", 2, {"phone": "+571"}), log.entry("p", 3)
    )
    assert told(feed.since(0)) == [{}, {}, {}]
    feed.add([log.entry("p", 2, {"phone": "+571"})])
    assert told(feed.since(0))[3:] == [{}], "announced again, since its worker had died"


def test_an_event_that_is_announced_again_tells_no_more_than_before():
    log = Log()
    feed = buffer_of(
        log.entry("p", 1, {"first_name": "Ana", "address": "Calle 1"}),
        log.entry("p", 2, {"address": "Calle 2"}),
        log.entry("p", 1, {"first_name": "Ana", "address": "Calle 1"}),
        log.entry("p", 2, {"address": "Calle 2"}),
    )
    assert told(feed.since(0)) == [{"first_name": "Ana"}, {"address": "Calle 2"}] * 2
    feed.add([log.entry("p", 3, {"first_name": "Eva", "address": "Calle 3"})])
    assert told(feed.since(0))[:4] == [{}] * 4


def test_what_memory_forgets_is_forgotten_whole():
    log = Log()
    feed = FeedBuffer(max_events=2)
    for version in range(1, 50):
        feed.add([log.entry("p", version, {"address": f"Calle {version}"}), log.entry(f"q{version}", 1, {})])
    assert told(feed.since(feed.floor)) == [{"address": "Calle 49"}, {}]
    assert set(feed._values._people) == {"p", "q49"}


def test_addresses_agents_and_hashes_are_left_out_and_who_did_it_is_not():
    item = Item(Log().entry("p", 1, {"first_name": "Ana"}), fresh=True)
    content = orjson.loads(item.current_frame({}).split(b"\ndata: ")[1])
    assert content.keys() & ATTRIBUTES.keys() == {"actor"}
    assert all(value.encode() in item.frame() for value in ATTRIBUTES.values())


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ({"version": 3, "first_name": "Ana", "address": "Calle 2", "phone": None}, {"first_name": "Ana"}),
        (
            {"version": 2, "first_name": "Ana", "address": "Calle 1"},
            {"first_name": "Ana", "address": "Calle 1"},
        ),
        ({"version": 1, "first_name": "Eva"}, {"first_name": "Ana", "address": "Calle 1"}),
        ({"version": 3, "deleted": True}, {}),
        (None, {}),
    ],
)
def test_older_events_are_compared_with_the_read_model(person, expected):
    item = Item(Log().entry("p", 2, {"first_name": "Ana", "address": "Calle 1"}), fresh=False)
    assert told([item], {"p": person} if person else {}) == [expected]


def test_what_is_no_event_of_ours_tells_nothing():
    foreign = FeedEntry(0, "x", "y", b'{"type":"x","subject":"y","data":"secret"}')
    assert told(buffer_of(foreign).since(0)) == [{}]
    assert told([Item(foreign, fresh=False)]) == [{}]
    assert buffer_of(FeedEntry(0, "", "", b"")).since(0)[0].current_frame({}) == b""


class Read:
    """Stands for the read model and for the replays."""

    def __init__(self, people: dict[str, dict], entries: list[FeedEntry] | None = None) -> None:
        self.people, self.entries, self.asked = people, entries or [], []

    async def find(self, ids) -> dict[str, dict]:
        self.asked.append(set(ids))
        if "away" in self.people:
            raise StoreUnavailable("away")
        return {id_: self.people[id_] for id_ in ids if id_ in self.people}

    @asynccontextmanager
    async def after(self, _position, _subject):
        yield self.entries, self


async def sent_to(client: LiveClient, count: int) -> list[dict]:
    """Return the data of the next events."""
    sent = b""
    async with asyncio.timeout(5), aclosing(client.chunks()) as chunks:
        async for chunk in chunks:
            sent += chunk
            data = [line[6:] for line in sent.split(b"\n") if line.startswith(b"data: ")]
            if len(data) >= count:
                return [orjson.loads(one).get("data") for one in data]
    raise AssertionError(sent)


async def test_a_replay_and_the_feed_after_it_tell_what_is_still_so():
    log = Log()
    older = [log.entry("p", 1, {"address": "Calle 1"}), log.entry("q", 1, {"address": "Calle 7"})]
    feed = FeedBuffer()
    feed.start(2)
    feed.add([log.entry("p", 2, {"address": "Calle 2"}), log.entry("p", 3, {"address": "Calle 3"})])
    people = {"p": {"version": 3, "address": "Calle 3"}, "q": {"version": 1, "address": "Calle 7"}}
    whole = [{"address": f"Calle {number}"} for number in (1, 7, 2, 3)]
    for find, expected in ((Read(people), [{}, whole[1], {}, whole[3]]), (None, whole)):
        client = LiveClient(feed, FIRST, find_people=find and find.find)
        await client.open(Read(people, older))
        assert await sent_to(client, 4) == expected
        await client.close()
        assert find is None or find.asked == [{"p", "q"}], "memory knows what it has"


async def test_an_old_event_that_comes_again_is_compared_with_the_read_model():
    log = Log()
    again = log.entry("p", 1, {"address": "Calle 1"}, time=EARLY)
    feed = buffer_of(again, log.entry("q", 1, {"address": "Calle 7"}), fresh_since=LATE)
    read = Read({"p": {"version": 2, "address": "Calle 2"}})
    assert await sent_to(LiveClient(feed, Position(-1), find_people=read.find), 2) == [
        {},
        {"address": "Calle 7"},
    ]
    assert await sent_to(LiveClient(feed, Position(-1)), 1) == [
        {"address": "Calle 1"},
        {"address": "Calle 7"},
    ]
    away = LiveClient(feed, Position(-1), find_people=Read({"away": {}}).find)
    async with asyncio.timeout(5):
        sent = [chunk async for chunk in away.chunks()]
    assert sent[1:] == [b'retry: 1000\nevent: cut\ndata: {"reason":"lost"}\n\n'], "it comes again"


def test_a_field_that_wants_a_scope_is_in_no_event_of_who_lacks_it():
    log = Log()
    (item,) = buffer_of(log.entry("p", 1, {"first_name": "Ana", "iban": "DE1"})).since(0)
    hidden = HiddenFields(frozenset({"iban"}), SCHEMA)
    for frame in (item.frame(hidden), item.current_frame({}, hidden)):
        assert b"DE1" not in frame and b"iban" not in frame and b"Ana" in frame
    assert b"DE1" in item.frame()
