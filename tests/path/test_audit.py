"""Who did what, when, from where, and what changed: of one person, and in everybody's events."""

import csv
import io
import json
from uuid import uuid4

import pytest
import pytest_asyncio

from events.log.event import GENESIS, event_of_line, hash_of
from tests.system import eventually, new_person

WAIT = {"Prefer": "wait=20"}
STRONG = {"consistency": "strong"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FORMS = {"ndjson": "application/x-ndjson", "csv": "text/csv"}


@pytest_asyncio.fixture(scope="module")
async def story(system, services) -> dict:
    """What an auditor of its own name did to two people, in an order that is known."""
    subject, correlation = f"auditor-{uuid4()}", f"case-{uuid4()}"
    headers = {
        **WAIT,
        "X-Correlation-Id": correlation,
        "X-Causation-Id": "ticket-7",
        "traceparent": TRACE,
        "User-Agent": "=probe/1",
    }
    token = system.token(subject=subject, name="Ada Lovelace")
    async with system.client(services["command_api"], token) as client:
        body = new_person(occupation="Baker", gender="M")
        first = (await client.post("/people", json=body, headers=headers)).json()
        path = f"/people/{first['id']}"
        await client.patch(path, json={"occupation": None, "gender": "NB"}, headers=headers)
        await client.patch(path, json={"gender": "F"}, headers={**headers, "If-Match": '"1"'})
        await client.patch(path, json={"last_name": "Ñáñez"}, headers=WAIT)
        other = (await client.post("/people", json=new_person(), headers=WAIT)).json()
        await client.delete(path, headers=headers)
        await client.delete(path, headers=headers)
    return {"subject": subject, "correlation": correlation, "first": first, "other": other}


async def history(queries, person_id: str, **params) -> list[dict]:
    """Return all pages of a history."""
    items: list[dict] = []
    target = f"/people/{person_id}/history"
    params = {**STRONG, **params}
    while True:
        response = await queries.get(target, params=params)
        assert response.status_code == 200, response.text
        page = response.json()
        assert page["person_id"] == person_id
        items += page["items"]
        if page["next"] is None:
            return items
        assert f"cursor={page['next']}" in response.headers["link"]
        params["cursor"] = page["next"]


async def test_a_history_tells_newest_first_what_changed_of_a_deleted_person_too(queries, story):
    first = story["first"]
    entries = await history(queries, first["id"])
    assert [(entry["version"], entry["type"]) for entry in entries] == [
        (4, "person.deleted"),
        (3, "person.updated"),
        (2, "person.updated"),
        (1, "person.created"),
    ]
    deleted, renamed, changed, created = (entry["changes"] for entry in entries)
    assert changed == {
        "gender": {"from": first["gender"], "to": "non_binary"},
        "occupation": {"from": "Baker", "to": None},
    }
    assert renamed == {"last_name": {"from": first["last_name"], "to": "Ñáñez"}}
    assert created["email"] == {"from": None, "to": first["email"]}
    assert deleted["last_name"] == {"from": "Ñáñez", "to": None}
    assert "occupation" not in deleted


async def test_an_entry_tells_who_when_from_where_and_by_which_command(queries, story):
    deleted, _, changed, created = await history(queries, story["first"]["id"])
    assert changed["actor"] == {"subject": story["subject"], "name": "Ada Lovelace"}
    assert changed["accepted_at"] <= changed["applied_at"] <= deleted["applied_at"]
    assert changed["source_address"] == "127.0.0.1"
    assert changed["user_agent"] == "=probe/1"
    assert changed["correlation_id"] == story["correlation"]
    assert changed["causation_id"] == "ticket-7"
    assert changed["traceparent"] == TRACE
    assert changed["schema"] == 2
    assert (created["prev"], changed["prev"]) == (GENESIS, created["hash"])
    status = await queries.get(
        f"/people/{story['first']['id']}/commands/{changed['command_id']}", params=STRONG
    )
    assert status.json()["event_id"] == changed["event_id"]


async def test_refused_commands_are_told_on_request(queries, story):
    entries = await history(queries, story["first"]["id"], include="rejected")
    assert [(entry["status"], entry["type"]) for entry in entries] == [
        ("rejected", "person.delete"),
        ("applied", "person.deleted"),
        ("applied", "person.updated"),
        ("rejected", "person.update"),
        ("applied", "person.updated"),
        ("applied", "person.created"),
    ]
    refused = entries[3]
    assert (refused["reason"], refused["detail"]) == (
        "version-mismatch",
        "the person is at version 2, not 1",
    )
    assert refused["actor"] == {"subject": story["subject"], "name": "Ada Lovelace"}
    assert (refused["source_address"], refused["user_agent"]) == ("127.0.0.1", "=probe/1")
    assert (refused["correlation_id"], refused["causation_id"]) == (story["correlation"], "ticket-7")
    assert refused["accepted_at"] <= refused["rejected_at"]


@pytest.mark.parametrize("params", [{}, {"include": "rejected"}])
async def test_pages_of_a_history_give_each_entry_once_in_order(queries, story, params):
    whole = await history(queries, story["first"]["id"], **params)
    for limit in (1, 2, 3):
        assert await history(queries, story["first"]["id"], limit=limit, **params) == whole


async def test_someone_who_was_only_ever_refused_has_a_history_of_that(commands, queries):
    body = new_person()
    await commands.post("/people", json=body, headers=WAIT)
    response = await commands.post("/people", json=body)
    person_id, status = response.json()["person_id"], response.headers["location"]

    async def decided():
        return (await queries.get(status, params=STRONG)).status_code == 200

    await eventually(decided)
    assert (await queries.get(f"/people/{person_id}/history", params=STRONG)).status_code == 404
    (entry,) = await history(queries, person_id, include="rejected")
    assert (entry["type"], entry["reason"]) == ("person.create", "duplicate-document")


async def found(queries, **params) -> list[dict]:
    """Return all pages of a search."""
    items: list[dict] = []
    params = {**STRONG, "limit": 2, **params}
    while True:
        response = await queries.get("/events", params=params)
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        if page["next"] is None:
            return items
        assert f"cursor={page['next']}" in response.headers["link"]
        params["cursor"] = page["next"]


async def test_everybody_s_events_are_found_by_who_what_whom_when_and_why(queries, story):
    mine = await found(queries, actor=story["subject"])
    assert [(event["person_id"], event["version"]) for event in mine] == [
        (story["first"]["id"], 4),
        (story["other"]["id"], 1),
        (story["first"]["id"], 3),
        (story["first"]["id"], 2),
        (story["first"]["id"], 1),
    ]
    assert mine[3]["data"] == {"occupation": None, "gender": "non_binary"}
    oldest_first = await found(queries, actor=story["subject"], sort="applied_at")
    assert oldest_first == mine[::-1]
    third = mine[2]["applied_at"]
    of_first = {"actor": story["subject"], "person_id": story["first"]["id"]}
    cases = [
        ({"actor": story["subject"], "type": "person.created"}, [mine[1], mine[4]]),
        ({"person_id": story["first"]["id"].upper()}, [mine[0], mine[2], mine[3], mine[4]]),
        ({"correlation_id": story["correlation"]}, [mine[0], mine[3], mine[4]]),
        ({**of_first, "from": third}, [mine[0], mine[2]]),
        ({**of_first, "to": third}, [mine[3], mine[4]]),
        ({"actor": "nobody"}, []),
    ]
    for params, expected in cases:
        assert await found(queries, **params) == expected, params


async def test_pages_of_a_search_are_stable_while_others_write(commands, queries, system, services):
    actor = f"busy-{uuid4()}"
    async with system.client(services["command_api"], system.token(subject=actor)) as client:
        for _ in range(4):
            await client.post("/people", json=new_person(), headers=WAIT)
        page = (await queries.get("/events", params={**STRONG, "actor": actor, "limit": 2})).json()
        await client.post("/people", json=new_person(), headers=WAIT)
    rest = await found(queries, actor=actor, cursor=page["next"])
    ids = [event["event_id"] for event in page["items"] + rest]
    assert len(ids) == len(set(ids)) == 4


@pytest.mark.parametrize("sort", ["applied_at", "-applied_at"])
async def test_an_export_is_all_that_a_search_finds_in_its_order(queries, story, sort):
    params = {**STRONG, "actor": story["subject"], "sort": sort}
    pages = await found(queries, **params)
    params["opened"] = "true"
    for form, media_type in FORMS.items():
        response = await queries.get("/events", params=params, headers={"Accept": media_type})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].partition(";")[0] == media_type
        assert response.headers["content-disposition"] == f'attachment; filename="events.{form}"'
        assert response.headers["vary"] == "Accept"
        assert response.headers["transfer-encoding"] == "chunked"
        if form == "csv":
            rows = list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))
            agent = json.loads(rows[0]["opened"])["@user_agent"]["value"]
            assert agent.startswith(("=probe", "python-httpx"))
        else:
            rows = [json.loads(line) for line in response.content.splitlines()]
        assert [row["event_id"] for row in rows] == [event["event_id"] for event in pages]


