"""A snapshot and the events after its position miss no change, whatever is written meanwhile."""

import asyncio
import random
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from query_api.feed.buffer import FeedBuffer
from query_api.feed.positions import Positions
from query_api.feed.reader import FeedReader
from query_api.people.queries import Reads
from service_kit.mongo.keys import PersonKeys
from service_kit.seals.kek import Keks
from tests import ledger
from tests.default_schema import PeopleQuery
from tests.firehose import Firehose, request
from tests.sse import following
from tests.system import TEST_KEKS, eventually, new_person

SECONDS = 4.0
WRITERS = 6
PEOPLE = 12
PAUSE = 0.01
"""Between the commands of one writer: the worker must keep up."""


class Dashboard:
    """The people of one clan as a dashboard holds them: by id, each at the newest version that it has seen."""

    def __init__(self, clan: str) -> None:
        self._clan = clan
        self.people: dict[str, dict] = {}

    def snapshot(self, items) -> None:
        for person in items:
            self.people[person["id"]] = person

    def apply(self, event) -> None:
        """Take an event; one that is not newer than what is there changes nothing."""
        known = self.people.get(event["subject"])
        if known is None:
            if event["data"].get("occupation") != self._clan:
                return
            known = {"version": 0}
        if event["version"] <= known["version"]:
            return
        assert event["version"] == known["version"] + 1, "a change was missed"
        person = {**known, **event["data"], "id": event["subject"], "version": event["version"]}
        self.people[event["subject"]] = (
            {"version": event["version"]} if "deleted" in event["type"] else person
        )

    def shown(self) -> dict[str, tuple]:
        shown = {key: p for key, p in self.people.items() if "last_name" in p}
        return {key: (p["version"], p["last_name"], p.get("address")) for key, p in shown.items()}


class Writers:
    """Create, change and delete people for as long as the block runs."""

    def __init__(self, port: int, token: str, clan: str) -> None:
        self._port, self._token, self._clan = port, token, clan
        self._stop = asyncio.Event()
        self.accepted: set[str] = set()

    async def __aenter__(self):
        self._running = [asyncio.create_task(self._write(number)) for number in range(WRITERS)]
        return self

    async def __aexit__(self, *_):
        await self.end()

    async def end(self):
        """Write no more; return when what was sent is answered."""
        self._stop.set()
        await asyncio.gather(*self._running)

    async def _write(self, number: int) -> None:
        chance, hose, people = random.Random(number), Firehose(self._port), []
        try:
            while not self._stop.is_set():
                if len(people) < PEOPLE:
                    body = new_person(occupation=self._clan)
                    raw = request("POST", "/people", self._token, body)
                elif chance.random() < 0.1:
                    raw = request("DELETE", f"/people/{people.pop(0)}", self._token)
                else:
                    body = {"address": f"Calle {time.monotonic_ns()}"}
                    raw = request("PATCH", f"/people/{chance.choice(people)}", self._token, body)
                answer = await hose.send(raw)
                assert answer.status == 202, answer
                self.accepted.add(answer.body["command_id"])
                if raw.startswith(b"POST"):
                    people.append(answer.body["person_id"])
                await asyncio.sleep(PAUSE)
        finally:
            hose.close()


async def pages(queries, clan, strong):
    """Return the people of a clan, page by page, and the position that the first page named."""
    items, places, params = [], [], {"occupation": clan, "limit": 7}
    if strong:
        params["consistency"] = "strong"
    while True:
        response = await queries.get("/people", params=params)
        page = response.json()
        items += page["items"]
        places.append(response.headers["x-stream-position"])
        if page["next"] is None:
            return items, places[0]
        params["cursor"] = page["next"]


async def known_position(queries):
    return "x-stream-position" in (await queries.get("/people", params={"limit": 1})).headers


async def settle(queries, dashboard, feed, clan):
    """Apply what comes until the dashboard shows what the read model has; fail if it never does."""
    deadline = time.monotonic() + 20
    while True:
        items, _ = await pages(queries, clan, strong=True)
        model = Dashboard(clan)
        model.snapshot(items)
        if dashboard.shown() == model.shown():
            return
        assert time.monotonic() < deadline, "the dashboard differs from the read model"
        try:
            while True:
                event = await feed.block(within=0.5)
                if event.data is not None:
                    dashboard.apply(event.data)
        except TimeoutError:
            pass


@pytest.mark.parametrize("strong", [False, True])
async def test_a_dashboard_misses_no_change(system, services, commands, queries, strong):
    clan = f"follower{random.randrange(10**9)}"
    await commands.post("/people", json=new_person(occupation=clan), headers={"Prefer": "wait=20"})
    await eventually(lambda: known_position(queries))
    async with Writers(services["command_api"].port, system.token(), clan) as writers:
        await eventually(lambda: enough(writers, 60))
        dashboard = Dashboard(clan)
        items, place = await pages(queries, clan, strong)
        dashboard.snapshot(items)
        async with following(queries, from_=place) as feed:
            goal = len(writers.accepted) + 300
            while len(writers.accepted) < goal:
                event = await feed.block()
                if event.data is not None:
                    dashboard.apply(event.data)
            await writers.end()
            await ledger.settled(system, writers.accepted)
            await settle(queries, dashboard, feed, clan)


async def enough(writers, count):
    return len(writers.accepted) >= count


@asynccontextmanager
async def tailing(system):
    """The end of the stream, and positions that count the primary as never stale."""
    feed, positions = FeedBuffer(max_events=10**6, max_bytes=10**9), Positions(time.monotonic, strong=0.0)
    client = AsyncMongoClient[dict[str, Any]](system.mongo.uri)
    tail = FeedReader(system.rabbit.url, feed, positions, PersonKeys(client, "rollcall", Keks(TEST_KEKS)))
    running = asyncio.create_task(tail.run())
    try:
        await tail.connection()
        yield feed, positions
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()


async def test_what_is_announced_can_be_read_from_the_primary(system, services, mongo_clients, commands):
    """The order that positions rest on, with no allowance for staleness: no event is ahead of the read model."""
    clan = f"ordered{random.randrange(10**9)}"
    reads = Reads(mongo_clients["pymongo"], "rollcall")
    query = PeopleQuery(occupation=clan, consistency="strong", limit=200)
    async with (
        tailing(system) as (feed, positions),
        Writers(services["command_api"].port, system.token(), clan) as writers,
    ):
        await eventually(lambda: enough(writers, 60))
        looks, until = 0, time.monotonic() + SECONDS
        while time.monotonic() < until:
            place = positions.before_read(strong=True).offset
            versions = {p["_id"]: p["version"] for p in (await reads.people(query)).answer.documents}
            late = [
                one
                for one in feed.since(max(feed.floor, place - 200))
                if one.offset <= place
                and one.entry.version > versions.get(one.entry.person_id, one.entry.version)
            ]
            assert not late, f"{late[0].frame()} was announced, but cannot be read"
            looks += 1
        assert looks > 20
