"""What is made of a stream that says nothing: never an empty one, and never a position that is gone."""

import asyncio
import time
import types
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import orjson
import pytest
from aiormq.exceptions import ChannelInvalidStateError

import subscriber
import subscriber.stream
from events.errors import BrokerUnavailable, Unavailable
from events.feed.errors import PositionGone
from events.feed.position import Position
from events.log.event import EVENT_SCHEMA
from query_api.feed import routes as live
from query_api.feed.buffer import FeedBuffer
from query_api.feed.positions import Positions
from query_api.feed.reader import START_SECONDS, FeedReader
from query_api.feed.routes import LiveDependencies
from service_kit.broker import stream
from service_kit.broker.stream import newest_if_any, probe, reading, truncated_before
from subscriber import SavedPosition
from tests.chained import ALL_KEYS
from tests.default_schema import SCHEMA
from tests.system import eventually
from tests.unit.query_api.test_live_cursors import entries, event_id, named


class Stream:
    """Stands for a connection to a broker with one stream.

    Attributes:
        events: How many there are; their offsets begin at 0.
        silent: Where a consumer that begins there gets nothing: offsets, and ends.
        open: How many channels are.
        trouble: What setting a channel's credit raises.
        consumed: Where consumers have begun.
    """

    def __init__(self, events: int = 0, silent: frozenset[object] = frozenset()) -> None:
        self.events = events
        self.silent = silent
        self.open = 0
        self.trouble: BaseException | None = None
        self.consumed: list[object] = []

    async def channel(self, **_: object) -> "Channel":
        self.open += 1
        return Channel(self)

    async def consume(self, start: object) -> list[int]:
        """Return the offsets that a consumer gets."""
        self.consumed.append(start)
        if start in self.silent or (isinstance(start, datetime) and datetime in self.silent):
            return []
        ends = {"first": 0, "last": max(0, self.events - 3), "next": self.events}
        begin = 0 if isinstance(start, datetime) else ends.get(start, start)
        return list(range(begin, self.events))


