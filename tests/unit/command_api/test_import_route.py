"""The route of imports from the request to the end of the answer, without a broker or a database."""

import asyncio
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI
from starlette.datastructures import Headers

from command_api.imports import portions
from command_api.imports.budget import ImportLimits
from command_api.imports.form import FormFile
from command_api.imports.formats import file_name
from command_api.imports.portions import ImportTools
from command_api.imports.record import ImportRecord, Progress
from command_api.imports.routes import add_import_routes, import_slots
from command_api.people.routes import PeopleDependencies
from service_kit.auth.tokens import Caller
from service_kit.http.problems import install_problem_handlers
from tests.default_schema import FIELD_NAMES, SCHEMA
from tests.workbooks import WORKBOOK, workbook

NOW = datetime(2026, 2, 1, tzinfo=UTC)
COLUMNS = [
    "Tipo de documento",
    "Documento",
    "Nombres",
    "Apellidos",
    "Fecha de nacimiento",
    "Sexo",
    "Correo",
    "Tel.",
]
PERSON = ["CC", "70000001", "Íñigo", "Peña", "1988-03-04", "F", "inigo@example.org", "3001234567"]
CSV = {"Content-Type": "text/csv"}


class Publisher:
    """Takes every command."""

    def __init__(self) -> None:
        self.taken: list[dict] = []

    def check_connection(self) -> None:
        pass

    async def publish_many(self, commands) -> list:
        self.taken += [json.loads(one.body) for one in commands]
        return []


class Store:
    """Keeps imports."""

    def __init__(self) -> None:
        self.records: dict[str, ImportRecord] = {}
        self.refused: list = []

    async def begin(self, order, owner, now, more) -> ImportRecord:
        fresh = ImportRecord(order, owner, "reading", whole=False, progress=Progress(), begun_at=now)
        return self.records.setdefault(order.import_id, fresh)

    async def keep(self, record, progress, now, *, state="reading", whole=False, reason=None) -> None:
        self.records[record.order.import_id] = replace(record, progress=progress, state=state, whole=whole)

    async def refuse(self, import_id, refused) -> None:
        self.refused += refused


@pytest.fixture
def stage():
    publisher, store, slots, app = Publisher(), Store(), import_slots(1), FastAPI()

    async def verify(*_) -> Caller:
        return Caller("tester", "Tester", frozenset({"people:write"}), 9e9)

    commands = SimpleNamespace(
        verifier=SimpleNamespace(verify=verify),
        publisher=publisher,
        clock=lambda: NOW,
        stamp=lambda *given: PeopleDependencies.stamp(commands, *given),
        phone_region="CO",
        query_url="",
        schema=SCHEMA,
    )
    tools = ImportTools(publisher, store, lambda: NOW, ImportLimits(2**30, 5_000, 60.0), 0.1, asyncio.Event())
    dependencies = SimpleNamespace(commands=commands, tools=tools, slots=slots)
    add_import_routes(app, dependencies)
    install_problem_handlers(app)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://x", headers={"Authorization": "Bearer hunter2"}
    )
    return SimpleNamespace(
        publisher=publisher, store=store, client=client, slots=slots, dependencies=dependencies
    )


async def send(stage, body: bytes, headers=CSV, **query) -> dict:
    response = await stage.client.post("/people/import", content=body, headers=headers, params=query)
    assert response.status_code == 202, response.text
    return response.json()


def csv_of(*rows: list[str]) -> str:
    return "".join(",".join(row) + "\r\n" for row in (COLUMNS, *rows))


def ndjson_of(*rows: list[str]) -> str:
    names = [name for name in FIELD_NAMES if name not in ("middle_name", "address", "occupation")]
    return "".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (csv_of(PERSON).encode("utf-16"), CSV),
        (csv_of(PERSON).encode("cp1252"), {"Content-Type": "application/csv; charset=windows-1252"}),
        (workbook({"S": [COLUMNS, PERSON]}), WORKBOOK),
    ],
)
async def test_a_file_becomes_commands(stage, body, headers):
    told = await send(stage, body, headers)
    assert (told["read"], told["accepted"], told["state"]) == (1, 1, "applying")
    (command,) = stage.publisher.taken
    assert command["type"] == "person.create"
    assert (command["data"]["first_name"], command["data"]["document_id"]) == ("Íñigo", "70000001")
    assert command["actor"] == "tester"
    assert "hunter2" not in json.dumps(command), "the broker gets nobody's token"
    stage.slots.take()  # it was given back


OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    "sent",
    [
        {"content": csv_of(PERSON), "headers": {"Content-Type": OCTETS}},
        {"content": csv_of(PERSON).encode("utf-16"), "headers": {"Content-Type": OCTETS}},
        {"content": csv_of(PERSON).encode()},
        {"content": csv_of(PERSON), "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": ndjson_of(PERSON), "headers": {"Content-Type": OCTETS}},
        {"content": f"[{ndjson_of(PERSON)}]", "headers": {"Content-Type": "text/plain"}},
        {"content": workbook({"S": [COLUMNS, PERSON]}), "headers": {"Content-Type": OCTETS}},
        {
            "content": gzip.compress(csv_of(PERSON).encode()),
            "headers": {"Content-Disposition": 'attachment; filename="people.csv.gz"'},
        },
        {"files": {"file": ("people.csv", csv_of(PERSON).encode(), OCTETS)}},
        {"files": {"f": ("Gente.CSV", csv_of(PERSON).encode("cp1252"), "text/csv; charset=windows-1252")}},
        {"files": {"file": ("people.xlsx", workbook({"S": [COLUMNS, PERSON]}), OCTETS)}},
        {"files": {"file": ("people", workbook({"S": [COLUMNS, PERSON]}), OCTETS)}},
        {"files": {"file": ("people.jsonl", ndjson_of(PERSON).encode(), OCTETS)}},
        {"files": {"file": ("people.csv.gz", gzip.compress(csv_of(PERSON).encode()), "application/gzip")}},
    ],
    ids=range(14),
)
async def test_what_does_not_say_its_form_is_judged_by_its_name_or_its_beginning(stage, sent):
    response = await stage.client.post("/people/import", **sent)
    assert response.status_code == 202, response.text
    told = response.json()
    assert (told["read"], told["accepted"], told["state"]) == (1, 1, "applying")
    (command,) = stage.publisher.taken
    assert (command["data"]["first_name"], command["data"]["document_id"]) == ("Íñigo", "70000001")


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
FILE = b'--x\r\nContent-Disposition: form-data; name="f"; filename="p.csv"\r\n\r\n' + csv_of(PERSON).encode()
FIELD = b'--x\r\nContent-Disposition: form-data; name="mode"\r\n\r\nupsert\r\n'


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (FIELD + FILE + b"\r\n--x--\r\n", FORM, 422, "one-file"),
        (FILE + b"\r\n" + FIELD + b"--x--\r\n", FORM, 422, "one-file"),
        (FILE + b"\r\n" + FILE + b"\r\n--x--\r\n", FORM, 422, "one-file"),
        (b"--x--\r\n", FORM, 422, "one-file"),
        (b"--y--\r\n", FORM, 400, "not as its Content-Type says"),
        (csv_of(PERSON).encode(), FORM, 400, "not as its Content-Type says"),
        (b"--x\r\nContent-Disposition: form-data", FORM, 400, "cut off"),
        (b"--x\r\n" + b"A: b\r\n" * 9_000, FORM, 400, "not as its Content-Type says"),
        (b"--x\r\nA: " + b"b" * 90_000, FORM, 400, "not as its Content-Type says"),
        (FILE, {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        (FILE, {"Content-Type": f"multipart/form-data; boundary={'x' * 300}"}, 400, "boundary"),
        (gzip.compress(FILE), {**FORM, "Content-Encoding": "gzip"}, 415, "send the form as it is"),
        (FILE.replace(b"p.csv", b"p.xlsx") + b"\r\n--x--\r\n", FORM, 422, "is no workbook"),
        (b"%PDF-1.7", {"Content-Type": OCTETS}, 422, "is a PDF document"),
        (b"", {"Content-Type": OCTETS}, 422, "the file is empty"),
        (b"<p/>", {"Content-Type": "text/html"}, 415, "send one of"),
    ],
    ids=range(16),
)
async def test_a_form_or_a_file_that_will_not_do_is_refused_at_once(stage, body, headers, status, words):
    response = await stage.client.post("/people/import", content=body, headers=headers)
    assert (response.status_code, words in response.text) == (status, True), response.text
    assert (stage.store.records, stage.publisher.taken) == ({}, [])
    stage.slots.take()  # it was given back


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (b"\r\n" + FIELD + b"--x--", "goes on after its file"),
        (b"", "has no end"),
        (b"\r\n--x-", "has no end"),
    ],
)
async def test_a_form_that_goes_wrong_behind_its_beginning_ends_the_import(stage, end, words):
    body = FILE + csv_of(*[PERSON] * 1_500).partition("\n")[2].encode() + end

    async def parts():
        for at in range(0, len(body), 10_000):
            yield body[at : at + 10_000]

    told = await send(stage, parts(), FORM)
    assert (told["state"], told["code"], words in told["reason"]) == ("interrupted", "unreadable-file", True)
    assert told["read"] >= 1_400