async def test_an_exported_log_proves_itself(queries, story):
    params = {**STRONG, "person_id": story["first"]["id"], "sort": "applied_at"}
    response = await queries.get("/events", params=params, headers={"Accept": FORMS["ndjson"]})
    previous = GENESIS
    for version, line in enumerate(response.content.splitlines(), 1):
        event = event_of_line(line)
        assert (event.version, event.prev, event.hash) == (version, previous, hash_of(event))
        previous = event.hash
    assert version == 4


async def test_an_empty_export_is_a_header_or_nothing(queries):
    for media_type, lines in ((FORMS["csv"], 1), (FORMS["ndjson"], 0)):
        response = await queries.get("/events", params={"actor": "nobody"}, headers={"Accept": media_type})
        assert (response.status_code, len(response.content.splitlines())) == (200, lines)


async def test_a_form_that_cannot_be_had_is_406(queries):
    response = await queries.get("/events", headers={"Accept": "text/html"})
    assert (response.status_code, response.json()["type"]) == (406, "urn:rollcall:problem:not-acceptable")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("type", "person.exploded"),
        ("person_id", "42"),
        ("from", "soon"),
        ("to", "2026-01-01T24:30:00"),
        ("from_", "2026-01-01T00:00:00Z"),
        ("sort", "actor"),
        ("limit", "201"),
        ("cursor", "W10"),
        ("actor[$ne]", "x"),
        ("data.email", "x"),
    ],
)
async def test_a_bad_parameter_is_named(queries, parameter, value):
    response = await queries.get("/events", params={parameter: value})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [parameter]


async def test_what_belongs_to_pages_does_not_go_with_an_export(queries):
    headers = {"Accept": FORMS["csv"]}
    assert (await queries.get("/events", params={"limit": 5}, headers=headers)).status_code == 422


async def test_a_cursor_belongs_to_its_search_and_its_history(queries, story):
    params = {"actor": story["subject"], "limit": 1, **STRONG}
    cursor = (await queries.get("/events", params=params)).json()["next"]
    path = f"/people/{story['first']['id']}/history"
    own = (await queries.get(path, params={"limit": 1, **STRONG})).json()["next"]
    for target, changed in (
        ("/events", {**params, "cursor": cursor, "actor": "another"}),
        ("/events", {**params, "cursor": cursor, "sort": "applied_at"}),
        ("/events", {**params, "cursor": own}),
        (path, {"cursor": cursor}),
        (path, {"cursor": own, "include": "rejected"}),
        (f"/people/{story['other']['id']}/history", {"cursor": own}),
    ):
        response = await queries.get(target, params=changed)
        assert response.status_code == 422, target
        assert response.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    "path", ["/people/42/history", "/people/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c/history"]
)
async def test_a_history_of_nobody(queries, path):
    assert (await queries.get(path)).status_code == (422 if "/42/" in path else 404)