class Channel:
    """One of its channels, and what is beneath it."""

    def __init__(self, of: Stream) -> None:
        self._of = of
        self._is_open = True
        self._delivering = asyncio.get_running_loop().create_future()
        self.closing = asyncio.get_running_loop().create_future()
        self.on_consumer_cancel_callbacks: set = set()

    async def set_qos(self, prefetch_count: int) -> None:
        if self._of.trouble is not None:
            raise self._of.trouble

    async def get_underlay_channel(self) -> "Channel":
        return self

    async def close(self) -> None:
        self._of.open -= self._is_open
        self._is_open = False
        self._delivering.cancel()

    async def basic_ack(self, _tag: int, **_: object) -> None:
        pass

    async def basic_consume(self, _queue: str, receive, arguments: dict) -> None:
        offsets = await self._of.consume(arguments["x-stream-offset"])
        # Who waits gets one first, and the rest of the chunk then. The first is there at once: how long silence
        # may last here is less than a busy machine may take for anything.
        await self._deliver(receive, offsets[:1])
        self._delivering = asyncio.create_task(self._deliver(receive, offsets[1:]))

    async def _deliver(self, receive, offsets: list[int]) -> None:
        for offset in offsets:
            await asyncio.sleep(0)
            more = {"type": "person.created", "subject": "p", "schemaversion": EVENT_SCHEMA, "data": {}}
            body = orjson.dumps({"id": event_id(offset), **more})
            properties = types.SimpleNamespace(headers={"x-stream-offset": offset})
            header = types.SimpleNamespace(properties=properties)
            await receive(types.SimpleNamespace(header=header, body=body, delivery_tag=offset + 1))


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Take silence for what it is after a moment."""
    monkeypatch.setattr(stream, "PROBE_SECONDS", 0.05)
    monkeypatch.setitem(newest_if_any.__kwdefaults__, "seconds", 0.2)
    monkeypatch.setitem(probe.__kwdefaults__, "seconds", 0.05)
    monkeypatch.setattr(live, "CATCH_UP_SECONDS", 0.05)


@pytest.mark.parametrize("trouble", [ChannelInvalidStateError("closed"), asyncio.CancelledError()])
async def test_a_channel_that_cannot_be_used_is_closed(trouble):
    broker = Stream()
    broker.trouble = trouble
    with pytest.raises(BrokerUnavailable):
        async with reading(broker, "first", credit=1):
            pass
    assert broker.open == 0


@pytest.mark.parametrize("silent", [{"last"}, {"last", datetime}])
async def test_a_stream_that_does_not_show_its_end_is_not_taken_for_empty(silent):
    feed = FeedBuffer()
    reader = FeedReader("amqp://unused", feed, Positions(time.monotonic), ALL_KEYS)
    with pytest.raises(BrokerUnavailable, match="does not show its end"):
        await asyncio.wait_for(reader._use(Stream(7, silent)), 5)
    assert feed.next is None
    with pytest.raises(BrokerUnavailable):
        await reader.check()


async def test_an_empty_stream_is_known_as_that_after_some_patience():
    reader = FeedReader("amqp://unused", feed := FeedBuffer(), Positions(time.monotonic), ALL_KEYS)
    broker = Stream(0)
    reading_on = asyncio.create_task(reader._use(broker))
    try:
        await eventually(lambda: is_ready(reader))
        assert feed.next == 0
        assert "first" in broker.consumed
    finally:
        reading_on.cancel()
        await asyncio.gather(reading_on, return_exceptions=True)
    assert broker.open == 0


async def test_a_process_that_starts_waits_for_the_stream_but_not_for_ever():
    now = 100.0
    reader = FeedReader("amqp://unused", FeedBuffer(), Positions(time.monotonic), ALL_KEYS, clock=lambda: now)
    with pytest.raises(BrokerUnavailable):
        await reader.check_start()
    now += START_SECONDS
    await reader.check_start()
    with pytest.raises(BrokerUnavailable):
        await reader.check()


async def test_a_process_that_has_read_the_stream_once_has_started():
    reader = FeedReader(
        "amqp://unused", FeedBuffer(), Positions(time.monotonic), ALL_KEYS, clock=lambda: 100.0
    )
    reading_on = asyncio.create_task(reader._use(Stream(0)))
    try:
        await eventually(lambda: is_ready(reader))
    finally:
        reading_on.cancel()
        await asyncio.gather(reading_on, return_exceptions=True)
    assert not await is_ready(reader)
    await reader.check_start()


async def is_ready(reader: FeedReader) -> bool:
    try:
        await reader.check()
    except BrokerUnavailable:
        return False
    return True


async def placed(broker: Stream, position: Position, feed: FeedBuffer) -> Position:
    """Return from where a client with a position follows, who asks a process that has read the feed."""
    reader = FeedReader("amqp://unused", feed, Positions(time.monotonic), ALL_KEYS)
    reader._connection = broker
    reader._ready.set()
    reader_of = LiveDependencies(feed, reader, None, None, None, None, None, SCHEMA)
    return await reader_of._place(position, "ada")


def read_up_to(offset: int) -> FeedBuffer:
    feed = FeedBuffer()
    feed.add(entries(0, offset))
    return feed


@pytest.mark.parametrize(
    "broker",
    [Stream(7, {"last"}), Stream(11), Stream(8)],
    ids=["a silent one", "one that goes on", "one with the position in its last chunk"],
)
async def test_a_position_that_was_only_not_read_yet_is_not_gone(broker):
    with pytest.raises(Unavailable):
        await placed(broker, named(7), read_up_to(3))


async def test_a_position_beyond_the_end_that_the_stream_shows_is_gone():
    with pytest.raises(PositionGone):
        await placed(Stream(7), named(7), read_up_to(6))


async def test_a_first_entry_that_is_not_shown_proves_no_gap():
    with pytest.raises(BrokerUnavailable, match="first entry"):
        await truncated_before(Stream(9, {"first"}), 5)
    assert not await truncated_before(Stream(9), 5)


def following(broker: Stream, saved: SavedPosition, monkeypatch, *, start: str = "first"):
    """Follow a stream whose connections are lost as soon as `follow` has to wait; return a way to use one."""
    uses = []

    async def keep_connected(_url, _name, use) -> None:
        uses.append(use)

    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(subscriber.stream, "keep_connected", keep_connected)
    monkeypatch.setattr(subscriber.stream.DeadLetters, "open", nothing)
    handled: list[str] = []

    async def handle(event) -> None:
        handled.append(event["id"])

    async def connect_once(seconds: float = 0.6, *, until: Callable[[], object] | None = None) -> list[str]:
        """Use a connection for so long, or until something is so, and return the events that were handled."""
        handled.clear()
        if not uses:
            await subscriber.follow("amqp://unused", "tests", handle, saved, start=start)
        using = asyncio.ensure_future(uses[0](broker))
        end = time.monotonic() + (seconds if until is None else 20)
        while not using.done() and time.monotonic() < end and not (until and until()):
            await asyncio.wait([using], timeout=0.02)
        if using.done():
            using.result()
        await asyncio.wait([using], timeout=0.1)  # what comes beyond what was waited for
        using.cancel()
        with suppress(asyncio.CancelledError):
            await using
        return list(handled)

    return connect_once


class Lagging(Stream):
    """A stream of whose copy the newest event comes late: after its end was asked for."""

    async def consume(self, start: object) -> list[int]:
        offsets = await super().consume(start)
        if start == "last":
            self.events += 1
        return offsets


@pytest.mark.parametrize(
    "broker",
    [Stream(9, {8}), Stream(9, {8, "last"}), Lagging(8)],
    ids=["at its place", "everywhere", "until it came"],
)
async def test_a_silence_is_no_proof_that_a_subscribers_event_is_gone(broker, tmp_path, monkeypatch):
    monkeypatch.setattr(subscriber.stream, "PROOF_SECONDS", 0.1)
    saved = SavedPosition(tmp_path / "place")
    saved.save(str(named(8)))
    with pytest.raises(BrokerUnavailable, match="delivers nothing"):
        await following(broker, saved, monkeypatch)(5)


async def test_a_subscribers_event_beyond_the_end_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(subscriber.stream, "PROOF_SECONDS", 0.1)
    saved = SavedPosition(tmp_path / "place")
    saved.save(str(named(8)))
    with pytest.raises(PositionGone, match="ends before"):
        await following(Stream(8), saved, monkeypatch)(5)


@pytest.mark.parametrize("before", [0, 5])
async def test_a_subscriber_from_now_on_keeps_its_place_when_it_is_cut_off(before, tmp_path, monkeypatch):
    # On a busy machine the rest of a chunk comes late: then the end would seem to be an event before it.
    monkeypatch.setattr(stream, "_QUIET_SECONDS", 1.5)
    monkeypatch.setattr(stream, "PROBE_SECONDS", 20 if before else 0.05)
    broker = Stream(before)
    saved = SavedPosition(tmp_path / "place")
    connect_once = following(broker, saved, monkeypatch, start="next")
    assert await connect_once(until=saved.load) == []
    broker.events += 3
    # Another process goes on there, too.
    again = following(broker, saved, monkeypatch, start="next")
    missed = [event_id(offset) for offset in range(before, before + 3)]
    assert await again(until=lambda: str(named(before + 2)) == saved.load()) == missed
    assert await connect_once() == []


async def test_a_subscriber_from_now_on_begins_nowhere_while_the_end_is_not_shown(tmp_path, monkeypatch):
    saved = SavedPosition(tmp_path / "place")
    connect_once = following(Stream(5, {"last"}), saved, monkeypatch, start="next")
    with pytest.raises(BrokerUnavailable, match="does not show its end"):
        await connect_once(5)
    assert saved.load() is None
