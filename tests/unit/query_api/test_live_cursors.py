"""The live feed's parts without a broker: order, filters, joining, cutting off."""

import asyncio
from contextlib import ExitStack, aclosing, asynccontextmanager

import orjson
import pytest

from events.errors import BrokerUnavailable
from events.feed.errors import PositionGone
from events.feed.position import Position
from query_api.feed import live_client
from query_api.feed import live_response as live
from query_api.feed.buffer import Behind, FeedBuffer
from query_api.feed.live_client import LiveClient
from query_api.feed.live_response import LiveResponse
from query_api.feed.replays import FIRST
from service_kit.broker.stream import FeedEntry

TYPES = ("person.created", "person.updated", "person.deleted")


def event_id(offset: int, stream: int = 0) -> str:
    """Return the id of the event at an offset of one stream, or of another one."""
    return f"0199b1f0-7a35-7d0e-8{stream:03x}-{offset:012x}"


def entry(offset: int, stream: int = 0) -> FeedEntry:
    body = orjson.dumps({"id": event_id(offset, stream), "padding": "x" * 20})
    return FeedEntry(offset, TYPES[offset % 3], f"p{offset % 4}", body, event_id(offset, stream))


def named(offset: int, stream: int = 0) -> Position:
    return Position(offset, event_id(offset, stream))


def entries(first: int, last: int, stream: int = 0) -> list[FeedEntry]:
    return [entry(offset, stream) for offset in range(first, last + 1)]


def ids(chunks: bytes) -> list[int]:
    blocks = [
        dict(line.split(b": ", 1) for line in block.split(b"\n")) for block in chunks.split(b"\n\n")[:-1]
    ]
    return [
        int(block[b"id"].split(b"-")[0])
        for block in blocks
        if block.get(b"event", b"").startswith(b"person.")
    ]


class Stream:
    """Stands for the replays: gives what is asked for, a few at a time, and adds to the feed meanwhile."""

    def __init__(self, feed: FeedBuffer, last: int, fails_after: int = 1000) -> None:
        self._feed, self._last, self._left = feed, last, fails_after
        self.open = 0

    async def take(self) -> list[FeedEntry]:
        if not self._left:
            raise BrokerUnavailable("gone")
        self._left -= 1
        taken = entries(self._next, min(self._next + 6, self._last))
        self._next = taken[-1].offset + 1
        self._feed.add(entries(self._last + 1, self._last + 2))
        self._last += 2
        return taken

    @asynccontextmanager
    async def after(self, position: Position, _subject: str):
        self._next = max(position.offset + 1, 0)
        self.open += 1
        try:
            yield await self.take(), self
        finally:
            self.open -= 1


async def until(client: LiveClient, last: int) -> bytes:
    """Return what a client sends up to an offset."""
    sent = b""
    async with asyncio.timeout(60), aclosing(client.chunks()) as chunks:
        async for chunk in chunks:
            sent += chunk
            if (found := ids(sent)) and found[-1] >= last:
                break
    return sent


async def test_a_client_gets_what_comes_after_its_position():
    feed = FeedBuffer()
    feed.add(entries(5, 9))
    assert ids(await until(LiveClient(feed, Position(6)), 9)) == [7, 8, 9]


async def test_an_event_is_three_lines_with_the_announcement_as_it_was():
    feed = FeedBuffer()
    feed.add([entry(7)])
    sent = await until(LiveClient(feed, Position(6)), 7)
    assert sent == b"retry: 1000\nid: 6\n\nid: %b\nevent: person.updated\ndata: %b\n\n" % (
        str(named(7)).encode(),
        entry(7).body,
    )


@pytest.mark.parametrize("position", [FIRST, Position(-1), Position(3), named(20)])
async def test_a_replay_joins_the_feed_without_gap_or_repeat(position):
    feed = FeedBuffer(max_events=4)
    feed.add(entries(40, 42))
    stream = Stream(feed, 42)
    client = LiveClient(feed, position)
    await client.open(stream)
    sent = b""
    async with asyncio.timeout(60), aclosing(client.chunks()) as chunks:
        async for chunk in chunks:
            sent += chunk
            if not stream.open and ids(sent)[-1] == feed.next - 1:
                break
    assert ids(sent) == list(range(max(position.offset + 1, 0), feed.next))
    await client.close()
    assert feed.clients == 0


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"types": frozenset({"person.created"})}, [0, 3, 6, 9, 12]),
        ({"person_id": "p2"}, [2, 6, 10]),
        ({"types": frozenset({"person.created", "person.deleted"}), "person_id": "p2"}, [2, 6]),
    ],
)
async def test_filters(wanted, expected):
    feed = FeedBuffer()
    feed.add(entries(0, 12))
    assert ids(await until(LiveClient(feed, Position(-1), **wanted), expected[-1])) == expected


async def test_silence_is_broken_and_the_place_told_though_a_filter_kept_all_out():
    feed = FeedBuffer()
    feed.add(entries(0, 12))
    async with (
        asyncio.timeout(60),
        aclosing(LiveClient(feed, Position(3), person_id="p9", heartbeat=0.05).chunks()) as chunks,
    ):
        assert await anext(chunks) == b"retry: 1000\nid: 3\n\n"
        assert await anext(chunks) == b": heartbeat\nid: %b\n\n" % str(named(12)).encode()


