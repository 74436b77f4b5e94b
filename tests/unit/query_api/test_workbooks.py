"""A workbook is written while it is sent, and holds the texts as they are."""

import io
import tracemalloc
import zipfile
from xml.etree import ElementTree as Tree

import pytest

from query_api.exports import workbook as workbooks
from query_api.exports.people_lines import PeopleWorkbook, columns_of
from query_api.exports.workbook import WorkbookWriter
from tests.default_schema import SCHEMA
from tests.workbooks import MAIN

TEXTS = ["=1+1", "<&>\"'", " Íñigo\n\tx ", "_x0041_", "a\x01b", "\U0001f600", "'-Ana", "+57300", "0012"]


def cells_of(body: bytes, sheet: str = "xl/worksheets/sheet1.xml") -> list[list[str]]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        tree = Tree.fromstring(archive.read(sheet))
    rows = tree.iter(f"{{{MAIN}}}row")
    return [["".join(cell.itertext()) for cell in row.iter(f"{{{MAIN}}}c")] for row in rows]


def written(rows: list[list[object]], columns=("a", "b")) -> bytes:
    writer = WorkbookWriter("S", columns)
    return writer.take() + b"".join(writer.rows([row]) for row in rows) + writer.end()


def test_texts_are_texts_and_numbers_numbers():
    body = written([[text, 7] for text in TEXTS] + [[None, 8]])
    read = cells_of(body)
    escaped = {"_x0041_": "_x005F_x0041_", "a\x01b": "a_x0001_b"}
    assert read == [["a", "b"], *[[escaped.get(text, text), "7"] for text in TEXTS], ["8"]]
    assert b"<f>" not in zipfile.ZipFile(io.BytesIO(body)).read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(999_999_999_999_999, None), (10**15, "inlineStr"), (1 - 2**53, "inlineStr"), (1 - 10**15, None)],
)
def test_a_number_that_a_spreadsheet_would_cut_is_a_text(number, kind):
    body = written([[number]], ["a"])
    sheet = Tree.fromstring(zipfile.ZipFile(io.BytesIO(body)).read("xl/worksheets/sheet1.xml"))
    *_, cell = sheet.iter(f"{{{MAIN}}}c")
    assert (cell.get("t"), "".join(cell.itertext())) == (kind, str(number))


def test_columns_have_letters_however_many_there_are():
    body = written([[7] * 207], [f"field_{at}" for at in range(207)])
    sheet = Tree.fromstring(zipfile.ZipFile(io.BytesIO(body)).read("xl/worksheets/sheet1.xml"))
    places = [cell.get("r") for cell in sheet.iter(f"{{{MAIN}}}c")]
    assert (places[25:28], places[206]) == (["Z1", "AA1", "AB1"], "GY1")


def test_what_does_not_fit_a_sheet_goes_on_in_the_next(monkeypatch):
    monkeypatch.setattr(workbooks, "MAX_ROWS", 3)
    body = written([[number, number] for number in range(5)])
    sheets = [cells_of(body, f"xl/worksheets/sheet{number}.xml") for number in (1, 2, 3)]
    assert [[row[0] for row in sheet] for sheet in sheets] == [["a", "0", "1"], ["a", "2", "3"], ["a", "4"]]
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert b'name="S 3"' in archive.read("xl/workbook.xml")


def test_people_of_any_number_are_written_in_constant_memory():
    columns = columns_of(SCHEMA)
    table = PeopleWorkbook(columns)
    person = {"_id": "x" * 36, **dict.fromkeys(columns[1:], "Calle 10 # 5-51")}
    table.begin()
    tracemalloc.start()
    try:
        size = sum(len(table.rows([person] * 500)) for _ in range(40))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert size > 100_000
    table.close()
    table.close()