async def test_a_form_is_read_however_its_bytes_arrive():
    rows = csv_of(*[PERSON] * 60).encode() + b"\r\n--\r\n--y\r\n-"
    body = FILE.replace(csv_of(PERSON).encode(), rows) + b"\r\n--x--\r\nepilogue"
    for size in (1, 2, 3, 5, 7, 64, 1_000, len(body)):
        parts = [body[at : at + size] for at in range(0, len(body), size)]

        async def receive(parts=parts) -> dict:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        form = FormFile(Headers(FORM), receive)
        assert file_name(await form.begin()) == "p.csv"
        content, more = b"", True
        while more:
            message = await form.receive()
            content, more = content + message["body"], message["more_body"]
        assert content == rows


async def test_a_dry_run_shows_the_first_rows_as_they_are_understood(stage):
    body = csv_of(PERSON, [*PERSON[:5], "?", *PERSON[6:]], PERSON[:3], *[PERSON] * 9).encode()
    for _ in range(2):
        told = await send(stage, body, dry_run="true", import_id="0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c")
        first, second, *rest = told["first_rows"]
        assert (first["row"], first["values"]["gender"], first["values"]["phone"]) == (
            1,
            "female",
            "+573001234567",
        )
        assert (second["row"], second["values"], second["errors"][0]["field"]) == (2, {}, "gender")
        assert [second["errors"][0]["code"], rest[0]["errors"][0]["code"]] == [
            "unknown-word",
            "unreadable-row",
        ]
        assert len(rest) == 3
        assert [(one["row"], one["field"], one["code"]) for one in told["errors"]] == [
            (2, "gender", "unknown-word"),
            (3, "row", "unreadable-row"),
        ]
    assert stage.publisher.taken == []
    assert (stage.store.records, stage.store.refused) == ({}, [])


async def test_of_many_errors_some_are_told_and_the_rest_is_counted(stage, monkeypatch):
    monkeypatch.setattr(portions, "MAX_KEPT", 70)
    monkeypatch.setattr(portions, "MAX_TOLD", 60)
    unknown = {"Content-Type": "application/x-ndjson"}, json.dumps({f"n{at}": 1 for at in range(5_000)})
    body = "\n".join([unknown[1]] + ['{"first_name": ""}'] * 200).encode()
    told = await send(stage, body, unknown[0], dry_run="true")
    assert (told["rejected"], told["rows_left_out"], len({one["row"] for one in told["errors"]})) == (
        201,
        141,
        60,
    )
    first = [one for one in told["errors"] if one["row"] == 1]
    assert (len(first), first[-1]["field"], first[-1]["code"]) == (11, "row", "more-errors")
    assert int(first[-1]["reason"].split()[1]) > 4_900
    assert stage.store.refused == []
    told = await send(stage, body, unknown[0])
    assert (told["rejected"], "errors" in told) == (201, False)
    assert [one.row for one in stage.store.refused] == list(range(1, 71))
    assert max(len(one.errors) for one in stage.store.refused) == 11


