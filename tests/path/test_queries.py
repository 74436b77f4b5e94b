"""What the query API finds, in which order, page by page, and from which member."""

import asyncio

import pytest
import pytest_asyncio

from tests.system import eventually, new_person

WAIT = {"Prefer": "wait=20"}


@pytest_asyncio.fixture(scope="module")
async def clan(commands, queries):
    """60 people of one occupation, so that a filter tells them from the rest."""
    bodies = [
        new_person(
            first_name=name,
            last_name=f"Clan{chr(97 + n % 13)}",
            occupation="Clockmaker",
            gender="F" if n % 3 else "M",
            birth_date=f"19{60 + n % 30}-03-04",
        )
        for n, name in enumerate(["Ágata", "agustín", "Beatriz", "Óscar", "Żaneta", "Мария"] * 10)
    ]
    answers = await asyncio.gather(*(commands.post("/people", json=body, headers=WAIT) for body in bodies))
    assert {answer.status_code for answer in answers} == {201}
    people = [answer.json() for answer in answers]

    async def all_there():
        page = await queries.get("/people", params={"occupation": "clockmaker", "limit": 200})
        return len(page.json()["items"]) == 60

    await eventually(all_there)
    return people


async def walk(queries, **params) -> list[dict]:
    items, params = [], {"occupation": "clockmaker", **params}
    while True:
        response = await queries.get("/people", params=params)
        assert response.status_code == 200, response.text
        page = response.json()
        assert len(page["items"]) <= int(params.get("limit", 50))
        items += page["items"]
        if page["next"] is None:
            assert "link" not in response.headers
            return items
        assert f"cursor={page['next']}" in response.headers["link"]
        params["cursor"] = page["next"]


@pytest.mark.parametrize("sort", ["last_name", "-last_name", "first_name", "birth_date", "-created_at"])
async def test_pages_give_everyone_once_in_order(queries, clan, sort):
    items = await walk(queries, sort=sort, limit=7)
    assert sorted(item["id"] for item in items) == sorted(person["id"] for person in clan)
    field = sort.lstrip("-")
    if field != "first_name":
        values = [item[field] for item in items]
        assert values == sorted(values, reverse=sort.startswith("-"))


async def test_names_sort_without_accents_and_case(queries, clan):
    names = [item["first_name"] for item in await walk(queries, sort="first_name", limit=50)]
    assert list(dict.fromkeys(names)) == ["Ágata", "agustín", "Beatriz", "Óscar", "Żaneta", "Мария"]


async def test_pages_are_stable_while_others_write(commands, queries, clan):
    first = (await queries.get("/people", params={"occupation": "clockmaker", "limit": 30})).json()
    earliest = new_person(first_name="Aa", last_name="Clana", occupation="Clockmaker")
    answer = await commands.post("/people", json=earliest, headers=WAIT)
    try:
        params = {"occupation": "clockmaker", "limit": 200, "cursor": first["next"], "consistency": "strong"}
        rest = (await queries.get("/people", params=params)).json()
        ids = [item["id"] for item in first["items"] + rest["items"]]
        assert len(ids) == len(set(ids)) == 60
    finally:
        await commands.delete(f"/people/{answer.json()['id']}", headers=WAIT)


