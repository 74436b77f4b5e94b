"""Files as people have them, sent to the real services: whatever a spreadsheet writes becomes people."""

import json
from uuid import uuid4

import httpx
import pytest

from tests.people_files import CSV, csv_of, errors, exported, finished, people, send
from tests.workbooks import WORKBOOK, workbook

COLUMNS = (
    "document_type",
    "document_id",
    "first_name",
    "last_name",
    "birth_date",
    "gender",
    "email",
    "phone",
)
SPANISH = "Tipo de documento,Nº documento,Nombres,Apellidos,Fecha de nacimiento,Sexo,Correo,Celular"

pytestmark = pytest.mark.parametrize("system", ["replica-set"], indirect=True, scope="session")


def iñigo(count: int = 2) -> list[dict]:
    return people(count, document_type="CC", first_name="Íñigo", last_name="Peña")


def table(rows: list[dict], **options) -> str:
    return csv_of(rows, COLUMNS, **options).decode()


def xlsx(rows: list[dict]) -> bytes:
    numbers = [[int(row[name]) if name == "document_id" else row[name] for name in COLUMNS] for row in rows]
    return workbook({"Personas": [SPANISH.split(","), *numbers, [None, ""]]})


FILES = {
    "utf-16 with tabs": lambda rows: (
        table(rows, delimiter="\t").encode("utf-16"),
        {"Content-Type": "text/plain"},
    ),
    "carriage returns": lambda rows: (table(rows, end="\r").encode(), CSV),
    "tabs": lambda rows: (
        table(rows, delimiter="\t").encode(),
        {"Content-Type": "text/tab-separated-values"},
    ),
    "trailing columns": lambda rows: (table(rows).replace("\r\n", ",,\r\n").encode(), CSV),
    "as Excel sends CSV": lambda rows: (
        table(rows, delimiter=";").encode("utf-8-sig"),
        {"Content-Type": "application/vnd.ms-excel"},
    ),
    "sep= and Spanish titles": lambda rows: (
        (
            "sep=;\r\n"
            + SPANISH.replace(",", ";")
            + table(rows, delimiter=";").replace(";".join(COLUMNS), "")
        ).encode(),
        {"Content-Type": "application/csv"},
    ),
    "windows-1252 that says so": lambda rows: (
        table(rows).encode("cp1252"),
        {"Content-Type": "text/csv; charset=windows-1252"},
    ),
    "lines of JSON": lambda rows: (
        "\n".join(map(json.dumps, rows)).encode(),
        {"Content-Type": "application/jsonl"},
    ),
    "an array": lambda rows: (json.dumps(rows, indent=1).encode(), {"Content-Type": "application/json"}),
    "a workbook": lambda rows: (xlsx(rows), WORKBOOK),
    "what says nothing": lambda rows: (table(rows).encode(), {"Content-Type": "application/octet-stream"}),
    "a form": lambda rows: form_with("people.xlsx", xlsx(rows)),
}


