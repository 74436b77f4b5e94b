"""The report on a person: everything, of everybody who ever was there, bounded, and nothing a caller may not see."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from events.access.batch import batch_of
from events.log.event import GENESIS
from events.log.stored import event_document
from events.person.schema.reading import read_schema
from query_api.accesses.queries import AccessReads
from query_api.accesses.views import access_views
from query_api.dead_letters.queries import ParkedReads
from query_api.history.folding import Folds
from query_api.history.queries import LogReads
from query_api.people.queries import Answer
from query_api.people.routes import PeopleDependencies
from query_api.reading.cursors import CursorSeal
from query_api.reading.searches import Searches
from query_api.report import gathering
from query_api.report.gathering import Reports
from query_api.report.page import _ES
from query_api.report.routes import add_report_route
from service_kit.access.records import AccessRecord, encode
from service_kit.auth.tokens import Caller
from service_kit.http.web import create_app
from service_kit.seals.opening import ERASED
from service_kit.slots import AtOnce
from tests.chained import SEALING, SomeKeys, event
from tests.transport import known_keys

PERSON = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
STREAM = "access:0199b1f0-7a00-7b11-8c22-d33e44f55a66"
NOW = datetime(2026, 2, 28, 9, 30, tzinfo=UTC)
EVIL = "<script>alert('x')</script>&"
SCHEMA = read_schema(
    {
        "version": 1,
        "type": "object",
        "properties": {
            "first_name": {"type": "string", "format": "name", "rollcall": {"labels": {"es": "Nombre"}}},
            "email": {"type": "string", "format": "email", "rollcall": {"unique": True}},
            "salary": {"type": "integer", "rollcall": {"read": "payroll:read"}},
            "grade": {"type": "integer", "rollcall": {"personal": False}},
        },
    }
)
CREATED = event(
    PERSON, 1, GENESIS, data={"first_name": "Zoé", "email": "zoe@example.com", "salary": 7, "grade": 1}
)
UPDATED = event(PERSON, 2, CREATED.hash, data={"first_name": EVIL})
HELD = event(
    PERSON,
    3,
    UPDATED.hash,
    type="person.held",
    data={"reason": "litigation", "reference": "2026-1"},
    sealed_fields=("@source_address",),
)
DELETED = event(PERSON, 4, HELD.hash, type="person.deleted", data={})
LOG = [CREATED, UPDATED, HELD]


class Reads:
    """Finds documents of the log and of what waits."""

    def __init__(self, log, waiting=()) -> None:
        self.cursors = CursorSeal()
        self._events = [event_document(one) for one in log]
        self._waiting = list(waiting)

    async def find(self, collection, wanted, _shown, *, strong, sort=None, limit=1, batch=0) -> Answer:
        assert strong, "a report is not a lagging secondary's word"
        found: list[dict[str, Any]] = []
        if collection == "events":
            conditions = wanted.get("$and", [wanted])
            bound = next((one["version"] for one in conditions if "version" in one), {})
            found = [
                one
                for one in self._events
                if bound.get("$gte", 0) <= one["version"] <= bound.get("$lte", 99)
                and one["version"] < bound.get("$lt", 99)
            ]
            found.sort(key=lambda one: one["version"], reverse=sort[0][1] < 0)
        elif collection == "parked":
            found = self._waiting
        return Answer(found[:limit], None)

    def member_of(self, _answer) -> str:
        return "a:1"


class Accesses(AccessReads):
    """Reads batches that a test made."""

    def __init__(self, *batches) -> None:
        self._seal = CursorSeal()
        self.all = sorted(batches, key=lambda one: one["ended_at"], reverse=True)
        self.read = 0

    async def batches(self, wanted, place=None):
        for batch in self.all:
            self.read += 1
            views = [(view["number"], view) for view in access_views(batch, None) if wanted.has(view)]
            yield {**batch, "member": None}, views


def batch(number: int, *records: AccessRecord) -> dict[str, Any]:
    for place, one in enumerate(records, 10 * number + 1):
        one.number = place
    encoded = encode(records)
    time = NOW + timedelta(minutes=number)
    held = {"records": encoded.records, "people": encoded.people or None, "sealed": None}
    return batch_of(
        stream=STREAM,
        version=number,
        prev=GENESIS,
        service="query-api",
        span=(time, time),
        count=len(records),
        held=held,
        key=None,
        subjects=encoded.subjects,
    )


def access(route: str, minutes: float, people=(), status: int = 200, **more) -> AccessRecord:
    at = (NOW + timedelta(minutes=minutes)).timestamp()
    return AccessRecord(at, "GET", route, status, "reader", "192.0.2.1", people=people, **more)


class Verifier:
    """Takes the token for its scopes."""

    async def verify(self, authorization: str) -> Caller:
        return Caller("dpo", None, frozenset(authorization.split()), float("inf"))


def stage(log=LOG, key=SEALING, accesses=None, waiting=()) -> SimpleNamespace:
    reads, keys = Reads(log, waiting), SomeKeys(key)
    folds = Folds(reads, 60.0, keys, SCHEMA)
    parked, logged = ParkedReads(reads, known_keys()), LogReads(reads, folds, SCHEMA, keys)
    searches = Searches(AtOnce(8, 4), 60.0)
    people = PeopleDependencies(reads, logged, parked, Verifier(), False, None, "CO", searches, SCHEMA)
    accesses = accesses or Accesses()
    app = create_app("test", {})
    add_report_route(app, people, Reports(folds, logged, parked, accesses, SCHEMA, 400, lambda: NOW))

    async def ask(scope="people:report", **headers):
        headers = {"Authorization": scope, **headers}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            return await client.get(f"/people/{PERSON}/report", headers=headers)

    return SimpleNamespace(ask=ask, accesses=accesses)


async def report(at, scope="people:report") -> dict[str, Any]:
    answer = await at.ask(scope)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"].endswith("no-store")
    return answer.json()


async def test_it_tells_everything_of_an_active_person():
    told = await report(stage(), "people:report payroll:read")
    assert (told["status"], told["made_at"]) == ("active", "2026-02-28T09:30:00.000Z")
    assert told["person"]["first_name"] == EVIL and told["person"]["salary"] == 7
    assert told["unique"] == ["email"]
    assert told["holds"] == [{"reference": "2026-1", "reason": "litigation"}]
    assert [one["version"] for one in told["history"]["items"]] == [3, 2, 1]
    assert told["history"]["items"][1]["changes"] == {"first_name": {"from": "Zoé", "to": EVIL}}
    assert told["history"]["items"][1]["source_address"] == "127.0.0.1"
    assert told["retention"] == {"access_days": 400}


async def test_what_wants_a_scope_is_not_told_without_it():
    told = await report(stage())
    assert "salary" not in str(told)


async def test_of_a_deleted_person_there_is_what_the_log_has():
    told = await report(stage([*LOG, DELETED]))
    assert (told["status"], told["person"], told["unique"]) == ("deleted", None, [])
    assert told["history"]["items"][0]["changes"]["first_name"] == {"from": EVIL, "to": None}
    assert "zoe@example.com" in str(told["history"])


async def test_of_an_erased_person_there_is_the_proof_alone():
    at = stage(key=ERASED, accesses=Accesses(batch(1, access("/people/{person_id}", 1, [PERSON]))))
    told = await report(at)
    assert (told["status"], told["person"], told["accesses"], told["recipients"]) == (
        "erased",
        None,
        None,
        None,
    )
    assert [one["hash"] for one in told["history"]["items"]] == [HELD.hash, UPDATED.hash, CREATED.hash]
    assert "first_name" in told["history"]["items"][2]["erased"]
    assert "Zo" not in str(told) and "example.com" not in str(told) and "127.0.0.1" not in str(told)
    assert at.accesses.read == 0
    page = (await at.ask(Accept="text/html")).text
    assert "Of an erased person there is only the proof." in page and "Zo" not in page


async def test_it_names_who_read_and_what_may_have_taken_the_person_along():
    begun = access("/people/export", 2, position="7-x")
    ended = access("/people/export", 2, lines=5, whole=True, begun=begun)
    log_begun = access("/events", 3)
    accesses = Accesses(
        batch(1, access("/people/{person_id}", 1, [PERSON]), access("/people/export", -90_000)),
        batch(2, begun, ended, access("/people/export", 2, status=403)),
        batch(
            3, log_begun, access("/events", 3), access("/events", 3, lines=9, whole=False, begun=log_begun)
        ),
        batch(4, access("/events/stream", 4)),
    )
    told = await report(stage(accesses=accesses))
    assert [one["route"] for one in told["accesses"]["items"]] == ["/people/{person_id}"]
    items = [(one["route"], one["lines"], one["whole"]) for one in told["recipients"]["items"]]
    assert items == [("/events/stream", None, None), ("/events", 9, False), ("/people/export", 5, True)]


async def test_what_is_more_is_left_out_and_says_where_it_is(monkeypatch):
    monkeypatch.setattr(gathering, "SHOWN", 2)
    monkeypatch.setattr(gathering, "LOOKED_THROUGH", 2)
    accesses = Accesses(
        *(batch(number, access("/events/stream", number, [PERSON])) for number in range(1, 6))
    )
    waiting = [
        {
            **dict.fromkeys(("command_id", "type", "actor", "reason"), "x"),
            **dict.fromkeys(("accepted_at", "parked_at"), NOW),
        }
        for _ in range(3)
    ]
    told = await report(stage(accesses=accesses, waiting=waiting))
    for part in ("history", "accesses", "recipients", "waiting"):
        assert len(told[part]["items"]) == 2, part
    assert told["history"]["next"].startswith(f"/people/{PERSON}/history?include=rejected&limit=2&cursor=")
    assert told["accesses"]["next"].startswith(f"/people/{PERSON}/accesses?limit=2&cursor=")
    assert told["recipients"]["next"] == (
        "/accesses?from=2026-01-31T08%3A00%3A01.007Z&to=2026-02-28T09%3A34%3A00.001Z&outcome=answered"
    )
    assert told["waiting"]["next"] == f"/dead-letters/{PERSON}"


async def test_of_whom_nothing_is_known_is_absent_and_who_waits_is_told():
    assert (await stage([]).ask()).status_code == 404
    waiting = dict.fromkeys(("command_id", "type", "actor", "reason"), "x")
    waiting |= dict.fromkeys(("accepted_at", "parked_at"), NOW)
    told = await report(stage([], waiting=[waiting]))
    assert (told["status"], told["history"]["items"], len(told["waiting"]["items"])) == ("absent", [], 1)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.seen.append((tag, dict(attrs)))


@pytest.mark.parametrize(
    ("asked", "language", "word"), [("en", "en", "History"), ("es-CO", "es", "Historial")]
)
async def test_the_page_is_escaped_has_no_script_and_speaks_two_languages(asked, language, word):
    headers = {"Accept": "text/html", "Accept-Language": asked}
    accesses = Accesses(batch(1, access("/people/{person_id}", 1, [PERSON])))
    answer = await stage(accesses=accesses).ask(**headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert (answer.headers["content-language"], answer.headers["cache-control"]) == (language, "no-store")
    assert f'<html lang="{language}">' in answer.text and f"<h2>{word}</h2>" in answer.text
    assert (
        "<script" not in answer.text
        and "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;" in answer.text
    )
    assert ("Nombre" in answer.text) == (language == "es")
    tags = _Tags()
    tags.feed(answer.text)
    assert not [
        attrs for tag, attrs in tags.seen if any(name.startswith("on") or name == "style" for name in attrs)
    ]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "unsafe" not in policy


def test_every_word_of_the_page_has_a_spanish_one():
    source = Path(gathering.__file__).with_name("page.py").read_text(encoding="utf-8")
    said = set(re.findall(r'say\(\s*"([^"]+)"', source))
    assert said and said <= set(_ES)


async def test_only_forms_that_there_are_and_only_with_the_scope():
    assert (await stage().ask(Accept="text/csv")).status_code == 406
    refused = await stage().ask("people:read audit:read")
    assert (refused.status_code, 'scope="people:report"' in refused.headers["www-authenticate"]) == (
        403,
        True,
    )
