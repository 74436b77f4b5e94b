"""What is stored is found: by filters in every spelling, by search, in order, in part, and at once."""

import asyncio
import base64
from urllib.parse import quote

import httpx
import orjson
import pytest
import pytest_asyncio

from query_api.reading.cursors import CURSORS, Cursor, CursorSeal, fingerprint
from service_kit.seals.kek import KekFile, load_keks
from tests.system import eventually, new_person

WAIT = {"Prefer": "wait=20"}
LONG_AGO = "1970-01-01"
MARK = "Lamplighter"
NAMES = [
    ("Mira", "O’Solano"),
    ("Luz-Marina", "Paz"),
    ("Łukasz", "Nowak"),
    ("Thị", "Đặng"),
    ("Søren", "Ærø"),
    ("Işık", "Yıldız"),
    ("Jürgen", "Groß"),
]


async def created(commands, **changes) -> dict:
    answer = await commands.post("/people", json=new_person(occupation=MARK, **changes), headers=WAIT)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest_asyncio.fixture(scope="module")
async def town(commands, queries) -> list[dict]:
    """People of one occupation, whose names are spelled in many ways."""
    people = [
        await created(
            commands, first_name=first, last_name=last, birth_date=f"198{n}-03-04", gender="FM"[n % 2]
        )
        for n, (first, last) in enumerate(NAMES)
    ]
    people.append(
        await created(
            commands, first_name="Ann", last_name="Bee", email="a+b@lamps.example.org", birth_date=LONG_AGO
        )
    )
    people.append(
        await created(
            commands, first_name="Uwe", last_name="Bee", email="m@bücher.example.org", birth_date=LONG_AGO
        )
    )
    return people


async def found(queries, query: str = "", **params) -> list[str]:
    """Return the last names of who is found among the town's people, in order."""
    url = f"/people?occupation={MARK}&consistency=strong{query}"
    answer = await queries.get(httpx.URL(url).copy_merge_params(params) if params else url)
    assert answer.status_code == 200, answer.text
    return [one["last_name"] for one in answer.json()["items"]]


async def refused(queries, query: str) -> list[dict]:
    answer = await queries.get(f"/people?{query}")
    assert answer.status_code == 422, answer.text
    return answer.json()["errors"]


@pytest.mark.parametrize(
    ("q", "last_names"),
    [
        ("o'solano", ["O’Solano"]),
        ("osolano", ["O’Solano"]),
        ("O‘SOLANO", ["O’Solano"]),
        ("solano mi", ["O’Solano"]),
        ("marina", ["Paz"]),
        ("luz-marina", ["Paz"]),
        ("luz marina", ["Paz"]),
        ("luzmarina", ["Paz"]),
        ("Luz‑Mar", ["Paz"]),
        ("lukasz", ["Nowak"]),
        ("Łuk", ["Nowak"]),
        ("dang", ["Đặng"]),
        ("ĐẶNG thi", ["Đặng"]),
        ("soren", ["Ærø"]),
        ("aero", ["Ærø"]),
        ("isik", ["Yıldız"]),
        ("IŞIK YILDIZ", ["Yıldız"]),
        ("yildiz", ["Yıldız"]),
        ("gross", ["Groß"]),
        ("GROẞ", ["Groß"]),
        ("Ju\u0308rgen", ["Groß"]),
        ("a+b@lam", ["Bee"]),
        ("m@bücher.ex", ["Bee"]),
        ("m@xn--bcher-kva.ex", ["Bee"]),
        ("'", []),
        ("olano", []),
    ],
)
async def test_search_knows_what_is_meant(queries, town, q, last_names):
    assert await found(queries, q=q) == last_names


async def test_search_finds_numbers_by_their_beginnings(queries, town):
    for person in (town[0], town[4]):
        number, phone = person["document_id"], person["phone"]
        national = phone.removeprefix("+57")
        grouped = f"{int(number):,}".replace(",", ".") if number.isdigit() else number
        for typed in (
            number,
            number[:-1],
            grouped,
            phone,
            national,
            f"{national[:3]} {national[3:6]} {national[6:]}",
            f"({national[:3]}) {national[3:]}",
            f"+57 {national}",
            f"0057{national}",
            person["email"].upper(),
            person["email"].partition("@")[0],
        ):
            assert person["last_name"] in await found(queries, q=typed), typed


