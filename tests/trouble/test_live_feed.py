"""The live feed while the broker is away: nobody is sent away, nothing is missed, new clients are told."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from events.errors import BrokerUnavailable
from events.feed.errors import PositionGone
from query_api.feed.replays import FIRST, Replays
from service_kit.broker.connection import connect
from service_kit.broker.declaring import declare
from service_kit.broker.publishing import Template, publish
from service_kit.broker.stream import probe
from service_kit.broker.topology import EVENT_LOG
from service_kit.settings import Settings
from service_kit.slots import AtOnce
from subscriber import SavedPosition, follow
from tests.chained import ALL_KEYS
from tests.sse import following
from tests.system import TOPOLOGIES, eventually, new_person

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES[:1], indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}


async def created(commands, body, key) -> str | None:
    """Ask for a person, with a key: a request whose answer was lost may have made it already."""
    response = await commands.post("/people", json=body, headers={**WAIT, "Idempotency-Key": key})
    return response.json()["id"] if response.status_code == 201 else None


async def create(commands) -> str:
    """Ask for a person until there is one."""
    body, key = new_person(), str(uuid4())
    return await eventually(lambda: created(commands, body, key))


async def subjects(feed, last, known: set[str]) -> list[str]:
    """Return whom the events are about up to the first one about a person; those that are known are dropped.

    What was announced and not acknowledged when the broker was killed is announced again, with the same id.
    """
    seen: list[str] = []
    while last not in seen:
        event = await feed.next()
        if event.data["id"] not in known:
            known.add(event.data["id"])
            seen.append(event.data["subject"])
    return seen


async def test_a_broker_that_restarts_leaves_no_gap(stage, cast):
    async with (
        stage.client(cast["command_api"]) as commands,
        stage.client(cast["query_api"]) as queries,
        following(queries) as feed,
    ):
        people = [await create(commands)]
        known: set[str] = set()
        assert (await subjects(feed, people[0], known))[-1] == people[0]
        before = set(known)
        position = feed.last
        await asyncio.to_thread(stage.rabbit.kill)
        try:
            refused = await eventually(lambda: refusal(queries))
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["type"] == "urn:rollcall:problem:broker-unavailable"
            # Reads go on, and the service stays ready.
            assert (await queries.get("/people", params={"limit": 1})).status_code == 200
            assert (await queries.get("/readyz")).status_code == 200
        finally:
            await asyncio.to_thread(stage.rabbit.start)
        people += [await create(commands) for _ in range(4)]
        # What the broker has lost of other people's events comes again, too.
        assert [one for one in await subjects(feed, people[-1], known) if one in people] == people[1:]
        async with following(queries, last=position) as again:
            seen = await subjects(again, people[-1], before)
            assert [one for one in seen if one in people] == people[1:]


async def remake_the_stream(stage) -> None:
    """Leave an empty stream, as a broker does that lost its disk; nothing that it had comes again."""
    async with await connect(stage.rabbit.url, "tests") as connection:
        async with connection.channel() as channel:
            await channel.queue_delete(EVENT_LOG)
        await declare(connection, Settings.model_fields["partitions"].default)


async def test_a_stream_that_has_other_events_at_the_same_places_is_told_and_the_log_has_all(
    stage, cast, tmp_path
):
    handled: list[str] = []

    async def handle(event) -> None:
        handled.append(event["id"])

    def subscribing(**more):
        return asyncio.create_task(follow(stage.rabbit.url, "remade", handle, saved, **more))

    saved = SavedPosition(tmp_path / "place")
    async with (
        stage.client(cast["command_api"]) as commands,
        stage.client(cast["query_api"]) as queries,
    ):
        subscriber = subscribing()
        async with following(queries) as feed:
            people = [await create(commands) for _ in range(3)]
            known: set[str] = set()
            await subjects(feed, people[-1], known)
            position = feed.last
            await eventually(lambda: kept(saved, position))
            await remake_the_stream(stage)
            # The subscriber's event is beyond the end as soon as there is one, and the client is sent away.
            people += [await create(commands) for _ in range(2)]
            cut = await eventually(lambda: cut_off(feed))
            assert cut.data == {"reason": "lost"}
        with pytest.raises(PositionGone, match="GET /events"):
            await asyncio.wait_for(subscriber, 60)

        short = await gone(queries, position)
        offset = int(position.split("-")[0])
        await grow(stage, offset)
        for answer in (short, await gone(queries, position)):
            assert answer["event_id"] == position.partition("-")[2]
            assert answer["next"] in answer["detail"]
        with pytest.raises(PositionGone, match="GET /events"):
            await asyncio.wait_for(subscribing(), 60)

        # The way on: what the client had not, the log has.
        items = await all_of(queries, answer["next"])
        known_now = {item["event_id"] for item in items} | known
        assert {item["person_id"] for item in items} >= set(people[3:])
        async with following(queries, from_="first") as feed:
            events = await feed.until(await newest_of(queries, people[-1]))
        assert {event.data["id"] for event in events} <= known_now
        # An offset alone means what is there now.
        async with following(queries, from_=offset) as feed:
            assert (await feed.next()).id == offset + 1


async def all_of(queries, address) -> list[dict]:
    """Return what all pages of a list have."""
    items, cursor = [], ""
    while cursor is not None:
        page = (await queries.get(f"{address}&limit=200" + (f"&cursor={cursor}" if cursor else ""))).json()
        items += page["items"]
        cursor = page.get("next")
    return items


async def kept(saved, position):
    return saved.load() == position


async def cut_off(feed):
    event = await feed.next()
    return event if event.type == "cut" else None


async def gone(queries, position):
    """Return the refusal of a position, once the query API has found out."""

    async def refused():
        async with queries.stream("GET", "/events/stream", headers={"Last-Event-ID": position}) as response:
            if response.status_code == 503:
                return None
            assert response.status_code == 410
            return httpx.Response(410, content=await response.aread()).json()

    return await eventually(refused)


async def grow(stage, beyond) -> None:
    """Announce an event again and again until the stream has come beyond an offset."""
    async with await connect(stage.rabbit.url, "tests") as connection:
        (first, *_) = await probe(connection, "first")
        channel = await connection.channel()
        raw = await channel.get_underlay_channel()
        frames = Template(raw, "", EVENT_LOG, delivery_mode=2).frames(first.event_id, first.body)
        for _ in range(0, beyond + 1, 500):
            await publish(raw, [frames] * min(500, beyond + 1), 15)


async def newest_of(queries, person_id):
    page = (await queries.get("/events", params={"person_id": person_id, "consistency": "strong"})).json()
    return page["items"][0]["event_id"]


async def refusal(queries) -> httpx.Response | None:
    async with queries.stream("GET", "/events/stream") as response:
        if response.status_code != 503:
            return None
        await response.aread()
        return response


async def replayed(replays: Replays) -> bool:
    try:
        async with replays.after(FIRST, "ada") as (entries, _):
            return bool(entries)
    except BrokerUnavailable:
        return False


async def test_a_connection_that_is_lost_while_nobody_uses_it_is_made_again(stage, cast):
    async with stage.client(cast["command_api"]) as commands:
        await create(commands)
    replays = Replays(stage.rabbit.url, AtOnce(1, 1), ALL_KEYS)
    running = asyncio.create_task(replays.run())
    try:
        await eventually(lambda: replayed(replays))
        await asyncio.to_thread(stage.rabbit.kill)
        await asyncio.to_thread(stage.rabbit.start)
        await eventually(lambda: replayed(replays))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
