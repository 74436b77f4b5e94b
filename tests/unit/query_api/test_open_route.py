"""`POST /events/open`: opens what was announced and nothing else, as far as the caller's scopes go."""

import copy
from types import SimpleNamespace

import httpx
import orjson
import pytest

from events.errors import KeyTrouble
from events.log.event import announced_hash, encode_event
from events.person.schema.reading import read_schema
from query_api.feed.open_route import MAX_BYTES, MAX_EVENTS, EventOpening, add_open_route
from service_kit.auth.tokens import Caller
from service_kit.http.web import create_app
from service_kit.seals.opening import ERASED
from tests.chained import SEALING, SomeKeys, event

PERSON = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
OTHER = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6d"
FIRST = event(PERSON, 1, "0" * 64)
SECOND = event(PERSON, 2, FIRST.hash, data={"last_name": "Peña"})
FIELDS = {name: {"type": "string", "format": "name"} for name in ("first_name", "last_name")}
SCHEMA = read_schema(
    {
        "version": 1,
        "type": "object",
        "properties": {**FIELDS, "grade": {"type": "integer", "rollcall": {"personal": False}}},
    }
)
NOW = {"_id": PERSON, "version": 2, "first_name": "Zoé", "last_name": "Peña", "grade": 1}
READER, AUDITOR = "events:read", "audit:read"


def hiding(name: str):
    properties = {**SCHEMA.document["properties"]}
    properties[name] = {**properties[name], "rollcall": {"read": "payroll:read"}}
    return read_schema({**SCHEMA.document, "properties": properties})


class Verifier:
    """Takes the token for its scopes."""

    async def verify(self, authorization: str) -> Caller:
        return Caller("ada", None, frozenset(authorization.split()), float("inf"))


def stage(people=(NOW,), key=SEALING, schema=SCHEMA, keys=None) -> SimpleNamespace:
    app = create_app("test", {})

    async def find_people(person_ids):
        return {one["_id"]: one for one in people if one["_id"] in person_ids}

    add_open_route(app, Verifier(), EventOpening(keys or SomeKeys(key), find_people, schema))

    async def ask(*contents, scope=READER, **options):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": scope, **options.pop("headers", {})}
        async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
            options = options or {"json": {"events": list(contents)}}
            return await client.post("/events/open", **options)

    return ask


