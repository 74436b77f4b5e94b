"""Streams of their own under the live feed: short ones, ones made anew, and replays of them, bounded."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from events.errors import Busy
from events.feed.errors import PositionGone
from events.feed.position import Position
from query_api.feed import reader as tail_module
from query_api.feed.buffer import FeedBuffer
from query_api.feed.positions import Positions
from query_api.feed.reader import FeedReader
from query_api.feed.replays import FIRST, Replays
from service_kit.broker.connection import connect
from service_kit.broker.publishing import Template, publish
from service_kit.broker.stream import probe
from service_kit.broker.topology import LOG_AGE, LOG_BYTES
from service_kit.slots import AtOnce
from tests.chained import ALL_KEYS
from tests.path.test_live import create
from tests.system import TOPOLOGIES, eventually

pytestmark = pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True, scope="session")
AT_ONCE = AtOnce(9, 9)


@asynccontextmanager
async def stream_of(system, name, **arguments):
    """A stream with segments of 10 kB; gives what adds tens of events, and what tells its first offset."""
    kind = {"x-queue-type": "stream", "x-stream-max-segment-size-bytes": 10_000}
    async with await connect(system.rabbit.url, "tests") as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(name, durable=True, arguments={**kind, **arguments})
        raw = await channel.get_underlay_channel()
        template = Template(raw, "", name, delivery_mode=2)
        body = b'{"type":"person.created","subject":"x","padding":"%b"}' % (b"x" * 1000)

        async def fill(batches):
            for _ in range(batches):
                await publish(raw, [template.frames(_ID, body) for _ in range(10)], 10)

        async def first():
            return (await probe(connection, "first", queue=name))[0].offset

        yield fill, first
        await queue.delete(if_unused=False, if_empty=False)


@pytest.fixture
async def short_stream(system):
    """A stream that keeps little, with more in it than it keeps."""
    async with stream_of(system, "events.short", **{"x-max-length-bytes": 20_000}) as (fill, _):
        await fill(30)
        yield "events.short"


async def test_a_policy_of_the_operator_s_says_how_long_events_are_kept(system):
    usual = {"x-max-length-bytes": LOG_BYTES, "x-max-age": LOG_AGE}
    async with stream_of(system, "events.policed", **usual) as (fill, first):
        await fill(30)
        assert await first() == 0
        policy = (
            "set_policy",
            "--apply-to",
            "queues",
            "short",
            r"^events\.policed$",
            '{"max-length-bytes":20000}',
        )
        await asyncio.to_thread(system.rabbit.ctl, *policy)
        try:

            async def shorter():
                await fill(3)
                return await first()

            assert await eventually(shorter)
        finally:
            await asyncio.to_thread(system.rabbit.ctl, "clear_policy", "short")


_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


async def test_what_the_stream_has_dropped_is_gone_and_the_first_it_has_is_not(system, short_stream):
    replays = Replays(system.rabbit.url, AT_ONCE, ALL_KEYS, short_stream)
    running = asyncio.create_task(replays.run())
    try:

        async def first():
            async with replays.after(FIRST, "ada") as (entries, _):
                return entries[0].offset

        async def settled():
            """Return the first once the broker, which drops in its own time, drops no more."""
            before = await first()
            await asyncio.sleep(1)
            return before if await first() == before else None

        kept = await eventually(settled)
        for position in (-1, 0, kept - 2):
            with pytest.raises(PositionGone, match="GET /events"):
                async with replays.after(Position(position), "ada"):
                    pass
        for position in (kept - 1, kept, kept + 1):
            async with replays.after(Position(position), "ada") as (entries, _):
                assert entries[0].offset == position + 1
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def numbered(number: int) -> str:
    return f"0199b1f0-7a35-7d0e-8000-{number:012x}"


async def remade(channel, name, numbers) -> None:
    """Make a stream anew, with one event for each number."""
    await channel.queue_delete(name)
    await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "stream"})
    raw = await channel.get_underlay_channel()
    template = Template(raw, "", name, delivery_mode=2)
    bodies = [b'{"id":"%b","type":"person.created","subject":"x"}' % numbered(n).encode() for n in numbers]
    await publish(raw, [template.frames(_ID, body) for body in bodies], 10)


@asynccontextmanager
async def stream_made_anew(system, name):
    async with await connect(system.rabbit.url, "tests") as connection:
        channel = await connection.channel()
        yield lambda numbers: remade(channel, name, numbers)
        await channel.queue_delete(name)


@asynccontextmanager
async def running(*works):
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_replay_begins_after_a_named_event_only_if_it_is_there(system):
    name = "events.named"
    replays = Replays(system.rabbit.url, AT_ONCE, ALL_KEYS, name)
    async with stream_made_anew(system, name) as remake, running(replays.run()):
        await remake(range(6))
        for position in (Position(2, numbered(2)), Position(2)):
            async with replays.after(position, "ada") as (entries, reader):
                while not entries:
                    entries = await reader.take()
                assert entries[0].position == Position(3, numbered(3))
        await remake(range(10, 16))
        with pytest.raises(PositionGone) as refusal:
            async with replays.after(Position(2, numbered(2)), "ada"):
                pass
        assert refusal.value.event_id == numbered(2)
        async with replays.after(Position(2), "ada") as (entries, _):
            assert entries[0].position == Position(3, numbered(13))


async def test_an_end_that_is_not_the_one_that_was_read_is_read_anew(system, monkeypatch):
    monkeypatch.setattr(tail_module, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(tail_module, "PROOF_SECONDS", 2.0)
    name, feed, positions = "events.tailed", FeedBuffer(), Positions(time.monotonic)
    tail = FeedReader(system.rabbit.url, feed, positions, ALL_KEYS, name)

    async def at(position):
        return feed.newest == position

    async with stream_made_anew(system, name) as remake:
        await remake(range(6))
        async with running(tail.run()):
            await eventually(lambda: at(Position(5, numbered(5))))
            # The consumer is cancelled, and the stream has other events, or fewer, there.
            for numbers in (range(10, 20), range(30, 33)):
                epoch = feed.epoch
                await remake(numbers)
                await eventually(
                    lambda numbers=numbers: at(Position(len(numbers) - 1, numbered(numbers[-1])))
                )
                assert feed.epoch > epoch
                assert feed.has(Position(0, numbered(numbers[0])))
            # Under a connection that lasts.
            positions.start_after(Position(1, numbered(1)))
            feed.newest = Position(2, numbered(5))
            await eventually(lambda: at(Position(2, numbered(32))))
            assert positions.before_read(strong=True) != Position(1, numbered(1))


async def test_replays_are_bounded(system, commands):
    await create(commands)
    replays = Replays(system.rabbit.url, AtOnce(2, 1), ALL_KEYS)
    running = asyncio.create_task(replays.run())
    try:
        async with replays.after(FIRST, "ada"):
            with pytest.raises(Busy, match="too many"):
                async with replays.after(FIRST, "ada"):
                    pass
            async with replays.after(FIRST, "grace") as (entries, _):
                assert entries
        async with replays.after(FIRST, "ada") as (entries, _):
            assert entries
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
