"""People of schemas of one's own, all the way: what POST takes is what every read gives."""

import asyncio
import csv
import io
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from devstack.demo.values import made_person
from devstack.first_start import set_up_queues
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import parse_schema
from events.text import fold
from service_kit.broker.topology import PARTITIONS
from service_kit.broker.users import COMMAND_USER, QUERY_USER, WORKER_USER
from tests.people_files import finished
from tests.system import ROOT, SCOPES, System, eventually

WAIT = {"Prefer": "wait=20"}
MANY = 60


@dataclass
class Own:
    """The services on people of a schema, and some people there.

    Attributes:
        schema: What a person is.
        settings: Of its services.
        commands: A client with every scope.
        queries: The same of the query API.
        blind: Clients of both APIs without the scopes that the schema names.
        people: Who is there, as the API showed them.
    """

    schema: PersonSchema
    settings: dict[str, str]
    commands: httpx.AsyncClient
    queries: httpx.AsyncClient
    blind: tuple[httpx.AsyncClient, httpx.AsyncClient]
    people: list[dict[str, Any]]


@pytest_asyncio.fixture(scope="module", params=["employees", "students", "club"])
async def own(system: System, request: pytest.FixtureRequest):
    name = request.param
    path = ROOT / "examples" / "schemas" / f"{name}.json"
    schema = parse_schema(path.read_bytes())
    for words in (["add_vhost", name], *_permissions(name)):
        await asyncio.to_thread(system.rabbit.ctl, *words)
    address = f"{system.rabbit.url.rstrip('/')}/{name}"
    await asyncio.to_thread(set_up_queues, address, PARTITIONS, time.sleep)
    settings = {"ROLLCALL_PERSON_SCHEMA": str(path), "ROLLCALL_MONGO_DB": f"own_{name}"}
    await asyncio.to_thread(
        system.initialise, settings["ROLLCALL_MONGO_DB"], ROLLCALL_PERSON_SCHEMA=str(path)
    )
    services = {}
    for module, user in (("command_api", COMMAND_USER), ("query_api", QUERY_USER), ("workers", WORKER_USER)):
        url = f"{system.rabbit.url_of(user).rstrip('/')}/{name}"
        more = {key: value for key, value in settings.items() if key != "ROLLCALL_MONGO_DB"}
        services[module] = system.service(
            module, database=settings["ROLLCALL_MONGO_DB"], ROLLCALL_AMQP_URL=url, **more
        )
    for service in services.values():
        service.spawn()
    try:
        for service in services.values():
            await service.wait_ready()
        all_scopes = system.token(*SCOPES, *schema.scopes)
        clients = [
            system.client(services[api], token)
            for token in (all_scopes, system.token(*SCOPES))
            for api in ("command_api", "query_api")
        ]
        commands, queries, *blind = clients
        people = [await _create(commands, made_person(schema, number)) for number in range(MANY)]
        await eventually(lambda: _all_shown(queries))
        yield Own(schema, settings | {"ROLLCALL_AMQP_URL": address}, commands, queries, tuple(blind), people)
        for client in clients:
            await client.aclose()
    finally:
        for service in services.values():
            service.kill()


def _permissions(vhost: str):
    for user in ("rollcall", COMMAND_USER, QUERY_USER, WORKER_USER):
        yield ["set_permissions", "-p", vhost, user, ".*", ".*", ".*"]