async def test_a_client_that_is_too_slow_is_told_so():
    feed = FeedBuffer(max_events=10)
    feed.add(entries(0, 5))
    async with aclosing(LiveClient(feed, Position(2)).chunks()) as chunks:
        await anext(chunks)
        assert ids(await anext(chunks)) == [3, 4, 5]
        feed.add(entries(6, 30))
        assert b'event: cut\ndata: {"reason":"slow"}\n\n' in await anext(chunks)
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)


async def test_what_is_kept_is_bounded_in_number_and_size():
    feed = FeedBuffer(max_events=10)
    feed.add(entries(0, 30))
    assert (feed.floor, feed.next) == (21, 31)
    small = FeedBuffer(max_bytes=500)
    small.add(entries(0, 30))
    assert sum(len(one.entry.body) for one in small.since(small.floor)) <= 500
    with pytest.raises(Behind):
        feed.since(20)


async def test_a_named_position_is_served_if_its_event_is_there():
    feed = FeedBuffer()
    feed.add(entries(5, 9))
    client = LiveClient(feed, named(6))
    await client.open(Stream(feed, 9))
    assert ids(await until(client, 9)) == [7, 8, 9]


@pytest.mark.parametrize("position", [named(6, stream=1), named(9, stream=1)])
async def test_a_position_whose_event_is_not_there_any_more_is_gone(position):
    feed = FeedBuffer()
    feed.add(entries(5, 9))
    with pytest.raises(PositionGone) as refusal:
        await LiveClient(feed, position).open(Stream(feed, 9))
    assert refusal.value.event_id == position.event_id


async def test_what_is_none_of_ours_is_a_place_without_a_name():
    feed = FeedBuffer()
    feed.add([*entries(0, 2), FeedEntry(3, "", "", b"")])
    async with (
        asyncio.timeout(60),
        aclosing(LiveClient(feed, named(2), heartbeat=0.05).chunks()) as chunks,
    ):
        assert await anext(chunks) == b"retry: 1000\nid: %b\n\n" % str(named(2)).encode()
        assert await anext(chunks) == b": heartbeat\nid: 3\n\n"


async def test_a_stream_that_grew_again_over_the_same_offsets_sends_clients_away():
    feed = FeedBuffer()
    feed.add(entries(0, 5))
    client = LiveClient(feed, named(3))
    async with asyncio.timeout(60), aclosing(client.chunks()) as chunks:
        await anext(chunks)
        assert ids(await anext(chunks)) == [4, 5]
        feed.reset()
        feed.add(entries(0, 9, stream=1))
        assert await anext(chunks) == b'retry: 1000\nevent: cut\ndata: {"reason":"lost"}\n\n'
    assert feed.joined(feed.since(4)[:2]) == b"".join(one.frame() for one in feed.since(4)[:2])
    assert str(named(4, stream=1)).encode() in feed.joined(feed.since(4)[:2])


async def test_a_client_whose_key_goes_is_sent_away(monkeypatch):
    monkeypatch.setattr(live_client, "CHECK_SECONDS", 0.02)
    feed, answers = FeedBuffer(), [True, True, False]
    feed.add(entries(0, 5))

    async def is_good() -> bool:
        return answers.pop(0)

    client = LiveClient(feed, Position(5), heartbeat=0.01, is_good=is_good)
    async with asyncio.timeout(5):
        sent = [chunk async for chunk in client.chunks()]
    assert sent[-1] == b'retry: 1000\nevent: cut\ndata: {"reason":"token-expired"}\n\n'
    assert not answers


@pytest.mark.parametrize("reason", ["ending", "token-expired", "lost"])
async def test_a_client_that_must_go_is_told_why(reason):
    feed = FeedBuffer()
    feed.add(entries(0, 5))
    client = LiveClient(feed, Position(5), expires_at=0 if reason == "token-expired" else float("inf"))
    if reason == "ending":
        feed.close()
    if reason == "lost":
        client = LiveClient(feed, Position(-1))
        feed.reset()
        feed.add(entries(50, 51))
        await client.open(Stream(feed, 51, fails_after=1))
    async with asyncio.timeout(60):
        sent = [chunk async for chunk in client.chunks()]
    assert sent[-1] == b'retry: 1000\nevent: cut\ndata: {"reason":"%b"}\n\n' % reason.encode()
    await client.close()


class Client:
    """An ASGI client that takes nothing after some chunks, or leaves."""

    def __init__(self, takes: int) -> None:
        self._takes = takes
        self.gone = asyncio.Event()
        self.greeted = asyncio.Event()
        self.got: list[bytes] = []

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.got.append(message.get("body", b""))
        if len(self.got) == 2:
            self.greeted.set()
        self._takes -= 1
        if self._takes < 0:
            await asyncio.Event().wait()


async def test_a_client_that_takes_nothing_holds_nothing(monkeypatch):
    monkeypatch.setattr(live, "SEND_SECONDS", 0.05)
    feed = FeedBuffer()
    feed.add(entries(0, 5))
    client = Client(takes=1)
    async with asyncio.timeout(60):
        await LiveResponse(LiveClient(feed, Position(2)), ExitStack())({}, client.receive, client.send)
    assert feed.clients == 0


async def test_a_client_that_leaves_is_forgotten():
    feed = FeedBuffer()
    feed.add(entries(0, 5))
    client = Client(takes=100)
    answering = asyncio.create_task(
        LiveResponse(LiveClient(feed, Position(5)), ExitStack())({}, client.receive, client.send)
    )
    await asyncio.wait_for(client.greeted.wait(), 5)
    assert feed.clients == 1
    client.gone.set()
    await asyncio.wait_for(answering, 5)
    assert feed.clients == 0
