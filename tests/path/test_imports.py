"""Many people at once: what a file may be, what is told of each row, and what comes out again."""

import asyncio
import csv
import gzip
import io
import json
from contextlib import AsyncExitStack
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
import pytest

from service_kit.ids import new_id
from tests.default_schema import FIELD_NAMES
from tests.people_files import CSV, NDJSON, csv_of, errors, exported, finished, ndjson_of, people, send
from tests.system import eventually
from tests.workbooks import WORKBOOK

WAIT = {"Prefer": "wait=20"}
SYSTEM = ("version", "created_at", "updated_at")


def fields(person: dict) -> dict:
    return {name: person.get(name) or None for name in FIELD_NAMES}


@pytest.mark.parametrize("form", ["csv", "semicolon", "ndjson", "gzip"])
async def test_a_file_becomes_people_whatever_its_form(commands, queries, form):
    rows = people(230)
    rows[3]["address"] = 'Calle 1, "Sur"\nCali'
    rows[4]["occupation"] = "=1+1"
    bodies = {
        "csv": (b"\xef\xbb\xbf" + csv_of(rows), CSV),
        "semicolon": (csv_of(rows, sorted(FIELD_NAMES), delimiter=";", end="\n").rstrip(), CSV),
        "ndjson": (ndjson_of(rows), NDJSON),
        "gzip": (gzip.compress(csv_of(rows)), {**CSV, "Content-Encoding": "gzip"}),
    }
    told = await send(commands, *bodies[form])
    assert told == {"import_id": told["import_id"], "read": 230, "accepted": 230, "rejected": 0} | {
        "state": "applying"
    }
    status = await finished(queries, told["import_id"])
    counts = {name: status[name] for name in ("read", "accepted", "applied", "rejected")}
    assert counts == {"read": 230, "accepted": 230, "applied": 230, "rejected": 0}
    assert (status["actor"]["subject"], status["packed"]) == ("tester", form == "gzip")
    assert len(status["sha256"]) == 64
    for row in (rows[0], rows[3], rows[4], rows[-1]):
        (person,) = await exported(queries, email=row["email"])
        assert (person["phone"], person["version"]) == (row["phone"], 1)
    (person,) = await exported(queries, email=rows[3]["email"])
    assert person["address"] == 'Calle 1, "Sur" Cali'


async def test_bad_rows_are_told_with_row_field_and_reason_and_stop_no_good_one(commands, queries):
    rows = people(8)
    rows[1]["email"] = "nobody"
    rows[2]["birth_date"] = "31-02-1990"
    rows[3] |= {"phone": "12", "first_name": ""}
    rows[5]["document_id"] = rows[4]["document_id"]
    rows[5]["document_type"] = rows[4]["document_type"]
    body = csv_of(rows).split(b"\r\n")
    body.insert(7, b"too,few")
    body.insert(8, b"CC,12?34,Ana,,Paz,1990-01-01,F,a@example.com,3001234567,,")
    told = await send(commands, b"\r\n".join(body))
    assert {name: told[name] for name in ("read", "accepted", "rejected")} == {
        "read": 10,
        "accepted": 5,
        "rejected": 5,
    }
    status = await finished(queries, told["import_id"])
    assert {name: status[name] for name in ("applied", "rejected", "invalid", "refused")} == {
        "applied": 4,
        "rejected": 6,
        "invalid": 5,
        "refused": 1,
    }
    found = await errors(queries, told["import_id"])
    assert [(one["row"], one["field"], one["code"]) for one in found[:-1]] == [
        (2, "email", "no-email"),
        (3, "birth_date", "no-such-day"),
        (4, "first_name", "empty"),
        (4, "phone", "phone-not-in-use"),
        (7, "row", "unreadable-row"),
        (8, "document_id", "document-number"),
    ]
    # Which of two people has a document is up to whose partition is faster.
    assert found[-1]["row"] in (5, 6)
    assert (found[-1]["field"], found[-1]["code"]) == ("document_id", "duplicate-document")
    assert found[1]["reason"] == "is no day of the calendar"
    url, spanish = f"/imports/{told['import_id']}/errors?consistency=strong", {"Accept-Language": "es"}
    # Each is told as the answer to a single person tells it, in the language that is asked for.
    answer = await queries.get(url, headers=spanish)
    assert (answer.headers["content-language"], answer.headers["vary"]) == ("es", "Accept, Accept-Language")
    in_spanish = [orjson.loads(line) for line in answer.text.splitlines()]
    single = await commands.post("/people", json=rows[3], headers=spanish)
    assert single.json()["errors"] == [
        {name: one[name] for name in ("field", "code", "reason")} for one in in_spanish if one["row"] == 4
    ]
    assert in_spanish[4]["reason"] == "tiene 2 celdas, y la fila de títulos tiene 11"
    assert in_spanish[-1]["reason"] == "otra persona tiene este documento"
    response = await queries.get(url, headers={"Accept": "text/csv"})
    cells = list(csv.reader(io.StringIO(response.text)))
    assert cells[0] == ["row", "field", "reason", "code"]
    assert [cell[0] for cell in cells[1:]] == [str(one["row"]) for one in found]