async def _create(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    response = await client.post("/people", json=body, headers=WAIT)
    assert response.status_code == 201, response.text
    return response.json()


async def _all_shown(queries: httpx.AsyncClient) -> bool:
    return (await queries.get("/people?limit=1&count=true")).json()["count"] == MANY


async def listed(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """Return all that a list gives, page by page."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"consistency": "strong", "limit": 7, **query}
    while True:
        response = await client.get("/people", params=page)
        assert response.status_code == 200, response.text
        answer = response.json()
        found += answer["items"]
        if answer["next"] is None:
            return found
        page["cursor"] = answer["next"]


async def test_what_is_sent_is_what_every_read_gives(own):
    for person in own.people[:10]:
        shown = await own.queries.get(f"/people/{person['id']}", params={"min_version": person["version"]})
        assert shown.json() == person
    assert sorted(one["id"] for one in await listed(own.queries)) == sorted(one["id"] for one in own.people)


async def test_an_export_is_imported_again_as_equal_people(own, system):
    response = await own.queries.get("/people/export?consistency=strong", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert len(rows) == len(own.people)
    # Dry: the people are there. What would be sent is what is told.
    for form, content in (("text/csv", response.content), ("application/x-ndjson", await _ndjson(own))):
        told = await own.commands.post(
            "/people/import?dry_run=true&mode=upsert", content=content, headers={"Content-Type": form}
        )
        assert told.status_code == 202, told.text
        assert told.json()["rejected"] == 0, told.text
    one = own.people[0]
    changed = {name: one[name] for name in own.schema.names if name not in _unique(own.schema)}
    unlike = next(p for p in own.people if {n: p[n] for n in changed} != changed)
    row = {**{name: one[name] for name in changed if one[name] is not None}, "id": unlike["id"]}
    missing = [name for name in changed if one[name] is None and unlike[name] is not None]
    body = orjson.dumps(row | dict.fromkeys(missing)) + b"\n"
    told = await own.commands.post(
        "/people/import?mode=upsert", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    assert (await finished(own.queries, told.json()["import_id"]))["applied"] == 1
    now = (await own.queries.get(f"/people/{unlike['id']}?consistency=strong")).json()
    assert {name: now[name] for name in changed} == changed
    own.people[own.people.index(unlike)] = now


def _unique(schema: PersonSchema) -> set[str]:
    return {name for names in schema.unique.values() for name in names}


async def _ndjson(own: Own) -> bytes:
    response = await own.queries.get("/people/export?consistency=strong")
    return response.content


async def test_a_value_that_is_unique_is_one_persons_until_it_is_let_go(own):
    for kind, names in own.schema.unique.items():
        (name,) = names
        holder = next(one for one in own.people if one[name] is not None)
        other = {**made_person(own.schema, MANY + 1), name: holder[name]}
        refused = await own.commands.post("/people", json=other, headers=WAIT | {"Accept-Language": "es"})
        assert refused.status_code == 409, refused.text
        problem = refused.json()
        assert problem["type"].endswith(f"duplicate-{kind.replace('_', '-')}")
        assert (problem["fields"], problem["detail"]) == ([name], own.schema.taken[kind]["es"])
        route = f"/people/by-{kind.replace('_', '-')}"
        found = await own.queries.get(f"{route}/{holder[name]}?consistency=strong")
        assert found.json()["id"] == holder["id"]
        fresh = made_person(own.schema, MANY + 2)[name]
        moved = await own.commands.patch(f"/people/{holder['id']}", json={name: fresh}, headers=WAIT)
        assert moved.status_code == 200, moved.text
        taken = await _create(own.commands, other)
        gone = await own.commands.delete(f"/people/{taken['id']}", headers=WAIT)
        assert gone.status_code == 200
        back = await own.commands.patch(f"/people/{holder['id']}", json={name: holder[name]}, headers=WAIT)
        own.people[own.people.index(holder)] = back.json()


def place(person: dict[str, Any], name: str) -> Any:
    """Return what a person sorts by; None last."""
    value = person[name]
    if name == "salary" and value is not None:
        return float(value)
    return fold(value) if isinstance(value, str) and name.endswith("name") else value


async def test_people_are_listed_in_every_declared_order_those_without_a_value_last(own):
    sorts = [field.name for field in own.schema.fields if field.sort]
    orders = [[f"{sign}{name}"] for name in sorts for sign in ("", "-")]
    orders += [list(names) for names in own.schema.sorts]
    orders += [[name if name.startswith("-") else f"-{name}" for name in names] for names in own.schema.sorts]
    everybody = {one["id"] for one in own.people}
    for order in orders:
        found = [one for one in await listed(own.queries, sort=",".join(order)) if one["id"] in everybody]
        assert len(found) == len({one["id"] for one in found}) == len(everybody), order
        before: list[tuple[bool, Any]] | None = None
        for one in found:
            now = [_comparable(one, word) for word in order]
            assert before is None or _follows(before, now, order), (order, before, now)
            before = now


def _comparable(person: dict[str, Any], word: str) -> tuple[bool, Any]:
    value = place(person, word.removeprefix("-"))
    return (value is None, value)


def _follows(one: list[tuple[bool, Any]], two: list[tuple[bool, Any]], order: list[str]) -> bool:
    for (lacks, value), (lacks_too, other), word in zip(one, two, order, strict=True):
        if (lacks, value) == (lacks_too, other):
            continue
        if lacks or lacks_too:
            return lacks_too
        return value > other if word.startswith("-") else value < other
    return True


async def test_filters_are_those_that_the_schema_declares(own):
    for field in own.schema.fields:
        values = [one[field.name] for one in own.people if one[field.name] is not None]
        if not values:
            continue
        there = await listed(own.queries, **{f"{field.name}.exists": "true"})
        assert sum(one[field.name] is not None for one in own.people) == len(_ours(own, there))
        if not field.has_filter:
            response = await own.queries.get("/people", params={field.name: str(values[0])})
            assert response.status_code == 422, field.name
            continue
        value = values[0]
        asked = (
            str(value[0] if isinstance(value, list) else value).lower()
            if isinstance(value, bool)
            else (value[0] if isinstance(value, list) else value)
        )
        found = _ours(own, await listed(own.queries, **{field.name: asked}))
        expected = [one for one in own.people if _has(one[field.name], value)]
        assert {one["id"] for one in found} >= {one["id"] for one in expected}, field.name
        if (field.sort and field.type in ("integer",)) or field.format in ("date", "decimal"):
            middle = sorted(values, key=lambda one: place({field.name: one}, field.name))[len(values) // 2]
            least = place({field.name: middle}, field.name)
            found = _ours(own, await listed(own.queries, **{f"{field.name}.gte": middle}))
            expected = [
                one for one in own.people if one[field.name] is not None and place(one, field.name) >= least
            ]
            assert {one["id"] for one in found} == {one["id"] for one in expected}, field.name
    response = await own.queries.get("/people?no_such_field=1")
    assert response.status_code == 422


def _has(there: Any, value: Any) -> bool:
    return value[0] in (there or []) if isinstance(value, list) else there == value


def _ours(own: Own, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = {one["id"] for one in own.people}
    return [one for one in found if one["id"] in ids]


async def test_history_shows_typed_values_before_and_after(own):
    person = own.people[1]
    optional = [name for name in own.schema.names if name in own.schema.optional and person[name] is not None]
    for name in [name for name in optional if name not in _unique(own.schema)][:4]:
        changed = await own.commands.patch(f"/people/{person['id']}", json={name: None}, headers=WAIT)
        assert changed.json()[name] is None
        newest = (await own.queries.get(f"/people/{person['id']}/history?consistency=strong")).json()[
            "items"
        ][0]
        assert newest["changes"] == {name: {"from": person[name], "to": None}}
        back = await own.commands.post(
            f"/people/{person['id']}/revert", json={"to_version": person["version"]}, headers=WAIT
        )
        assert back.json()[name] == person[name]
        was = await own.queries.get(
            f"/people/{person['id']}", params={"version": changed.json()["version"], "consistency": "strong"}
        )
        assert was.json()[name] is None
        person = own.people[1] = back.json()


@pytest.mark.parametrize(
    "wrong",
    [{"nobody": 1}, {"id": 3, "keys": {}}, {"$where": "1"}],
    ids=["unknown", "reserved", "operator"],
)
async def test_a_field_that_the_schema_lacks_is_refused_by_name(own, wrong):
    response = await own.commands.post("/people", json={**made_person(own.schema, 5_000), **wrong})
    assert response.status_code == 422
    named = {error["field"] for error in response.json()["errors"]}
    assert named & wrong.keys()


async def test_a_value_of_a_wrong_type_is_refused_by_name(own):
    for field in own.schema.fields:
        wrong: list[Any] = [
            {"a": {"b": 1}},
            [["x"]],
            2**60 if field.type != "integer" else 2**53,
            "\0",
            "\ud800",
        ]
        wrong += {"integer": ["30", True, 1.5], "boolean": ["true", 1], "array": ["x", [1], ["x"] * 300]}.get(
            field.type, [1, True]
        )
        for value in wrong:
            body = {**made_person(own.schema, 5_001), field.name: value}
            content = orjson.dumps(body) if value != "\ud800" else _surrogate(body, field.name)
            response = await own.commands.post(
                "/people", content=content, headers={"Content-Type": "application/json"}
            )
            assert response.status_code in (400, 422), (field.name, value, response.text)
            if response.status_code == 422:
                assert response.json()["errors"][0]["field"].startswith(field.name), response.text


def _surrogate(body: dict[str, Any], name: str) -> bytes:
    return orjson.dumps({**body, name: "X"}).replace(b'"X"', b'"\\ud800"')


async def test_what_a_person_is_is_told_by_both_apis(own):
    for client in (own.commands, own.queries):
        told = await client.get("/schema")
        assert told.json() == own.schema.document
        again = await client.get("/schema", headers={"If-None-Match": told.headers["etag"]})
        assert again.status_code == 304


async def test_rebuilding_finds_nothing_to_mend(own, system):
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "operations", "rebuild", "--check"],
        cwd=ROOT,
        env=system.environment(own.settings["ROLLCALL_MONGO_DB"], **_without_database(own.settings))
        | {"PATH": "/usr/bin:/bin", "HOME": str(system.directory)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def _without_database(settings: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name != "ROLLCALL_MONGO_DB"}


async def test_a_field_behind_a_scope_is_nowhere_without_it(own):
    secrets = [field.name for field in own.schema.fields if field.read]
    if not secrets:
        person = await own.blind[1].get(f"/people/{own.people[0]['id']}")
        assert (person.headers["cache-control"], person.json()) == ("private, no-cache", own.people[0])
        return
    (name,) = secrets
    commands, queries = own.blind
    person = next(one for one in own.people if one[name] is not None)
    at = f"/people/{person['id']}"
    shown, whole = await queries.get(at), await own.queries.get(at)
    assert shown.json() == {key: value for key, value in whole.json().items() if key != name}
    assert shown.headers["etag"] != whole.headers["etag"]
    assert (shown.headers["cache-control"], shown.headers["vary"]) == ("private, no-store", "Authorization")
    again = await queries.get(at, headers={"If-None-Match": whole.headers["etag"]})
    assert again.status_code == 200
    value = person[name]
    for route in (
        f"{at}/history",
        f"{at}?version={person['version']}",
        "/people?limit=200",
        "/people/export",
        "/events?limit=200",
        "/schema",
        f"/people?q={value}",
    ):
        response = await queries.get(route)
        assert response.status_code == 200, (route, response.text)
        for one in own.people:
            if one[name] is not None:
                assert f'"{one[name]}"' not in response.text, route
    for route in (
        f"/people?{name}={value}",
        f"/people?{name}.gte=1",
        f"/people?sort={name}",
        f"/people?fields={name}",
        f"/people/export?sort=-{name}",
    ):
        response = await queries.get(route)
        assert response.status_code == 403, (route, response.text)
        assert "payroll:read" in response.headers["www-authenticate"]
    events = await queries.get("/events", headers={"Accept": "application/x-ndjson"})
    assert events.status_code == 200
    for one in own.people:
        # Who asks may prove every event: what is withheld is there as it was sealed.
        assert one["id"] in events.text
        if one[name] is not None:
            assert f'"{one[name]}"' not in events.text
    written = await commands.patch(at, json={name: "1"}, headers=WAIT)
    assert (written.status_code, "payroll:write" in written.text) == (403, True)
    mine = await commands.patch(at, json={"remote": not person["remote"]}, headers=WAIT)
    assert mine.status_code == 200
    assert name not in mine.json()
    assert (
        mine.headers["etag"]
        == f'"{mine.json()["version"]}.{shown.headers["etag"].strip(chr(34)).split(".")[1]}"'
    )
    # A condition with what was seen stands for its version.
    held = await commands.patch(at, json={"remote": True}, headers=WAIT | {"If-Match": mine.headers["etag"]})
    assert held.status_code == 200
    raised = await own.commands.patch(at, json={name: "7777.25"}, headers=WAIT)
    assert raised.json()[name] == "7777.25"
    back = await commands.post(f"{at}/revert", json={"to_version": 1}, headers=WAIT)
    assert back.status_code == 200
    now = (await own.queries.get(f"{at}?consistency=strong")).json()
    assert now[name] == "7777.25", "who may not set a field brings back no value of it"
    own.people[own.people.index(person)] = now
