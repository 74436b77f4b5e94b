"""Every list, all of its pages and its exports, against a plain register of what is there."""

import csv
import io
import json
import os
from collections.abc import AsyncIterator, Callable, Iterable
from random import Random
from typing import Any

import httpx
import pytest_asyncio

from command_api.imports.store import ImportStore
from query_api.reading.forms import MAX_PAGE
from tests.register import GROUPS, OTHERS, Register, plain
from tests.store.given import store_in
from tests.system import eventually, everywhere

DATABASE = "paged"
SEED = int(os.environ.get("ROLLCALL_TEST_SEED", "12"))
"""Another one makes other people and asks for other things; a failure names it."""
MOST_PAGES = 40
PAGED = {"/people", "/people/{person_id}/history", "/events", "/dead-letters", "/dead-letters/{person_id}"}
ACCESSES = {"/accesses", "/people/{person_id}/accesses"}
"""Whose pages are followed in the tests of accesses, since each read adds to them."""
EXPORTED = {"/people/export", "/events", "/imports/{import_id}/errors"}
NDJSON, CSV = {"Accept": "application/x-ndjson"}, {"Accept": "text/csv"}
Item = dict[str, Any]
Query = dict[str, str]
Sorts = list[tuple[str, bool]]
"""Fields, each with whether its order is turned round."""
OWN: dict[str, Callable[[Item], Any]] = {
    **{name: lambda one, name=name: one[name] for name in ("birth_date", "created_at", "updated_at")},
    **{name: lambda one, name=name: (plain(one[name]), one[name]) for name in ("first_name", "last_name")},
}
"""What a field sorts by before another one; a name that comes last is followed by the other name."""
OTHER = {"first_name": "last_name", "last_name": "first_name"}


def some_sorts(random: Random) -> Sorts:
    names = random.sample(list(OWN), random.choice((1, 1, 1, 2, 2, 3)))
    return [(name, random.random() < 0.5) for name in names]


def written(sorts: Sorts) -> str:
    return ",".join(f"-{name}" if back else name for name, back in sorts)


def in_order_of(people: Iterable[Item], sorts: Sorts) -> list[Item]:
    last, back = sorts[-1]
    items = sorted(people, key=lambda one: one["id"], reverse=back)
    if last in OTHER:
        items.sort(key=OWN[OTHER[last]], reverse=back)
    for name, back in reversed(sorts):
        items.sort(key=OWN[name], reverse=back)
    return items


@pytest_asyncio.fixture(scope="module")
async def register(system, mongo_clients) -> Register:
    """A database of its own, full, on every member."""
    system.initialise(DATABASE)
    made = Register(Random(SEED))
    client = mongo_clients["pymongo"]
    await made.fill(store_in(client, DATABASE), ImportStore(client, DATABASE))
    await eventually(lambda: everywhere(system), pause=0.1)
    return made


@pytest_asyncio.fixture(scope="module", params=["pymongo", "motor"])
async def api(request, system, register) -> AsyncIterator[httpx.AsyncClient]:
    """A query API on that database, with each driver."""
    changes = {"ROLLCALL_MONGO_DB": DATABASE, "ROLLCALL_MONGO_DRIVER": request.param}
    async with system.running("query_api", **changes) as service, system.client(service) as client:
        yield client


async def check_pages(
    api: httpx.AsyncClient,
    path: str,
    query: Query,
    expected: list[Any],
    view: Callable[[Item], Any],
    limit: int,
) -> list[Item]:
    """Follow all pages: each full but the last, which alone says that nothing follows; all as expected."""
    asked = {**query, "limit": str(limit)}
    found: list[Item] = []
    while True:
        response = await api.get(path, params=asked)
        told = f"seed {SEED}: {path} {asked}"
        assert response.status_code == 200, f"{told}: {response.text}"
        page = response.json()
        found += page["items"]
        left = len(expected) - len(found)
        assert len(page["items"]) == limit or left <= 0, f"{told}: a page is not full"
        assert (page["next"] is None) == (left <= 0), f"{told}: {len(found)} of {len(expected)}"
        assert page.get("count", len(expected)) == len(expected), told
        assert ("count" in page) == ("count" in query), told
        assert ("link" in response.headers) == (page["next"] is not None), told
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert list(map(view, found)) == expected, f"seed {SEED}: {path} {query} by {limit}"
    return found