async def test_the_same_file_again_doubles_nothing_and_another_one_is_refused(commands, queries):
    rows, import_id = people(120), str(uuid4())
    rows[7]["email"] = "nobody"
    body = csv_of(rows)
    first = await send(commands, body, import_id=import_id)
    again = await send(commands, body, import_id=import_id.upper())
    assert again | {"state": "x"} == first | {"state": "x"}
    status = await finished(queries, import_id)
    assert (status["applied"], len(await errors(queries, import_id))) == (119, 1)
    assert (await send(commands, body, import_id=import_id))["state"] == "finished"
    for other in (csv_of(rows[:-1]), csv_of([*rows, *people(1)]), csv_of(people(120))):
        told = await send(commands, other, import_id=import_id)
        assert (told["state"], "not the one" in told["reason"]) == ("failed", True)
    assert await finished(queries, import_id) == status
    for headers, query in (
        (CSV, {"mode": "upsert"}),
        (CSV, {"columns": ",".join(sorted(set(FIELD_NAMES) - {"address"}))}),
        (NDJSON, {}),
    ):
        response = await commands.post(
            "/people/import",
            content=ndjson_of(rows) if headers == NDJSON else body,
            headers=headers,
            params={"import_id": import_id, **query},
        )
        assert response.status_code == 409, response.text
        assert response.json()["type"] == "urn:rollcall:problem:import-conflict"


async def test_nobody_goes_on_with_somebody_elses_import(system, services, commands):
    body, import_id = csv_of(people(2)), str(uuid4())
    await send(commands, body, import_id=import_id)
    async with system.client(services["command_api"], system.token(subject="other")) as other:
        response = await other.post(
            "/people/import", content=body, headers=CSV, params={"import_id": import_id}
        )
    assert response.status_code == 409


async def test_an_import_may_stop_at_the_first_bad_row_and_go_on_with_it_corrected(commands, queries):
    rows, import_id = people(250), str(uuid4())
    good, rows[210]["phone"] = rows[210]["phone"], "12"
    told = await send(commands, csv_of(rows), import_id=import_id, on_error="stop")
    assert {name: told[name] for name in ("read", "accepted", "rejected", "state")} == {
        "read": 211,
        "accepted": 210,
        "rejected": 1,
        "state": "stopped",
    }
    assert [one["row"] for one in await errors(queries, import_id)] == [211]
    rows[210]["phone"] = good
    assert (await send(commands, csv_of(rows), import_id=import_id, on_error="stop"))["accepted"] == 250
    status = await finished(queries, import_id)
    assert (status["applied"], status["rejected"], await errors(queries, import_id)) == (250, 0, [])


