"""Who follows the events: how many in all, how many of one subject, and that each place comes free again."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import pytest

from events.errors import Busy, Unauthenticated
from events.feed.errors import PositionGone
from events.feed.position import Position
from query_api.feed import reader as reader_module
from query_api.feed import replays as replays_module
from query_api.feed.buffer import FeedBuffer
from query_api.feed.reader import LOOKING, FeedReader
from query_api.feed.replays import FIRST, Replays
from query_api.feed.routes import RETRY_SECONDS, LiveDependencies, add_live_route
from service_kit.auth.tokens import Caller
from service_kit.http.web import create_app
from service_kit.slots import AtOnce, Slots
from tests.chained import ALL_KEYS
from tests.default_schema import SCHEMA
from tests.unit.query_api.test_live_cursors import Stream, entries, named


def caller(subject: str) -> Caller:
    return Caller(subject, None, frozenset({"events:read"}), float("inf"))


class Verifier:
    """Takes the token for the subject's name."""

    async def verify(self, authorization: str) -> Caller:
        return caller(authorization)

    async def is_known(self, _key_id: str) -> bool:
        return True


class Tickets:
    """Tickets are the subjects' names, each good once."""

    def __init__(self) -> None:
        self.spent: list[str] = []

    def read(self, ticket: str) -> Caller:
        return caller(ticket)

    async def spend(self, ticket: str) -> None:
        if ticket in self.spent:
            raise Unauthenticated("used")
        self.spent.append(ticket)


class Reader:
    """Has read the stream to its end."""

    async def connection(self) -> None:
        return None


def stage(number: int, each: int) -> SimpleNamespace:
    feed, tickets = FeedBuffer(), Tickets()
    feed.add(entries(0, 5))
    slots = Slots.shared(AtOnce(number, each), "clients follow the events", RETRY_SECONDS)
    app = create_app("test", {})
    add_live_route(
        app, LiveDependencies(feed, Reader(), Stream(feed, 5), Verifier(), tickets, slots, None, SCHEMA)
    )
    return SimpleNamespace(feed=feed, tickets=tickets, slots=slots, app=app)


class Follower:
    """A client that follows until it leaves."""

    def __init__(self, app, subject: str, query: str = "") -> None:
        self._left = asyncio.Event()
        self._began = asyncio.Event()
        self.status = 0
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/events/stream",
            "query_string": query.encode(),
            "headers": [] if query else [(b"authorization", subject.encode())],
        }
        self._task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self):
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._began.set()

    async def begun(self) -> int:
        await asyncio.wait_for(self._began.wait(), 5)
        return self.status

    async def leave(self) -> None:
        self._left.set()
        await asyncio.wait_for(self._task, 5)


async def test_one_subject_cannot_take_all_places_and_who_leaves_makes_room():
    at = stage(3, 2)
    transport = httpx.ASGITransport(at.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        followers = [Follower(at.app, "ada") for _ in range(2)]
        assert [await one.begun() for one in followers] == [200, 200]
        refused = await client.get("/events/stream", headers={"Authorization": "ada"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, str(RETRY_SECONDS))
        assert refused.json()["type"] == "urn:rollcall:problem:busy"
        assert refused.json()["detail"].endswith("at most 3 in all, and 2 of one subject")
        followers.append(Follower(at.app, "grace"))
        assert await followers[-1].begun() == 200
        refused = await client.get("/events/stream", headers={"Authorization": "ida"})
        assert refused.status_code == 503
        # Only the head: nothing is opened.
        assert (await client.head("/events/stream", headers={"Authorization": "ida"})).status_code == 200
    assert at.slots.in_use == 3
    await followers.pop(0).leave()
    followers.append(Follower(at.app, "ada"))
    assert await followers[-1].begun() == 200
    for one in followers:
        await one.leave()
    assert at.slots.in_use == 0
    assert at.feed.clients == 0


async def test_a_ticket_is_not_spent_on_a_refusal():
    at = stage(1, 1)
    first = Follower(at.app, "ada")
    await first.begun()
    second = Follower(at.app, "", "ticket=grace")
    assert await second.begun() == 503
    assert at.tickets.spent == []
    await first.leave()
    third = Follower(at.app, "", "ticket=grace")
    assert await third.begun() == 200
    assert at.tickets.spent == ["grace"]
    await third.leave()


@pytest.mark.parametrize(
    ("query", "status"), [("ticket=ada", 401), (f"ticket=grace&from={named(3, stream=1)}", 410)]
)
async def test_who_is_refused_for_another_reason_takes_no_place(query, status):
    at = stage(1, 1)
    at.tickets.spent.append("ada")
    assert await Follower(at.app, "", query).begun() == status
    assert at.slots.in_use == 0


async def test_one_subject_cannot_take_all_replays(monkeypatch):
    @asynccontextmanager
    async def reading(*_arguments, **_options):
        yield SimpleNamespace(take=lambda: some())

    async def some():
        return entries(0, 3)

    monkeypatch.setattr(replays_module, "reading", reading)
    replays = Replays("amqp://unused", AtOnce(3, 2), ALL_KEYS)
    replays._connection = SimpleNamespace()
    replays._connected.set()
    async with replays.after(FIRST, "ada"), replays.after(FIRST, "ada"):
        with pytest.raises(Busy, match="read older events"):
            async with replays.after(FIRST, "ada"):
                pass
        async with replays.after(FIRST, "grace") as (found, _):
            assert found == entries(0, 3)
    with pytest.raises(PositionGone):
        async with replays.after(named(0, stream=1), "ada"):
            pass
    async with replays.after(Position(-1), "ada"), replays.after(FIRST, "ada"):
        pass


async def test_one_subject_cannot_look_for_the_end_on_every_channel(monkeypatch):
    looked, shown = asyncio.Semaphore(0), asyncio.Event()

    async def newest(*_arguments, **_options):
        looked.release()
        await shown.wait()
        return entries(5, 5)

    monkeypatch.setattr(reader_module, "newest", newest)
    reader = FeedReader("amqp://unused", FeedBuffer(), SimpleNamespace(), ALL_KEYS)
    reader._connection = SimpleNamespace()
    reader._ready.set()
    looking = [asyncio.create_task(reader.ends_before(7, "ada")) for _ in range(LOOKING.each)]
    for _ in looking:
        await looked.acquire()
    with pytest.raises(Busy, match="look for the end"):
        await reader.ends_before(7, "ada")
    looking.append(asyncio.create_task(reader.ends_before(5, "grace")))
    await looked.acquire()
    shown.set()
    assert await asyncio.gather(*looking) == [True] * LOOKING.each + [False]
    assert await reader.ends_before(7, "ada")