def form_with(name: str, content: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a form with a file as a browser sends it."""
    request = httpx.Request("POST", "http://x", files={"file": (name, content, "application/octet-stream")})
    return request.read(), {"Content-Type": request.headers["content-type"]}


@pytest.mark.parametrize("name", FILES)
async def test_a_file_becomes_people_as_it_is(commands, queries, name):
    rows = iñigo()
    body, headers = FILES[name](rows)
    told = await send(commands, body, headers)
    assert (told["read"], told["accepted"]) == (2, 2), await errors(queries, told["import_id"])
    status = await finished(queries, told["import_id"])
    assert (status["applied"], status["rejected"]) == (2, 0), await errors(queries, told["import_id"])
    for row in rows:
        (person,) = await exported(queries, email=row["email"])
        assert (person["first_name"], person["last_name"]) == ("Íñigo", "Peña")
        assert person["document_id"] == row["document_id"]


async def test_a_file_in_another_encoding_is_refused_at_once_with_what_to_do(commands):
    response = await commands.post("/people/import", content=table(iñigo()).encode("cp1252"), headers=CSV)
    assert response.status_code == 422
    detail = response.json()["detail"]
    assert "row 1 is no UTF-8: byte 0xCD at offset" in detail
    assert "charset=windows-1252" in detail
    assert "--encoding windows-1252" in detail


async def test_after_a_bad_byte_the_same_id_goes_on_with_the_right_charset(commands, queries):
    rows, import_id = people(900), str(uuid4())
    for at, row in enumerate(rows):
        row |= {"first_name": "Íñigo" if at == 850 else "Ana", "last_name": "Paz", "gender": "F"}
        row["document_type"] = "CC"
    body = table(rows).encode("cp1252")
    assert body.index(0xCD) > 66_000
    told = await send(commands, body, import_id=import_id)
    assert (told["state"], told["code"], told["read"]) == ("interrupted", "unreadable-file", 850)
    assert f"row 851 is no UTF-8: byte 0xCD at offset {body.index(0xCD)}." in told["reason"]
    again = await send(
        commands, body, {"Content-Type": "text/csv; charset=windows-1252"}, import_id=import_id
    )
    assert (again["read"], again["accepted"]) == (900, 900)
    assert (await finished(queries, import_id))["applied"] == 900
    (person,) = await exported(queries, email=rows[850]["email"])
    assert (person["first_name"], person["version"]) == ("Íñigo", 1)


async def test_a_workbook_again_doubles_nothing_and_goes_on_where_it_stopped(commands, queries):
    rows, import_id = iñigo(60), str(uuid4())
    good, rows[40]["phone"] = rows[40]["phone"], "12"
    told = await send(commands, xlsx(rows), WORKBOOK, import_id=import_id, on_error="stop")
    assert (told["state"], told["read"], told["accepted"]) == ("stopped", 41, 40)
    rows[40]["phone"] = good
    for _ in range(2):
        told = await send(commands, xlsx(rows), WORKBOOK, import_id=import_id, on_error="stop")
        assert (told["read"], told["accepted"]) == (60, 60)
    status = await finished(queries, import_id)
    assert (status["applied"], status["media_type"]) == (60, WORKBOOK["Content-Type"])
    told = await send(commands, xlsx(iñigo(60)), WORKBOOK, import_id=import_id)
    assert told["state"] == "failed"


async def test_a_hostile_workbook_is_refused_and_nobody_else_notices(commands):
    for body in (
        workbook({"S": [["id"]]}, parts={"xl/media/x": b"\0" * 30_000_000}),
        workbook({"S": "<!DOCTYPE x><worksheet/>"}),
        b"PK\x03\x04" + b"\0" * 5_000,
    ):
        response = await commands.post("/people/import", content=body, headers=WORKBOOK)
        assert response.status_code == 422, response.text
    body = workbook(
        {
            "S": '<worksheet><row><c r="A1"><v>1</v></c></row><row><c r="XFD1048576"><v>1</v></c></row></worksheet>'
        }
    )
    response = await commands.post("/people/import", content=body, headers=WORKBOOK)
    assert (response.status_code, "no header row" in response.text) == (422, True)
    too_large = b"PK\x03\x04" + b"\0" * (51 << 20)
    response = await commands.post("/people/import", content=too_large, headers=WORKBOOK)
    assert (response.status_code, "50 MB" in response.text) == (413, True)
    assert (await commands.get("/readyz")).status_code == 200


async def test_every_id_that_a_path_takes_is_taken_in_a_row(commands, queries):
    made = (await commands.post("/people", json=people(1)[0], headers={"Prefer": "wait=20"})).json()
    body = f"id,occupation\n {made['id'].upper()} ,Lion tamer\n".encode()
    told = await send(commands, body, mode="upsert")
    assert (await finished(queries, told["import_id"]))["applied"] == 1
    found = (await queries.get(f"/people/{made['id']}?consistency=strong")).json()
    assert found["occupation"] == "Lion tamer"