async def test_a_dry_run_tells_errors_and_changes_nothing(commands, queries):
    rows = people(3)
    rows[1]["gender"] = "?"
    told = await send(commands, csv_of(rows), dry_run="true")
    assert (told["accepted"], told["rejected"], told["state"]) == (2, 1, "finished")
    assert [(one["row"], one["field"]) for one in told["errors"]] == [(2, "gender")]
    assert told["rows_left_out"] == 0
    for path in ("", "/errors"):  # nothing of it is kept
        assert (await queries.get(f"/imports/{told['import_id']}{path}")).status_code == 404
    # What came later through the same queues is there; what was only checked is not.
    last = await commands.post("/people", json=rows[2], headers=WAIT)
    assert last.status_code == 201
    assert await exported(queries, email=rows[0]["email"]) == []


async def test_a_row_with_the_id_of_a_person_changes_the_fields_it_has(commands, queries):
    rows = people(3)
    made = [(await commands.post("/people", json=row, headers=WAIT)).json() for row in rows[:2]]
    fresh = new_id()
    gone = (await commands.post("/people", json=people(1)[0], headers=WAIT)).json()["id"]
    await commands.delete(f"/people/{gone}", headers=WAIT)
    body = ndjson_of(
        [
            {"id": made[0]["id"], "occupation": "Chef", "address": ""},
            {"id": fresh, **rows[2]},
            {"id": made[1]["id"]},
            {"id": new_id(), "occupation": "Chef"},
            {"id": fresh.upper(), "occupation": "Médico"},
            {"id": "x", **rows[2]},
            {"id": gone, **people(1)[0]},
            people(1)[0],
        ]
    )
    told = await send(commands, body, NDJSON, mode="upsert")
    assert (told["accepted"], told["rejected"]) == (6, 2)
    status = await finished(queries, told["import_id"])
    assert (status["applied"], status["refused"]) == (4, 2)
    changed = (await queries.get(f"/people/{made[0]['id']}?consistency=strong")).json()
    assert fields(changed) == fields(made[0]) | {"occupation": "Chef", "address": None}
    created = (await queries.get(f"/people/{fresh}?consistency=strong")).json()
    assert (created["version"], created["occupation"]) == (2, "Médico")
    assert [(one["row"], one["code"]) for one in await errors(queries, told["import_id"])] == [
        (3, "no-field"),
        (6, "no-uuid"),
        (4, "person-not-found"),
        (7, "person-exists"),
    ]