async def test_a_cursor_belongs_to_its_query(queries, clan):
    first = (await queries.get("/people", params={"occupation": "clockmaker", "limit": 5})).json()
    for other in ({"sort": "-last_name"}, {"gender": "F"}):
        params = {"occupation": "clockmaker", "limit": 5, "cursor": first["next"], **other}
        response = await queries.get("/people", params=params)
        assert response.status_code == 422


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"first_name": "AGATA"}, lambda p: p["first_name"] == "Ágata"),
        ({"first_name": "Aga"}, lambda p: False),
        ({"last_name": "clanb"}, lambda p: p["last_name"] == "Clanb"),
        ({"gender": "Femenino"}, lambda p: p["gender"] == "female"),
        (
            {"gender": "male", "last_name": "Clana"},
            lambda p: (p["gender"], p["last_name"]) == ("male", "Clana"),
        ),
        ({"birth_date": "04-03-1961"}, lambda p: p["birth_date"] == "1961-03-04"),
        (
            {"birth_date_from": "1970-01-01", "birth_date_to": "1979-12-31"},
            lambda p: p["birth_date"][2] == "7",
        ),
        ({"q": "aga"}, lambda p: p["first_name"] == "Ágata"),
        ({"q": "мар clan"}, lambda p: p["first_name"] == "Мария"),
        ({"q": "gata"}, lambda p: False),
        ({"q": "ag.*"}, lambda p: p["first_name"] in ("Ágata", "agustín")),
        ({"created_from": "2001-01-01T00:00:00Z"}, lambda p: True),
        ({"created_to": "2001-01-01T00:00:00+05:00"}, lambda p: False),
        ({"updated_from": "2001-01-01T00:00:00Z"}, lambda p: True),
    ],
)
async def test_filters_choose(queries, clan, filters, expected):
    params = {"occupation": "clockmaker", "limit": 200, "count": "true", **filters}
    page = (await queries.get("/people", params=params)).json()
    wanted = {person["id"] for person in clan if expected(person)}
    assert {item["id"] for item in page["items"]} == wanted
    assert page["count"] == len(wanted)


async def test_a_person_is_found_by_each_unique_field(queries, clan):
    person = clan[0]
    for field in ("email", "phone", "document_id"):
        params = {field: person[field].upper(), "occupation": "clockmaker", "limit": 200}
        items = (await queries.get("/people", params=params)).json()["items"]
        assert person["id"] in {item["id"] for item in items}
        assert all(item[field] == person[field] for item in items)


async def test_by_document_in_any_spelling(queries, clan):
    person = clan[0]
    spelled = f"{int(person['document_id']):,}".replace(",", ".")
    response = await queries.get(f"/people/by-document/{person['document_type'].upper()}/{spelled}")
    assert response.json() == person
    missing = await queries.get("/people/by-document/passport/ZZ000000")
    assert missing.status_code == 404
    assert (await queries.get("/people/by-document/licence/1234")).status_code == 422


async def test_a_known_version_is_not_sent_again(queries, clan):
    path = f"/people/{clan[0]['id']}"
    for known in ('"1"', 'W/"1"', '"7", "1"', "*"):
        response = await queries.get(path, headers={"If-None-Match": known})
        assert (response.status_code, response.content) == (304, b""), known
        assert response.headers["etag"] == '"1"'
    assert (await queries.get(path, headers={"If-None-Match": '"2"'})).status_code == 200


async def test_strong_reads_ask_the_primary_and_others_a_secondary(system, queries, clan):
    # Behind a router only the members themselves know which of them answered: see test_sharding.
    primary, secondary = ("(router)",) * 2 if system.routed else ("(primary)", "(secondary)")
    for path in ("/people", f"/people/{clan[0]['id']}"):
        strong = await queries.get(path, params={"consistency": "strong"})
        assert strong.headers["x-read-from"].endswith(primary)

        async def from_a_secondary(path: str = path) -> bool:
            return (await queries.get(path)).headers["x-read-from"].endswith(secondary)

        # While a member lags, which a busy machine makes it do, they ask the primary, too.
        await eventually(from_a_secondary)


async def test_min_version_waits_for_nobody_and_never_answers_older(commands, queries):
    person = (await commands.post("/people", json=new_person(), headers=WAIT)).json()
    path = f"/people/{person['id']}"
    assert (await queries.get(path, params={"min_version": 1})).status_code == 200
    late = await queries.get(path, params={"min_version": 2})
    assert (late.status_code, late.headers["retry-after"]) == (404, "1")
    for version in range(2, 12):
        await commands.patch(path, json={"address": f"Calle {version}"}, headers=WAIT)
        read = await queries.get(path, params={"min_version": version})
        assert read.json()["version"] == version


async def test_an_undecided_command_is_404_with_retry_after(queries, clan):
    path = f"/people/{clan[0]['id']}/commands/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
    response = await queries.get(path)
    assert (response.status_code, response.headers["retry-after"]) == (404, "1")