async def test_search_finds_a_document_however_it_is_divided(commands, queries):
    async def ids(q: str) -> list[str]:
        answer = await queries.get("/people", params={"q": q, "consistency": "strong"})
        return [one["id"] for one in answer.json()["items"]]

    people = {}
    for number in ("AB49-0092117-7", "CD490092118"):
        answer = await commands.post("/people", json=new_person(document_id=number), headers=WAIT)
        people[number] = answer.json()["id"]
        bare = number.replace("-", "")
        for typed in (
            number,
            bare,
            bare.lower()[:-1],
            f"{bare[:4]}-{bare[4:]}",
            f"{bare[:5]}.{bare[5:9]}",
            f"{bare[:2]} {bare[2:7]} {bare[7:]}",
        ):
            assert await ids(typed) == [people[number]], typed
    path = f"/people/{people['AB49-0092117-7']}"
    changed = await commands.patch(path, json={"document_id": "EF49-0092117"}, headers=WAIT)
    assert changed.status_code == 200
    assert (await ids("ef490092117"), await ids("ab490092117")) == ([changed.json()["id"]], [])


@pytest.mark.parametrize(
    ("query", "last_names"),
    [
        ("&last_name=O'Solano", ["O’Solano"]),
        ("&last_name=osolano", ["O’Solano"]),
        ("&last_name=" + quote("o‘solano"), ["O’Solano"]),
        ("&first_name=luz%20marina", ["Paz"]),
        ("&last_name=dang", ["Đặng"]),
        ("&last_name=D%C3%A3NG", ["Đặng"]),
        ("&last_name='", []),
        ("&email=m@xn--bcher-kva.example.org", ["Bee"]),
        ("&email=" + quote("M@BÜCHER.example.org"), ["Bee"]),
        ("&email=" + quote("m@bu\u0308cher.example.org"), ["Bee"]),
        ("&email=a+b@lamps.example.org", ["Bee"]),
        ("&email=a%2Bb@lamps.example.org", ["Bee"]),
        ("&email.in=m@xn--bcher-kva.example.org,a+b@lamps.example.org", ["Bee", "Bee"]),
        ("&birth_date=04-03-1982", ["Nowak"]),
        ("&birth_date.gte=1985-03-04&birth_date.lt=1986-03-04", ["Yıldız"]),
        ("&birth_date.gt=04/03/1980&birth_date.lte=1982-03-04", ["Nowak", "Paz"]),
        ("&birth_date.gte=1700-01-01&birth_date.lt=1700-01-02", []),
        ("&last_name.in=osolano,Paz", ["O’Solano", "Paz"]),
        ("&last_name.gte=p&last_name.lt=z", ["Paz", "Yıldız"]),
        ("&last_name.lte=AERO", ["Ærø"]),
        ("&email.exists=false", []),
        ("&middle_name.exists=true&last_name=osolano", ["O’Solano"]),
        ("&last_name.exists=false", []),
    ],
)
async def test_filters_read_values_as_bodies_do(queries, town, query, last_names):
    if "middle_name" in query and town[0]["middle_name"] is None:
        last_names = []
    assert await found(queries, query) == last_names


async def test_filters_read_numbers_as_bodies_do(queries, town):
    person = town[0]
    national, number = person["phone"].removeprefix("+57"), person["document_id"]
    for query in (
        f"phone={national}",
        f"phone={person['phone']}",  # its plus is a blank
        f"phone=({national[:3]})%20{national[3:]}",
        f"phone.in={national},%2B573109999999",
        f"document_id={number}",
        f"document_id=%20{number}%20",
        f"document_type={person['document_type']}&document_id.in={number},1234567",
        f"id={person['id'].upper()},0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c",
    ):
        assert person["last_name"] in await found(queries, f"&{query}"), query
    both = await found(queries, f"&id={person['id']},{town[1]['id']}&gender.in=Femenino,m")
    assert both == ["O’Solano", "Paz"]


async def test_who_has_no_last_name_is_listed_first_and_found(commands, queries, town):
    body = {key: value for key, value in new_person(occupation="Lonely Lamp").items() if key != "last_name"}
    answer = await commands.post("/people", json=body, headers=WAIT)
    assert answer.status_code == 201, answer.text
    for query in ("last_name.exists=false", f"q={quote(body['first_name'])}", "sort=last_name,-birth_date"):
        page = (await queries.get(f"/people?occupation=lonely%20lamp&{query}")).json()
        assert [one["id"] for one in page["items"]] == [answer.json()["id"]], query


async def test_orders_follow_the_folded_form(queries, town):
    assert await found(queries) == ["Ærø", "Bee", "Bee", "Đặng", "Groß", "Nowak", "O’Solano", "Paz", "Yıldız"]
    by_two = await found(queries, "&sort=-last_name,birth_date&limit=3")
    assert by_two == ["Yıldız", "Paz", "O’Solano"]