@pytest.mark.parametrize(
    ("body", "headers", "query", "status", "words"),
    [
        (b"x", {"Content-Type": "application/pdf"}, {}, 415, "text/csv"),
        (b"x", {**CSV, "Content-Encoding": "br"}, {}, 415, "gzip"),
        (b"x", {"Content-Type": "text/csv; charset=latin-99"}, {}, 415, "windows-1252"),
        ("id,Género\n".encode("cp1252"), CSV, {}, 422, "--encoding windows-1252"),
        (b"%PDF-1.7", CSV, {}, 422, "PDF"),
        (b"plain text", {**CSV, "Content-Encoding": "gzip"}, {}, 415, "not gzip"),
        (b"", CSV, {}, 422, "no header row"),
        (b"CC,1020304,Ana\n", CSV, {}, 422, "no header row"),
        (b"id,nickname\n", CSV, {"mode": "upsert"}, 422, "nickname"),
        (b"first_name\nAna\n", CSV, {}, 422, "email"),
        (b"a" * 70_000 + b"\n", CSV, {}, 413, "header row"),
        (b"{}", NDJSON, {"import_id": "7"}, 422, "import_id"),
        (b"{}", NDJSON, {"mode": "replace"}, 422, "mode"),
        (b"{}", NDJSON, {"columns": "first_name,nickname"}, 422, "nickname"),
        (b"{}", NDJSON, {"nickname": "x"}, 422, "nickname"),
    ],
)
async def test_what_cannot_be_right_from_the_start_is_a_problem(
    commands, body, headers, query, status, words
):
    response = await commands.post("/people/import", content=body, headers=headers, params=query)
    assert (response.status_code, words in response.text) == (status, True), response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_file_that_was_packed_and_cut_is_taken_as_far_as_it_goes(commands, queries):
    rows, import_id, packed = people(300), str(uuid4()), {**CSV, "Content-Encoding": "gzip"}
    body = gzip.compress(csv_of(rows))
    told = await send(commands, body[: len(body) // 2], packed, import_id=import_id)
    assert (told["state"], told["reason"]) == ("interrupted", "the gzip data ends too early")
    assert 0 < told["read"] < 300
    assert (await send(commands, body, packed, import_id=import_id))["accepted"] == 300
    assert (await finished(queries, import_id))["applied"] == 300


async def test_a_bomb_costs_one_row(commands, queries):
    rows = people(2)
    bomb = csv_of(rows[:1]) + b"0" * 10_000_000 + b"\r\n" + csv_of(rows[1:]).split(b"\r\n")[1]
    told = await send(commands, gzip.compress(bomb), {**CSV, "Content-Encoding": "gzip"})
    assert (told["accepted"], told["rejected"]) == (2, 1)
    (error,) = await errors(queries, told["import_id"])
    assert (error["row"], error["field"], error["reason"]) == (2, "row", "is longer than 64 KB")


async def test_nobody_else_writes_under_an_imports_correlation_id(commands):
    response = await commands.post(
        "/people", json=people(1)[0], headers={"X-Correlation-Id": f"import:{uuid4()}"}
    )
    assert response.status_code == 422


async def test_the_id_is_told_before_the_body_has_ended_and_rows_apply_as_they_come(
    system, services, queries
):
    rows = people(2)
    address = services["command_api"].port
    reader, writer = await asyncio.open_connection("127.0.0.1", address)
    head = (
        f"POST /people/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.token()}\r\n"
        "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    )

    def chunk(data: bytes) -> bytes:
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    writer.write(head.encode() + chunk(ndjson_of(rows[:1])))
    answer = await asyncio.wait_for(reader.readuntil(b'"import_id":"'), 20)
    assert answer.startswith(b"HTTP/1.1 202")
    import_id = (await reader.readexactly(36)).decode()

    async def told_of(name: str, value: object) -> bool:
        found = (await queries.get(f"/imports/{import_id}?consistency=strong")).json()
        return found[name] == value

    await eventually(lambda: told_of("applied", 1), pause=0.1)
    assert await told_of("state", "reading")
    # The client dies: what it sent stands, and the rest can follow.
    writer.transport.abort()
    await eventually(lambda: told_of("state", "interrupted"))
    async with system.client(services["command_api"]) as client:
        told = await send(client, ndjson_of(rows), NDJSON, import_id=import_id)
    assert (told["read"], told["accepted"]) == (2, 2)
    assert (await finished(queries, import_id))["applied"] == 2


async def test_of_one_key_and_caller_there_is_one_import(system, services, commands, queries):
    rows, key = people(3), {"Idempotency-Key": uuid4().hex}
    told = await send(commands, ndjson_of(rows), NDJSON | key)
    assert (await finished(queries, told["import_id"]))["applied"] == 3
    again = await send(commands, ndjson_of(rows), NDJSON | key)
    assert (again["import_id"], again["accepted"]) == (told["import_id"], 3)
    assert (await finished(queries, told["import_id"]))["applied"] == 3
    async with system.client(services["command_api"], system.token(subject=uuid4().hex)) as others:
        other = await send(others, ndjson_of(rows), NDJSON | key)
    assert other["import_id"] != told["import_id"]
    response = await commands.post(
        "/people/import", content=ndjson_of(rows), headers=NDJSON | key, params={"import_id": str(uuid4())}
    )
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize("system", ["replica-set"], indirect=True, scope="session")
async def test_what_is_exported_can_be_imported_into_an_empty_system(system, commands, queries):
    tag = uuid4().hex[:12]
    rows = people(60, occupation=f"Chef {tag}")
    rows[0] |= {"first_name": "'-Ana", "address": "+57 Calle"}
    rows[1] |= {"first_name": "-Eva", "address": '=cmd|"x"'}
    await finished(queries, (await send(commands, ndjson_of(rows), NDJSON))["import_id"])
    query = {"occupation": f"chef {tag}"}
    before = await exported(queries, **query, sort="last_name")
    assert {"'-Ana", "-Eva"} < {one["first_name"] for one in before}
    system.rabbit.ctl("add_vhost", tag)
    system.rabbit.ctl("set_permissions", "-p", tag, urlsplit(system.rabbit.url).username, ".*", ".*", ".*")
    system.initialise(f"empty{tag}")
    elsewhere = {
        "ROLLCALL_MONGO_DB": f"empty{tag}",
        "ROLLCALL_AMQP_URL": urlsplit(system.rabbit.url)._replace(path=f"/{tag}").geturl(),
    }
    async with AsyncExitStack() as stack:
        names = ("workers", "command_api", "query_api")  # workers make the queues
        there = [await stack.enter_async_context(system.running(name, **elsewhere)) for name in names]
        into, out = [await stack.enter_async_context(system.client(one)) for one in there[1:]]
        for form, mode in (("text/csv", "create"), ("application/x-ndjson", "upsert")):
            file = await queries.get(
                "/people/export", params={"consistency": "strong", **query}, headers={"Accept": form}
            )
            told = await send(into, file.content, {"Content-Type": form}, mode=mode)
            status = await finished(out, told["import_id"])
            counts = [status[name] for name in ("applied", "unchanged", "rejected")]
            expected = [60, 0, 0] if mode == "create" else [0, 60, 0]
            assert counts == expected, await errors(out, told["import_id"])
            after = await exported(out, sort="last_name")
            assert [without(one) for one in after] == [without(one) for one in before]


def without(person: dict) -> dict:
    """Return a person without what each system sets by itself."""
    return {name: value for name, value in person.items() if name not in SYSTEM}


async def test_an_export_takes_the_filters_of_the_list(commands, queries):
    tag = uuid4().hex[:12]
    rows = people(5, occupation=f"Baker {tag}")
    await finished(queries, (await send(commands, csv_of(rows)))["import_id"])
    query = {"occupation": f"Baker {tag}", "consistency": "strong", "sort": "-last_name"}
    page = (await queries.get("/people", params=query)).json()["items"]
    response = await queries.get("/people/export", params=query)
    assert [json.loads(line) for line in response.text.splitlines()] == page
    assert response.headers["content-disposition"] == 'attachment; filename="people.ndjson"'
    table = await queries.get("/people/export", params=query, headers={"Accept": "text/csv"})
    read = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["id"] for row in read] == [person["id"] for person in page]
    assert read[0]["phone"] == f"'{page[0]['phone']}"
    marked = await queries.get(
        "/people/export", params={**query, "bom": "true"}, headers={"Accept": "text/csv"}
    )
    assert marked.content == b"\xef\xbb\xbf" + table.content
    book = await queries.get("/people/export", params=query, headers={"Accept": WORKBOOK["Content-Type"]})
    assert book.headers["content-disposition"] == 'attachment; filename="people.xlsx"'
    told = await send(commands, book.content, WORKBOOK, mode="upsert", dry_run="true")
    assert (told["read"], told["accepted"]) == (5, 5)
    assert told["first_rows"][0]["values"]["email"] == page[0]["email"]
    for bad in ({"limit": "3"}, {"cursor": "x"}, {"nickname": "x"}, {"sort": "phone"}):
        assert (await queries.get("/people/export", params=bad)).status_code == 422
    assert (await queries.get("/people/export", headers={"Accept": "image/png"})).status_code == 406