def limit_for(random: Random, size: int) -> int:
    """Return how many a page: any number, but often one at which something may break off."""
    edges = [n for n in (1, 100, 101, 102, MAX_PAGE - 1, MAX_PAGE, size - 1, size, size + 1) if n <= MAX_PAGE]
    limit = random.choice(edges) if random.random() < 0.5 else random.randint(1, MAX_PAGE)
    return max(limit, size // MOST_PAGES, 1)


def is_list(operation: Item) -> bool:
    return any(one["name"] in ("limit", "cursor") for one in operation.get("parameters", ()))


async def test_no_list_is_left_out_here(commands, queries):
    paged, exported = set(), set()
    for client in (commands, queries):
        document = (await client.get("/openapi.json")).json()
        for path, operations in document["paths"].items():
            content = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            if any(is_list(operation) for operation in operations.values()):
                paged.add(path)
            if NDJSON["Accept"] in content:
                exported.add(path)
    assert (paged, exported) == (PAGED | ACCESSES, EXPORTED | ACCESSES)


def people_filters(random: Random, register: Register) -> tuple[Query, Callable[[Item], bool]]:
    """Return random filters, and whether somebody is meant."""
    one = random.choice(sorted(register.people.values(), key=lambda person: person["id"]))
    first, last = plain(one["first_name"]).split(), plain(one["last_name"]).split()
    word, other = random.choice(first)[:3], random.choice(last)[:2]
    names = lambda p: f"{plain(p['first_name'])} {plain(p['last_name'])}".split()  # noqa: E731
    begun = lambda p, text: any(  # noqa: E731
        value.startswith(text) for value in (*names(p), p["email"], p["document_id"].lower())
    )
    group = random.choice([*GROUPS, *OTHERS])
    born, time = one["birth_date"], one[random.choice(("created_at", "updated_at"))]
    choices: list[tuple[str, str, Callable[[Item], bool]]] = [
        ("occupation", group.upper(), lambda p: plain(p["occupation"] or "") == plain(group)),
        ("occupation", group, lambda p: plain(p["occupation"] or "") == plain(group)),
        ("gender", one["gender"], lambda p: p["gender"] == one["gender"]),
        ("document_type", one["document_type"], lambda p: p["document_type"] == one["document_type"]),
        ("document_id", one["document_id"], lambda p: p["document_id"] == one["document_id"]),
        ("email", one["email"].upper(), lambda p: p["email"] == one["email"]),
        ("phone", one["phone"], lambda p: p["phone"] == one["phone"]),
        ("first_name", "ANA", lambda p: plain(p["first_name"]) == "ana"),
        ("last_name", "paz ruíz", lambda p: plain(p["last_name"]) == "paz ruiz"),
        ("birth_date", born, lambda p: p["birth_date"] == born),
        ("birth_date_from", born, lambda p: p["birth_date"] >= born),
        ("birth_date_to", born, lambda p: p["birth_date"] <= born),
        ("created_from", time, lambda p: p["created_at"] >= time),
        ("created_to", time, lambda p: p["created_at"] < time),
        ("updated_from", time, lambda p: p["updated_at"] >= time),
        ("updated_to", time, lambda p: p["updated_at"] < time),
        ("gender.in", "F,Masculino", lambda p: p["gender"] in ("female", "male")),
        ("birth_date.gt", born, lambda p: p["birth_date"] > born),
        ("birth_date.lte", born, lambda p: p["birth_date"] <= born),
        ("first_name.gte", "m", lambda p: plain(p["first_name"]) >= "m"),
        ("first_name.gt", "ZOÉ", lambda p: plain(p["first_name"]) > "zoe"),
        ("last_name.lt", "ñu", lambda p: plain(p["last_name"]) < "nu"),
        ("last_name.lte", "ñu", lambda p: plain(p["last_name"]) <= "nu"),
        ("last_name.in", 'D\'Arc,"Paz Ruiz"', lambda p: plain(p["last_name"]) in ("darc", "paz ruiz")),
        ("occupation.exists", "false", lambda p: p["occupation"] is None),
        ("occupation.exists", "true", lambda p: p["occupation"] is not None),
        ("address.exists", "true", lambda p: p["address"] is not None),
        ("last_name.exists", "false", lambda p: False),
        ("id", f"{one['id'].upper()},{register.star}", lambda p: p["id"] in (one["id"], register.star)),
        ("created_at.gte", time[:10], lambda p: p["created_at"] >= time[:10]),
        ("created_at.lt", time[:10], lambda p: p["created_at"] < time[:10]),
        ("q", f"{word} {other}", lambda p: begun(p, word) and begun(p, other)),
        ("q", word, lambda p: begun(p, word)),
    ]
    chosen = {
        name: (value, test) for name, value, test in random.sample(choices, random.choice((0, 1, 1, 2)))
    }
    query = {name: value for name, (value, _) in chosen.items()}
    return query, lambda person: all(test(person) for _, test in chosen.values())


def consistency(random: Random) -> Query:
    return random.choice(({}, {"consistency": "strong"}))


async def test_people(api, register):
    random = Random(SEED)
    assert len(register.people) > 5 * MAX_PAGE
    for turn in range(60):
        query, meant = people_filters(random, register)
        if turn < len(GROUPS):  # what is exactly as long as a page, or longer by one
            group = list(GROUPS)[turn]
            query, meant = {"occupation": group}, lambda p, group=group: p["occupation"] == group
        sorts = some_sorts(random)
        matching = in_order_of(filter(meant, register.people.values()), sorts)
        limit = min(MAX_PAGE, len(matching)) if turn < len(GROUPS) else limit_for(random, len(matching))
        count: Query = random.choice(({}, {"count": "true"}))
        asked = {**query, **consistency(random), **count, "sort": written(sorts)}
        await check_pages(api, "/people", asked, matching, dict, limit)


def event_filters(random: Random, register: Register) -> tuple[Query, Callable[[Item], bool]]:
    """Return random filters, and whether an event is meant."""
    one, other = random.sample(register.events, 2)
    early, late = sorted((one["applied_at"], other["applied_at"]))
    actor, kind = one["actor"], one["type"]
    choices: list[tuple[Query, Callable[[Item], bool]]] = [
        ({}, lambda e: True),
        ({"type": kind}, lambda e: e["type"] == kind),
        ({"type": "person.*"}, lambda e: True),
        ({"type": "account.*"}, lambda e: False),
        ({"actor": actor}, lambda e: e["actor"] == actor),
        ({"person_id": register.star}, lambda e: e["person_id"] == register.star),
        ({"person_id": one["person_id"]}, lambda e: e["person_id"] == one["person_id"]),
        (
            {"correlation_id": one["correlation_id"]},
            lambda e: e["correlation_id"] == one["correlation_id"],
        ),
        ({"from": early, "to": late}, lambda e: early <= e["applied_at"] < late),
        (
            {"actor": actor, "type": kind, "from": early},
            lambda e: (e["actor"], e["type"]) == (actor, kind) and e["applied_at"] >= early,
        ),
    ]
    return random.choice(choices)


def event_seen(item: Item) -> Item:
    names = ("event_id", "person_id", "version", "type", "correlation_id", "applied_at")
    actor = item["actor"]
    return {
        **{name: item[name] for name in names},
        "actor": actor["subject"] if isinstance(actor, dict) else actor,
    }


def in_order(events: list[Item], meant: Callable[[Item], bool], *, back: bool) -> list[Item]:
    matching = sorted(filter(meant, events), key=lambda e: (e["applied_at"], e["event_id"]), reverse=back)
    return list(map(event_seen, matching))


async def test_events(api, register):
    random = Random(SEED)
    assert len(register.events) > 5 * MAX_PAGE
    for _ in range(25):
        query, meant = event_filters(random, register)
        back = random.random() < 0.5
        expected = in_order(register.events, meant, back=back)
        asked = {**query, **consistency(random), "sort": "-applied_at" if back else "applied_at"}
        await check_pages(api, "/events", asked, expected, event_seen, limit_for(random, len(expected)))


async def test_a_history_with_and_without_what_was_refused(api, register):
    random = Random(SEED)
    path = f"/people/{register.star}/history"
    mine = [event for event in register.events if event["person_id"] == register.star]
    applied = [(one["version"], one["event_id"], one["changes"]) for one in reversed(mine)]
    refused = [id_ for _, id_ in sorted(register.refused[register.star], reverse=True)]
    assert min(len(applied), len(refused)) > 2 * MAX_PAGE
    times = [*(one["applied_at"] for one in mine), *(time for time, _ in register.refused[register.star])]

    def seen(entry: Item) -> Any:
        return entry["version"], entry["event_id"], entry["changes"]

    for limit in (13, 100, 101, 102, 199, 200, random.randint(103, 198)):
        query = consistency(random)
        await check_pages(api, path, query, applied, seen, limit)
        query["include"] = "rejected"
        # Of the same millisecond either may come first.
        decided = lambda entry: entry.get("applied_at") or entry["rejected_at"]  # noqa: E731
        entries = await check_pages(api, path, query, sorted(times, reverse=True), decided, limit)
        assert [seen(entry) for entry in entries if entry["status"] == "applied"] == applied
        assert [entry["command_id"] for entry in entries if entry["status"] == "rejected"] == refused


async def test_the_histories_of_many(api, register):
    random = Random(SEED)
    for person_id in random.sample(sorted(register.versions), 25):
        mine = [event["event_id"] for event in register.events if event["person_id"] == person_id]
        refused = [id_ for _, id_ in register.refused[person_id]]
        expected = sorted(mine + refused)
        query = {"include": "rejected", **consistency(random)}
        found: list[str] = []
        for limit in {1, len(expected), len(expected) + 1}:
            if limit > MAX_PAGE:
                continue
            path = f"/people/{person_id}/history"
            length = [None] * len(expected)
            entries = await check_pages(api, path, query, length, lambda _: None, limit)
            found = sorted(one.get("event_id") or one["command_id"] for one in entries)
            assert found == expected


async def test_parked_people_and_their_lines(api, register):
    random = Random(SEED)
    expected = [(id_, len(line), line[0]) for id_, line in sorted(register.lines.items())]
    longest = max(register.lines, key=lambda id_: len(register.lines[id_]))
    assert min(len(expected), len(register.lines[longest])) > 2 * MAX_PAGE
    for limit in (20, 100, 101, 102, 199, 200, random.randint(103, 198)):
        query = consistency(random)
        head = lambda one: (one["person_id"], one["waiting"], one["command_id"])  # noqa: E731
        await check_pages(api, "/dead-letters", query, expected, head, limit)
        for person_id in (longest, random.choice(sorted(register.lines))):
            path, line = f"/dead-letters/{person_id}", register.lines[person_id]
            await check_pages(api, path, query, line, lambda one: one["command_id"], limit)


async def export(api: httpx.AsyncClient, path: str, query: Query) -> tuple[list[Item], list[Item]]:
    """Return what an export gives, as NDJSON and as CSV."""
    lines, cells = [await api.get(path, params=query, headers=form) for form in (NDJSON, CSV)]
    assert (lines.status_code, cells.status_code) == (200, 200), lines.text + cells.text
    # Names may hold what `splitlines` takes for the end of a line.
    rows = [json.loads(line) for line in lines.text.split("\n") if line]
    return rows, list(csv.DictReader(io.StringIO(cells.text, newline="")))


async def test_exports_of_people(api, register):
    random = Random(SEED)
    for turn in range(12):
        query, meant = people_filters(random, register) if turn else ({}, lambda _: True)
        expected = list(filter(meant, register.people.values()))
        sorts = random.choice(([], some_sorts(random)))
        if sorts:
            expected = in_order_of(expected, sorts)
        asked = {**query, **consistency(random), **({"sort": written(sorts)} if sorts else {})}
        rows, cells = await export(api, "/people/export", asked)
        if not sorts:
            for items in (expected, rows, cells):
                items.sort(key=lambda one: one["id"])
        assert rows == expected, f"seed {SEED}: {asked}"
        assert [one["id"] for one in cells] == [one["id"] for one in expected], f"seed {SEED}: {asked}"


async def test_exports_of_events(api, register):
    random = Random(SEED)
    for turn in range(8):
        query, meant = event_filters(random, register) if turn else ({}, lambda _: True)
        back = random.random() < 0.5
        expected = in_order(register.events, meant, back=back)
        asked = {**query, **consistency(random), "sort": "-applied_at" if back else "applied_at"}
        rows, cells = await export(api, "/events", asked)
        assert list(map(event_seen, rows)) == expected, f"seed {SEED}: {asked}"
        assert [one["event_id"] for one in cells] == [one["event_id"] for one in expected], asked


async def test_errors_of_an_import(api, register):
    kinds = (
        [e for e in register.errors if e[3] == "not-valid"],
        [e for e in register.errors if e[3] != "not-valid"],
    )
    assert min(map(len, kinds)) > 2 * MAX_PAGE
    expected = [error for kind in kinds for error in kind]
    for query in ({}, {"consistency": "strong"}):
        rows, cells = await export(api, f"/imports/{register.import_id}/errors", query)
        assert [tuple(row.values()) for row in rows] == expected
        assert [(int(row["row"]), row["field"], row["reason"], row["code"]) for row in cells] == expected
