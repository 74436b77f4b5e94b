"""The live feed over HTTP: where it begins, what it leaves out, how a client goes on after a cut."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

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
    async with asyncio.timeout(60):
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
        events = await feed.until(last)
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


async def test_without_audit_read_only_what_is_still_so_is_told_with_a_token_and_with_a_ticket(
    system, services, commands, queries
):
    async with following(queries) as feed:
        place = (await feed.block()).position
    changed, gone = await create(commands, address="Calle 0"), await create(commands, address="Calle 0")
    await change(commands, changed, 1)
    assert (await commands.delete(f"/people/{gone}", headers=WAIT)).status_code == 200
    whole = system.client(services["query_api"], system.token("events:read", "audit:read"))
    viewer = system.client(services["query_api"], system.token("events:read"))
    async with whole, viewer, browser(services["query_api"]) as page:
        for client, tickets, sees_all in (
            (whole, None, True),
            (page, whole, True),
            (viewer, None, False),
            (page, viewer, False),
        ):
            params = {} if tickets is None else {"ticket": await ticket(tickets)}
            async with following(client, from_=place, **params) as feed:
                events = [(await feed.next()).data for _ in range(4)]
            created, of_gone, updated, deleted = events
            assert [one["subject"] for one in events] == [changed, gone, changed, gone]
            assert (created["data"].get("address") == "Calle 0") is sees_all
            assert ("first_name" in of_gone["data"]) is sees_all
            assert created["data"]["first_name"]
            assert (updated["data"], deleted["data"]) == ({"address": "Calle 1"}, {})
            for name in ("sourceaddress", "useragent", "hash", "prevhash"):
                assert all((name in one) is sees_all for one in events), name


async def ticket(queries) -> str:
    answer = await queries.post("/events/stream/tickets")
    assert answer.status_code == 201, answer.text
    return answer.json()["ticket"]


@asynccontextmanager
async def browser(service):
    """Whoever sends no token."""
    async with httpx.AsyncClient(base_url=service.url, timeout=20) as client:
        yield client


async def test_a_browser_follows_with_a_ticket_and_comes_again_with_another(services, commands, queries):
    async with browser(services["query_api"]) as page:
        first = await ticket(queries)
        head = await page.head("/events/stream", params={"ticket": first})
        assert head.status_code == 200, "asking does not spend it"
        async with following(page, ticket=first) as feed:
            await feed.block()
            created = await create(commands)
            await about(feed, created, 1)
            position = feed.last
        again = await page.get("/events/stream", params={"ticket": first})
        assert (again.status_code, again.json()["type"]) == (401, "urn:rollcall:problem:unauthenticated")
        missed = await create(commands)
        async with following(page, ticket=await ticket(queries), from_=position) as feed:
            await about(feed, missed, 1)


async def test_a_ticket_is_good_for_one_request_at_any_process_and_for_nothing_else(
    system, services, queries
):
    one = await ticket(queries)
    async with (
        system.running("query_api") as other,
        browser(other) as page,
        browser(services["query_api"]) as here,
    ):
        answers = await asyncio.gather(
            *(
                client.get("/events/stream", params={"ticket": one, "from": "9" * 12})
                for client in (page, here) * 3
            )
        )
        assert sorted(answer.status_code for answer in answers).count(401) == 5
        for path in ("/people", "/events", "/people/export"):
            assert (await page.get(path, params={"ticket": await ticket(queries)})).status_code == 401
        for bad in ("", "x", one[:-3] + "abc", "e30.e30.e30"):
            assert (await page.get("/events/stream", params={"ticket": bad})).status_code == 401, bad
        # Parameters are looked at first.
        two = await ticket(queries)
        assert (await page.get("/events/stream", params={"ticket": two, "from": "x"})).status_code == 422
        async with following(page, ticket=two) as feed:
            await feed.block()
    async with system.client(services["query_api"], system.token("people:read")) as client:
        assert (await client.post("/events/stream/tickets")).status_code == 403


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
            event = await feed.next()
            assert (event.type, event.data) == ("cut", {"reason": "ending"})
            with pytest.raises(EOFError):
                await feed.block()
        assert await asyncio.to_thread(service.process.wait, 60) == 0


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
