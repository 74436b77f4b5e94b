"""The live feed over HTTP: where it begins, what it leaves out, how a client goes on after a cut."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from events.errors import PositionGone, Unavailable
from events.position import Position
from query_api import tail as tail_module
from query_api.feed import Feed
from query_api.positions import Positions
from query_api.replays import FIRST, Replays
from query_api.tail import Tail
from service_kit.broker import connect
from service_kit.publishing import Template, publish
from service_kit.stream import probe
from service_kit.topology import LOG_AGE, LOG_BYTES
from tests.sse import following
from tests.system import TOPOLOGIES, eventually, new_person

# What it has comes from the broker, whatever the store is.
pytestmark = pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}


async def create(commands, **changes) -> str:
    response = await commands.post("/people", json=new_person(**changes), headers=WAIT)
    assert response.status_code == 201
    return response.json()["id"]


async def change(commands, person_id, number) -> None:
    body = {"address": f"Calle {number}"}
    assert (await commands.patch(f"/people/{person_id}", json=body, headers=WAIT)).status_code == 200


async def about(feed, person_id, count) -> list:
    """Return the next events about a person; "now" may begin with what others did a moment before."""
    events: list = []
    async with asyncio.timeout(15):
        while len(events) < count:
            event = await feed.next()
            if event.data["subject"] == person_id:
                events.append(event)
    return events


async def test_from_now_on_each_event_comes_as_it_was_announced(commands, queries):
    async with following(queries) as feed:
        greeting = await feed.block()
        assert (greeting.type, greeting.id is not None) == ("", True)
        person_id = await create(commands)
        await change(commands, person_id, 1)
        created, updated = await about(feed, person_id, 2)
        assert feed.response.headers["content-type"].startswith("text/event-stream")
        assert feed.response.headers["cache-control"] == "no-store"
        assert feed.response.headers["x-accel-buffering"] == "no"
    assert (created.type, created.data["subject"], created.data["version"]) == (
        "person.created",
        person_id,
        1,
    )
    assert (updated.type, updated.data["data"], updated.data["specversion"]) == (
        "person.updated",
        {"address": "Calle 1"},
        "1.0",
    )
    assert greeting.id < created.id < updated.id
    assert updated.position == f"{updated.id}-{updated.data['id']}"


async def test_from_a_position_or_after_a_cut_on_any_process_nothing_is_missed_or_repeated(
    system, commands, queries
):
    person_id = await create(commands)
    async with following(queries, person_id=person_id) as feed:
        await change(commands, person_id, 1)
        first = await feed.next()
    for number in range(2, 6):
        await change(commands, person_id, number)
    async with system.running("query_api") as other, system.client(other) as elsewhere:
        for client in (queries, elsewhere):
            for place in (
                {"from_": first.position},
                {"last": first.id},
                {"last": first.position, "from_": "first"},
            ):
                async with following(client, person_id=person_id, **place) as feed:
                    versions = [event.data["version"] for event in await feed.take(4)]
                assert versions == [3, 4, 5, 6]


async def test_from_the_first_event_all_come_in_order(commands, queries):
    person_id = await create(commands)
    async with following(queries, person_id=person_id) as feed:
        await change(commands, person_id, 1)
        last = (await feed.next()).data["id"]
    async with following(queries, from_="first") as feed:
        events = await feed.until(last, within=30)
    places = [event.id for event in events]
    assert places[0] == 0
    assert places == sorted(set(places))
    versions: dict[str, int] = {}
    for event in events:
        known = versions.get(event.data["subject"], 0)
        assert event.data["version"] <= known + 1  # repeats may come, gaps may not
        versions[event.data["subject"]] = max(known, event.data["version"])


async def test_filters_by_type_and_person(commands, queries):
    async with following(queries) as feed:
        place = (await feed.block()).position
    one, other = await create(commands), await create(commands)
    for person_id in (one, other):
        await change(commands, person_id, 1)
        assert (await commands.delete(f"/people/{person_id}", headers=WAIT)).status_code == 200
    for wanted, expected in [
        ({"person_id": one}, ["person.created", "person.updated", "person.deleted"]),
        ({"person_id": one, "type": "person.created,person.deleted"}, ["person.created", "person.deleted"]),
        ({"person_id": other, "type": ["person.updated"]}, ["person.updated"]),
    ]:
        async with following(queries, from_=place, **wanted) as feed:
            events = await feed.take(len(expected))
        assert [event.type for event in events] == expected
        assert {event.data["subject"] for event in events} == {wanted["person_id"]}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "-7"}, "from"),
        ({"from": "7-"}, "from"),
        ({"from": "7-0199b1f0"}, "from"),
        ({"from": "-1-0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09"}, "from"),
        ({"type": "person.exploded"}, "type"),
        ({"person_id": "1"}, "person_id"),
        ({"person": "1"}, "person"),
    ],
)
async def test_a_parameter_that_is_not_valid(queries, params, field):
    response = await queries.get("/events/stream", params=params)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].startswith(field)


async def test_it_needs_its_scope(system, services):
    async with system.client(services["query_api"], system.token("people:read")) as client:
        assert (await client.get("/events/stream")).status_code == 403


async def test_a_position_beyond_the_end_is_of_another_stream(commands, queries):
    await create(commands)
    response = await queries.get("/events/stream", headers={"Last-Event-ID": str(10**12)})
    assert response.status_code == 410
    assert response.json()["type"] == "urn:rollcall:problem:position-gone"


async def test_a_stopping_process_sends_its_clients_on_at_once(system, commands):
    await create(commands)
    async with system.running("query_api") as service, system.client(service) as client:
        async with following(client) as feed:
            await feed.block()
            service.process.terminate()
            event = await feed.next(within=3)
            assert (event.type, event.data) == ("cut", {"reason": "ending"})
            with pytest.raises(EOFError):
                await feed.block()
        assert await asyncio.to_thread(service.process.wait, 5) == 0


async def test_clients_are_counted(services, commands, queries):
    async with AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(following(queries)) for _ in range(3)]
        for feed in feeds:
            await feed.block()
        await eventually(lambda: counted(queries, 3))
    await eventually(lambda: counted(queries, 0))


async def counted(queries, count):
    text = (await queries.get("/metrics")).text
    return f"rollcall_live_clients {count}.0" in text


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
    replays = Replays(system.rabbit.url, queue=short_stream)
    running = asyncio.create_task(replays.run())
    try:

        async def first():
            async with replays.after(FIRST) as (entries, _):
                return entries[0].offset

        kept = await eventually(first)
        for position in (-1, 0, kept - 2):
            with pytest.raises(PositionGone, match="GET /events"):
                async with replays.after(Position(position)):
                    pass
        for position in (kept - 1, kept, kept + 1):
            async with replays.after(Position(position)) as (entries, _):
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
    replays = Replays(system.rabbit.url, queue=name)
    async with stream_made_anew(system, name) as remake, running(replays.run()):
        await remake(range(6))
        for position in (Position(2, numbered(2)), Position(2)):
            async with replays.after(position) as (entries, reader):
                while not entries:
                    entries = await reader.take()
                assert entries[0].position == Position(3, numbered(3))
        await remake(range(10, 16))
        with pytest.raises(PositionGone) as refusal:
            async with replays.after(Position(2, numbered(2))):
                pass
        assert refusal.value.event_id == numbered(2)
        async with replays.after(Position(2)) as (entries, _):
            assert entries[0].position == Position(3, numbered(13))


async def test_an_end_that_is_not_the_one_that_was_read_is_read_anew(system, monkeypatch):
    monkeypatch.setattr(tail_module, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(tail_module, "PROOF_SECONDS", 2.0)
    name, feed, positions = "events.tailed", Feed(), Positions(time.monotonic)
    tail = Tail(system.rabbit.url, feed, positions, name)

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
                    lambda numbers=numbers: at(Position(len(numbers) - 1, numbered(numbers[-1]))), within=30
                )
                assert feed.epoch > epoch
                assert feed.has(Position(0, numbered(numbers[0])))
            # Under a connection that lasts.
            positions.start_after(Position(1, numbered(1)))
            feed.newest = Position(2, numbered(5))
            await eventually(lambda: at(Position(2, numbered(32))), within=30)
            assert positions.before_read(strong=True) != Position(1, numbered(1))


async def test_replays_are_bounded(system, commands):
    await create(commands)
    replays = Replays(system.rabbit.url, limit=1)
    running = asyncio.create_task(replays.run())
    try:
        async with replays.after(FIRST):
            with pytest.raises(Unavailable, match="too many"):
                async with replays.after(FIRST):
                    pass
        async with replays.after(FIRST) as (entries, _):
            assert entries
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