async def test_ties_of_an_order_are_broken_by_the_next(commands, queries):
    names = ["Muñoz", "Munoz", "MUNOZ", "munoz", "Muñoz", "Munoz"]
    for n, name in enumerate(names):
        born = f"199{n}-01-01"
        await created(commands, first_name="Tie", last_name=name, birth_date=born, middle_name="Knot")
    expected = sorted(
        ((name, f"199{n}-01-01") for n, name in enumerate(names)), key=lambda one: one[1], reverse=True
    )
    expected.sort(key=lambda one: one[0])
    seen, cursor = [], ""
    while True:
        url = f"/people?q=tie%20knot&sort=last_name,-birth_date&limit=2&consistency=strong{cursor}"
        page = (await queries.get(url)).json()
        seen += [(one["last_name"], one["birth_date"]) for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == expected


async def test_answers_have_only_the_fields_that_are_asked_for(queries, town):
    person = town[0]
    some = {"id": person["id"], "email": person["email"], "version": 1}
    path = f"/people/by-document/{person['document_type']}/{person['document_id']}"
    for url in (f"/people/{person['id']}", path):
        answer = await queries.get(f"{url}?fields=email,version&consistency=strong")
        assert (answer.json(), answer.headers["etag"]) == (some, '"1"')
    page = await queries.get(f"/people?id={person['id']}&fields=email,version")
    assert page.json()["items"] == [some]
    export = await queries.get(
        f"/people/export?id={person['id']}&fields=email,version", headers={"Accept": "text/csv"}
    )
    assert export.text.splitlines() == ["id,email,version", f"{person['id']},{person['email']},1"]
    lines = await queries.get(f"/people/export?id={person['id']}&fields=email,version")
    assert lines.json() == some
    past = await queries.get(f"/people/{person['id']}?version=1&fields=email,version")
    assert past.json() == some


async def test_days_are_those_of_the_time_zone(queries, town):
    day, hour = town[0]["created_at"][:10], town[0]["created_at"][11:13]
    assert await found(queries, f"&created_at.gte={day}&created_at.lte={day}&last_name=osolano")
    assert not await found(queries, f"&created_at.gt={day}&last_name=osolano")
    assert not await found(queries, f"&created_from={day}&created_to={day}&last_name=osolano")
    # Fourteen hours ahead, it is the next day from ten o'clock on.
    ahead = int(hour) >= 10
    later = await found(queries, f"&created_at.gt={day}&tz=Pacific/Kiritimati&last_name=osolano")
    assert bool(later) is ahead
    assert await found(
        queries, f"&created_at.gte={day}T{hour}:00:00&created_at.lt={day}T{hour}:59:59.999&q=osol"
    )
    person = town[0]["id"]
    events = await queries.get(f"/events?person_id={person}&from={day}&consistency=strong")
    assert len(events.json()["items"]) == 1
    assert not (await queries.get(f"/events?person_id={person}&to={day}")).json()["items"]
    history = f"/people/{person}/history"
    assert len((await queries.get(f"{history}?from={day}")).json()["items"]) == 1
    assert (await queries.get(f"{history}?to={day}&include=rejected")).json()["items"] == []
    nobody = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
    assert (await queries.get(f"/people/{nobody}/history?from={day}")).status_code == 404
    then = await queries.get(f"/people/{person}?as_of={day}")
    assert then.json()["version"] == 1


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("gendr=F", "gendr", "unknown parameter `gendr`: did you mean `gender`?"),
        ("birth_date.gt3=1990-01-01", "birth_date.gt3", "did you mean `birth_date.gt"),
        ("zzzzzzzz=1", "zzzzzzzz", "unknown parameter `zzzzzzzz`"),
        ("tz=Mars/Base&created_at.gte=2026-01-31", "tz", "is no time zone"),
        ("tz=America", "tz", "is no time zone"),
        ("tz=../../etc/passwd", "tz", "is no time zone"),
        ("created_at.gte=soon", "created_at.gte", "must be a time"),
        ("created_at.gte=2026-02-30", "created_at.gte", "must be a time"),
        ("created_at.lte=9999-12-31T23:00:00-05:00", "created_at.lte", "lies outside the years"),
        ("created_from=0001-01-01T00:00:00%2B23:59", "created_from", "lies outside the years"),
        ("created_from=0001-01-01&tz=%2B14:00", "created_from", "lies outside the years"),
        ("sort=last_name,shoe", "sort", "must be of"),
        ("fields=shoe", "fields", "must be of"),
        ("id=7", "id", "must be a UUID"),
        ("id=", "id", "must not be empty"),
        ("gender.in=F,X", "gender.in", "is none of"),
        ("email.exists=maybe", "email.exists", "must be true or false"),
        ("email=nobody", "email", ""),
        ("document_id=70000109.0", "document_id", "dots"),
        ("limit=5&limit=6", "limit", "is given twice"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_the_reason(queries, query, field, reason):
    errors = await refused(queries, query)
    assert errors[0]["field"] == field
    assert reason in errors[0]["reason"]


async def test_unknown_parameters_are_refused_on_every_read(queries, town):
    person = town[0]["id"]
    for path in (
        f"/people/{person}",
        f"/people/{person}/history",
        f"/people/{person}/commands/{person}",
        "/people/by-document/CC/1234567",
        "/people/export",
        "/events",
        "/dead-letters",
        f"/imports/{person}",
    ):
        answer = await queries.get(f"{path}?consistencia=strong")
        assert answer.status_code == 422, path
        assert answer.json()["errors"][0]["reason"].endswith("did you mean `consistency`?"), path


async def test_consistency_works_on_every_read(system, queries, town):
    document = (await queries.get("/openapi.json")).json()
    person = town[0]["id"]
    for path, operations in document["paths"].items():
        if "get" not in operations or path in (
            "/healthz",
            "/readyz",
            "/metrics",
            "/asyncapi.json",
            "/events/stream",
            "/schema",
        ):
            continue
        names = [parameter["name"] for parameter in operations["get"]["parameters"]]
        assert names.count("consistency") == 1, path
        url = path.replace("{document_type}", "CC").replace("{document_id}", "7000001")
        url = url.replace("{email}", "ana@example.com")
        for name in ("person_id", "command_id", "import_id", "image_id"):
            url = url.replace(f"{{{name}}}", person)
        answer = await queries.get(f"{url}?consistency=strong")
        assert answer.status_code in (200, 404), (path, answer.text)
        if answer.status_code == 200 and not system.routed:
            assert answer.headers["x-read-from"].endswith("(primary)"), path
        assert (await queries.get(f"{url}?consistency=weak")).status_code == 422, path


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-31", "x", ""]
)
async def test_a_forged_cursor_is_refused(system, queries, town, time):
    seal = CursorSeal(load_keks(KekFile(system.kek_file)).derived(CURSORS))
    forged = Cursor("-applied_at", fingerprint({}), time, "x").encode(seal)
    answer = await queries.get("/events", params={"cursor": forged})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")
    person = town[0]["id"]
    mark = fingerprint([person, "rejected", None, None])
    for key, last in (("", f"{time} x"), ("1_0", ""), ("9" * 12, ""), ("٣", ""), ("-1", "")):
        if last == " x":
            continue
        forged = Cursor("history", mark, key, last).encode(seal)
        answer = await queries.get(
            f"/people/{person}/history", params={"cursor": forged, "include": "rejected"}
        )
        assert answer.status_code == 422, (key, last)


async def test_a_forged_cursor_of_several_sorts_is_refused(queries):
    for key in ("x", "[]", '["a"]', '["a", 1]', '["a", {"$gt": ""}]'):
        content = orjson.dumps(["last_name,birth_date", fingerprint([]), key, "x"])
        cursor = base64.urlsafe_b64encode(content).decode()
        answer = await queries.get("/people", params={"sort": "last_name,birth_date", "cursor": cursor})
        assert answer.status_code == 422, key


async def test_a_person_is_there_for_everybody_at_once(commands, queries):
    for _ in range(6):
        person = await created(commands)
        path, taken = f"/people/{person['id']}", (person["document_type"], person["document_id"])
        reads = [queries.get(path) for _ in range(60)]
        reads += [queries.get("/people/by-document/{}/{}".format(*taken)) for _ in range(5)]
        answers = await asyncio.gather(*reads)
        assert [answer.status_code for answer in answers] == [200] * 65
        for filters in (
            {"id": person["id"]},
            {"email": person["email"]},
            {"document_id": person["document_id"]},
        ):
            assert (await queries.get("/people", params=filters)).json()["items"] == [person]


async def test_a_waited_create_is_found_by_search(commands, queries):
    person = await created(commands, first_name="Quillon", last_name="Ďuriš")

    async def there():
        page = await queries.get("/people", params={"q": "quillon duris"})
        return [one["id"] for one in page.json()["items"]] == [person["id"]]

    await eventually(there)
