"""Searches are few at once, and what is no search never waits for them."""

import asyncio
from types import SimpleNamespace

import httpx
import pytest
from starlette.datastructures import QueryParams

from events.errors import SearchTooLong, StoreUnavailable
from query_api.dead_letters.routes import add_dead_letter_routes
from query_api.history.filters import EventsQuery
from query_api.history.routes import add_audit_routes
from query_api.people.queries import Answer, Count, Page
from query_api.people.routes import PeopleDependencies, add_read_routes
from query_api.reading import searches as module
from query_api.reading.forms import read_query
from query_api.reading.searches import RETRY_SECONDS, Searches
from service_kit.http.web import create_app
from service_kit.slots import WAITING, AtOnce
from tests.default_schema import SCHEMA, PeopleQuery
from tests.unit.query_api.test_exports import Verifier

AT_ONCE = AtOnce(8, 4)
ID = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"


class Gated:
    """Stands for the queries: searches wait until the gate opens, all else is answered at once."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = self.most = 0
        self.failure: Exception | None = None

    async def people(self, query) -> Page:
        return await self._page(is_search=query.is_search)

    async def events(self, query) -> Page:
        return await self._page(is_search=query.is_search)

    async def _page(self, *, is_search: bool) -> Page:
        if is_search:
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await self.open.wait()
            finally:
                self.inside -= 1
        if self.failure is not None:
            raise self.failure
        return Page(Answer([], None), None, Count(10_000, exact=False) if is_search else None)

    async def person(self, person_id, **_options) -> Answer:
        return Answer([{"_id": person_id, "version": 1}], None)

    def member_of(self, _answer) -> str:
        return "a:1"


def stage() -> SimpleNamespace:
    reads, app = Gated(), create_app("test", {})
    positions = SimpleNamespace(before_read=lambda strong: None)
    searches = Searches(AT_ONCE, 60.0)
    people = PeopleDependencies(reads, reads, reads, Verifier(), False, positions, "CO", searches, SCHEMA)
    add_read_routes(app, people)
    add_audit_routes(app, people, None)
    add_dead_letter_routes(app, people)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://api"
    )
    return SimpleNamespace(reads=reads, slots=searches.slots, client=client)


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_no_other_read_waits_for_searches(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 60.0)
    at = stage()
    async with at.client as client:
        ask = {
            subject: [
                asyncio.create_task(
                    client.get("/people", params={"q": "a"}, headers={"Authorization": subject})
                )
                for _ in range(64)
            ]
            for subject in ("ada", "grace")
        }
        await settled()
        assert at.reads.inside == AT_ONCE.number
        asked = {"Authorization": "ada"}
        for path in (f"/people/{ID}", "/people", "/people?sort=-birth_date", "/events", f"/people?id={ID}"):
            assert (await client.get(path, headers=asked)).status_code == 200, path
        late = await client.get("/people", params={"gender": "F"}, headers=asked)
        assert (late.status_code, late.headers["retry-after"]) == (503, str(RETRY_SECONDS))
        assert late.json()["type"] == "urn:rollcall:problem:busy"

        at.reads.open.set()
        for answers in ask.values():
            statuses = [one.status_code for one in await asyncio.gather(*answers)]
            assert statuses.count(200) == AT_ONCE.each + WAITING * AT_ONCE.each
            assert statuses.count(503) == 64 - statuses.count(200)
        assert at.reads.most == AT_ONCE.number
        assert at.slots.in_use == 0


async def test_one_subject_has_its_share_of_the_searches(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 60.0)
    at = stage()
    async with at.client as client:
        ada = [
            asyncio.create_task(
                client.get("/events", params={"person_id": ID}, headers={"Authorization": "ada"})
            )
            for _ in range(20)
        ]
        await settled()
        assert at.reads.inside == AT_ONCE.each
        counting = asyncio.create_task(
            client.get("/people", params={"count": "true"}, headers={"Authorization": "grace"})
        )
        await settled()
        assert at.reads.inside == AT_ONCE.each + 1, "it does not wait for ada's"
        at.reads.open.set()
        assert (await counting).json() == {"items": [], "count": 10_000, "count_exact": False, "next": None}
        assert {one.status_code for one in await asyncio.gather(*ada)} == {200}


async def test_who_waits_too_long_for_a_turn_is_told_so(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    at = stage()
    for _ in range(AT_ONCE.each):
        at.slots.take("ada")
    async with at.client as client:
        late = await client.get("/dead-letters", headers={"Authorization": "ada"})
    assert (late.status_code, late.headers["retry-after"]) == (503, str(RETRY_SECONDS))


@pytest.mark.parametrize(
    ("failure", "code"),
    [(SearchTooLong("x"), "search-too-long"), (StoreUnavailable("x"), "store-unavailable")],
)
async def test_a_search_that_takes_too_long_is_an_honest_problem(failure, code):
    at = stage()
    at.reads.open.set()
    at.reads.failure = failure
    async with at.client as client:
        answer = await client.get("/people", params={"q": "a"}, headers={"Authorization": "ada"})
    assert (answer.status_code, answer.json()["type"]) == (503, f"urn:rollcall:problem:{code}")
    assert int(answer.headers["retry-after"]) > 0
    assert at.slots.in_use == 0


@pytest.mark.parametrize(
    ("form", "text", "is_search"),
    [
        (PeopleQuery, "", False),
        (PeopleQuery, "sort=-created_at&limit=200", False),
        (PeopleQuery, f"id={ID}&gender=F", False),
        (PeopleQuery, "document_id=1020304", False),
        (PeopleQuery, "email.in=a@example.org,b@example.org", False),
        (PeopleQuery, "count=false", False),
        (PeopleQuery, "count=true", True),
        (PeopleQuery, f"id={ID}&count=1", True),
        (PeopleQuery, "gender=F", True),
        (PeopleQuery, "email.exists=false", True),
        (PeopleQuery, "q=a", True),
        (PeopleQuery, "sort=last_name,birth_date", True),
        (EventsQuery, "", False),
        (EventsQuery, "type=person.*&from=2026-01-01&limit=200", False),
        (EventsQuery, "actor=ada", False),
        (EventsQuery, "actor=ada&type=person.created", True),
        (EventsQuery, f"person_id={ID}", True),
    ],
)
def test_what_may_read_much_more_than_it_shows_is_a_search(form, text, is_search):
    assert read_query(form, QueryParams(text), {"phone_region": "CO"}).is_search == is_search