async def items(ask, *contents, **options) -> list[dict]:
    answer = await ask(*contents, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_the_hash_of_an_announcement_is_the_event_s():
    for one in (FIRST, SECOND, event(PERSON, 3, SECOND.hash, causation_id="c", person_schema=None)):
        assert announced_hash(encode_event(one)) == one.hash


async def test_auditors_get_events_whole_and_in_order():
    second, first = await items(stage(), encode_event(SECOND), encode_event(FIRST), scope=AUDITOR)
    assert first["data"] == {"first_name": "Zoé", "last_name": "Ñu\t1", "grade": 1}
    assert second["data"] == {"last_name": "Peña"}
    assert first["sourceaddress"] == "127.0.0.1"
    assert first["hash"] == FIRST.hash and "sealed" not in first


async def test_others_get_what_is_still_so_and_nothing_of_where_the_editor_was():
    first, second = await items(stage(), encode_event(FIRST), encode_event(SECOND))
    assert first["data"] == {"first_name": "Zoé", "grade": 1}
    assert second["data"] == {"last_name": "Peña"}
    assert not {"sourceaddress", "useragent", "hash", "prevhash", "values", "sealed"} & (
        first.keys() | second.keys()
    )


@pytest.mark.parametrize("people", [(), ({"_id": PERSON, "version": 3, "deleted": True},)])
async def test_of_deleted_people_there_is_nothing_without_the_scope(people):
    (one,) = await items(stage(people), encode_event(FIRST))
    assert one["data"] == {}
    (one,) = await items(stage(people), encode_event(FIRST), scope=AUDITOR)
    assert one["data"]["first_name"] == "Zoé"


async def test_an_erased_event_says_so_and_keeps_what_stays_readable():
    (one,) = await items(stage(key=ERASED), encode_event(FIRST), scope=AUDITOR)
    assert (one["erased"], one["data"]) == (True, {"grade": 1})
    (one,) = await items(stage((), ERASED), encode_event(FIRST))
    assert (one["erased"], one["data"]) == (True, {})


@pytest.mark.parametrize(
    "harm",
    [
        {"version": 9},
        {"personschema": None},
        {"type": "person.created", "schemaversion": 1},
        {"subject": OTHER},
        {"sealed": SECOND.sealed.hex()},
        {"sealed": "none"},
        {"hash": SECOND.hash},
        {"data": {"first_name": "Zoé"}},
        {"version": 10**30},
        {"more": 10**30},
    ],
    ids=lambda harm: next(iter(harm)),
)
@pytest.mark.parametrize("scope", [READER, AUDITOR])
async def test_what_was_not_announced_so_is_not_opened(harm, scope):
    damaged, sound = await items(stage(), {**encode_event(FIRST), **harm}, encode_event(SECOND), scope=scope)
    assert damaged["damaged"] is True and damaged["data"] == {}
    assert "Zo" not in str(damaged) and "sourceaddress" not in damaged
    assert sound["data"] == {"last_name": "Peña"}


@pytest.mark.parametrize("harm", [{"data": []}, {"version": "1"}, {"id": 7}, {"sealed": None}], ids=str)
async def test_what_is_no_sealed_event_is_refused(harm):
    assert (await stage()({**encode_event(FIRST), **harm})).status_code == 422


async def test_another_version_does_not_bring_a_former_value_to_light():
    # Of a version that the read model does not know yet, every value is new.
    forged = {**encode_event(FIRST), "version": 9}
    forged["hash"] = announced_hash(forged)
    (one,) = await items(stage(), forged)
    assert one["damaged"] is True and one["data"] == {}


async def test_a_field_wants_its_scope_under_every_name():
    ask = stage(schema=hiding("last_name"))
    for scope in (READER, AUDITOR):
        (one,) = await items(ask, encode_event(SECOND), scope=scope)
        assert one["data"] == {} and "last_name" not in one["sealedfields"]
    (one,) = await items(ask, encode_event(SECOND), scope=f"{READER} payroll:read")
    assert one["data"] == {"last_name": "Peña"}


async def test_a_key_that_is_not_there_is_trouble_and_no_erasure():
    class Lost(SomeKeys):
        async def load(self, person_ids):
            raise KeyTrouble("there is no key")

    assert (await stage(keys=Lost())(encode_event(FIRST))).status_code == 503


async def test_the_route_wants_one_of_its_scopes_before_it_reads_anything():
    ask = stage()
    refused = await ask(scope="people:read ops", content=b"{")
    assert refused.status_code == 403
    assert 'scope="events:read"' in refused.headers["www-authenticate"]


async def test_a_request_is_bounded():
    ask, one = stage(), encode_event(FIRST)
    assert (await ask()).status_code == 422
    assert (await ask(*[one] * (MAX_EVENTS + 1))).status_code == 422
    assert (await ask(*[one] * MAX_EVENTS)).status_code == 200
    large = copy.deepcopy(one)
    large["data"]["first_name"] = "x" * MAX_BYTES
    assert (await ask(large)).status_code == 413
    assert (await ask(content=orjson.dumps({"events": [one], "more": 1}))).status_code == 422
    deep = b'{"events":[{"data":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}]}"
    assert (await ask(content=deep)).status_code in (200, 400, 422)


async def test_the_record_names_whose_events_were_opened(monkeypatch):
    noted = []
    monkeypatch.setattr("query_api.feed.open_route.note_people", lambda _scope, people: noted.append(people))
    await items(stage(), encode_event(FIRST), encode_event(SECOND))
    assert noted == [[PERSON]]