@pytest.mark.parametrize(
    ("limits", "words", "accepted"),
    [
        (ImportLimits(2**30, 120, 60.0), "over 120 rows, the budget of an import: send", 100),
        (ImportLimits(100_000, 10**6, 60.0), "over 100,000 bytes, the budget of an import: send", 900),
        (ImportLimits(2**30, 10**6, 0.0), "0 s of the processor", 0),
    ],
    ids=["rows", "bytes", "seconds"],
)
async def test_an_import_has_a_budget_and_names_it_when_that_is_used_up(stage, limits, words, accepted):
    stage.dependencies.tools = replace(stage.dependencies.tools, limits=limits)
    body = csv_of(*[PERSON] * 3_000).encode()
    response = await stage.client.post("/people/import", content=body, headers=CSV)
    if not accepted:
        assert (response.status_code, words in response.json()["detail"]) == (413, True)
        assert "import_id goes on" in response.text
        return
    told = response.json()
    assert (told["state"], told["code"]) == ("interrupted", "over-budget")
    assert words in told["reason"]
    assert len(stage.publisher.taken) == told["accepted"] == told["read"] >= accepted
    assert told["read"] < 1_500


async def test_an_import_is_told_in_the_language_that_is_wanted(stage):
    spanish = {**CSV, "Accept-Language": "es"}
    told = await send(stage, csv_of(PERSON[:3]).encode(), spanish, dry_run="true", on_error="stop")
    assert told["reason"] == "la fila 1 no es válida"
    (row,) = told["first_rows"]
    assert row["errors"][0]["reason"] == "tiene 3 celdas, y la fila de títulos tiene 8"
    refused = await stage.client.post("/people/import", content="Notas\n1\n", headers=spanish)
    assert refused.json()["detail"].startswith("no hay fila de títulos: la primera fila debe nombrar")
    refused = await stage.client.post("/people/import?import_id=x&map=y&columns=emial", headers=spanish)
    assert [(one["field"], one["code"]) for one in refused.json()["errors"]] == [
        ("import_id", "no-uuid"),
        ("columns", "unknown-field"),
        ("map.0", "no-mapping"),
    ]


async def test_a_bad_byte_ends_the_import_and_the_right_charset_goes_on(stage):
    body = csv_of(*[[*PERSON[:2], "Ana", *PERSON[3:]]] * 1_200).replace("Peña", "Paz")
    body = body.encode().replace(b"Ana", b"\xcd\xf1igo").replace(b"\xcd\xf1igo", b"Ana", 1_100)
    query = {"import_id": "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6d"}
    told = await send(stage, body, **query)
    assert (told["read"], told["state"], told["code"]) == (1_100, "interrupted", "unreadable-file")
    assert f"row 1101 is no UTF-8: byte 0xCD at offset {body.index(0xCD)}." in told["reason"]
    told = await send(stage, body, {"Content-Type": "text/csv; charset=windows-1252"}, **query)
    assert (told["read"], told["accepted"], told["state"]) == (1_200, 1_200, "applying")
    assert len(stage.publisher.taken) == 1_200
    assert stage.publisher.taken[1_100]["data"]["first_name"] == "Íñigo"


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (csv_of(PERSON).encode("cp1252"), CSV, 422, "charset=windows-1252"),
        (csv_of(PERSON).encode(), {"Content-Type": "text/csv; charset=no"}, 415, "windows-1252"),
        (csv_of(PERSON).encode(), WORKBOOK, 422, "text/csv"),
        (workbook({"S": [COLUMNS, PERSON]}), CSV, 422, "is an Excel workbook"),
        (workbook({"S": [COLUMNS, PERSON]}), {**WORKBOOK, "Content-Encoding": "gzip"}, 415, "not gzip"),
        (b"PK\x03\x04" + b"\0" * (51 << 20), WORKBOOK, 413, "50 MB"),
    ],
    ids=["no UTF-8", "no charset", "no workbook", "no CSV", "no gzip", "too large"],
)
async def test_what_is_refused_at_once_takes_no_slot(stage, body, headers, status, words):
    for _ in range(2):
        response = await stage.client.post("/people/import", content=body, headers=headers)
        assert (response.status_code, words in response.text) == (status, True), response.text
    assert stage.store.records == {}
