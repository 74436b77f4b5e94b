"""Workbooks: their cells say what a person sees, and a hostile one costs next to nothing."""

import resource
import struct
import time
import zipfile

import pytest
from starlette.datastructures import Headers

from command_api.imports.body import Body
from command_api.imports.budget import ImportBudget
from command_api.imports.formats import read_format
from command_api.imports.lines import Unreadable
from command_api.imports.workbook.source import MAX_BYTES, WorkbookSource
from events.errors import BodyTooLarge, InvalidFields
from tests.default_schema import ImportQuery
from tests.unit.command_api.test_import_files import PLENTY, Sender, in_parts
from tests.workbooks import DAY, MAIN, MOMENT, WORKBOOK, ZEROS, sheet_of, workbook, zipped

HEADER = ["id", "Nombre", "Fecha de nacimiento", "Dirección"]


def workbook_source(body: bytes, sizes=None, **query) -> WorkbookSource:
    form = read_format(Headers({"content-type": WORKBOOK["Content-Type"]}))
    sent = Body(Sender(in_parts(body, sizes)), packed=form.packed, budget=ImportBudget(PLENTY))
    return WorkbookSource(sent, ImportQuery(**{"mode": "upsert", **query}))


async def read(body: bytes, sizes=None, **query) -> list:
    source = workbook_source(body, sizes, **query)
    try:
        await source.begin()
        return [
            one.reason if one.fields is None else one.fields async for some in source.rows() for one in some
        ]
    finally:
        source.close()


def row(*values: str) -> dict[str, str]:
    return dict(zip(("id", "first_name", "birth_date", "address"), values, strict=True))


async def test_cells_say_what_a_person_sees():
    rows = [
        [None, None],
        HEADER,
        ["1", "Íñigo ", ("n", DAY, "<v>32206</v>"), "Calle 1\nCali"],
        [70000109, "=1+1", ("n", DAY, "<v>32206.5</v>"), True],
        [],
        [None, " ", None, ""],
        [
            ("n", ZEROS, "<v>1234</v>"),
            ("inlineStr", 0, "<is><t>E</t><r><t>va</t></r><rPh><t>x</t></rPh></is>"),
        ],
        [
            ("n", 0, "<v>7.0000109E7</v>"),
            ("str", 0, "<f>A1</f><v>a_x000A_b</v>"),
            ("d", 0, "<v>1988-03-04T00:00:00</v>"),
        ],
        [("n", 0, "<v>0.5</v>"), "'Ana", ("n", MOMENT, "<v>1</v>"), ("n", 0, "<v>12345678901234567</v>")],
        ["2", ("e", 0, "<v>#N/A</v>")],
        [("n", 0, "<v>1.2345678901234567E+19</v>"), "Eva"],
        ["3", "Eva", None, None, "x"],
    ]
    body = workbook({"People": rows, "Other": [["id"], ["9"]]})
    assert await read(body) == [
        row("1", "Íñigo", "1988-03-04", "Calle 1\nCali"),
        row("70000109", "=1+1", "1988-03-04T12:00:00", "TRUE"),
        row("00001234", "Eva", "", ""),
        row("70000109", "a\nb", "1988-03-04", ""),
        row("0.5", "'Ana", "1900-01-01", "12345678901234567"),
        "column B shows #N/A: correct the formula, or put a value in its place",
        "column A is a number of over 15 digits, which a spreadsheet cuts: write it as a text",
        "has a value in column E, which has no name",
    ]
    assert await read(body, sizes=[7] * 3_000, columns="id,address") == await read(body, columns="id,address")
    assert await read(body, sheet=" other") == [{"id": "9"}]
    assert await read(workbook({"Vac\u00eda": [["id"], ["9"]]}), sheet="Vaci\u0301a") == [{"id": "9"}]
    with pytest.raises(InvalidFields) as refused:
        await read(body, sheet="Third")
    assert refused.value.errors[0]["reason"] == "is no sheet of the workbook, which has “People”, “Other”"


async def test_a_formula_without_a_value_is_told_and_one_that_gives_an_empty_text_is_read():
    rows = [
        HEADER,
        ["1", "Ana", None, ("n", 0, "<f>A1</f><v></v>")],
        ["2", ("n", 0, '<f t="shared" si="0"/>')],
        ["3", "Eva", None, ("str", 0, "<f>A1</f><v></v>")],
        ["4", "Eva", None, ("n", 0, "<f>1+1</f><v>2</v>")],
    ]
    assert await read(workbook({"S": rows})) == [
        "column D has a formula without a value: open the file in a spreadsheet and save it",
        "column B has a formula without a value: open the file in a spreadsheet and save it",
        row("3", "Eva", "", ""),
        row("4", "Eva", "", "2"),
    ]


async def test_days_are_counted_as_the_workbook_counts():
    days = [
        [f"d{at}", "Ana", ("n", DAY, f"<v>{serial}</v>")] for at, serial in enumerate((1, 59, 60, 61, 30744))
    ]
    said = [one["birth_date"] for one in await read(workbook({"S": [HEADER, *days]}))]
    assert said == ["1900-01-01", "1900-02-28", "60", "1900-03-01", "1984-03-03"]
    said = [one["birth_date"] for one in await read(workbook({"S": [HEADER, *days]}, from_1904=True))]
    assert said == ["1904-01-02", "1904-02-29", "1904-03-01", "1904-03-02", "1988-03-04"]


async def test_cells_without_places_and_other_namespaces_are_read():
    sheet = sheet_of([HEADER, ["1", "Ana"]], texts := [])
    bare = (
        sheet.replace(' r="A1"', "").replace(' r="B1"', "").replace(' r="B2"', "").replace("<row r", "<row q")
    )
    prefixed = bare.replace("xmlns=", "xmlns:x=")
    for tag in ("worksheet", "sheetData", "row", "c", "v"):
        prefixed = prefixed.replace(f"<{tag}", f"<x:{tag}").replace(f"</{tag}>", f"</x:{tag}>")
    shared = f'<sst xmlns="{MAIN}">' + "".join(f"<si><r><t>{text}</t></r></si>" for text in texts) + "</sst>"
    for one in (bare, prefixed):
        body = workbook({"S": one}, parts={"xl/sharedStrings.xml": shared, "xl/styles.xml": None})
        assert await read(body) == [row("1", "Ana", "", "")]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"id,first_name\n1,Ana\n", "is no workbook: if it is CSV, send it as text/csv"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old Excel workbook"),
        (b"PK\x03\x04" + b"x" * 2_000, "its directory cannot be read"),
        (zipped({"word/document.xml": "<x/>"}), "a Word document"),
        (zipped({"content.xml": "<x/>"}), "an OpenDocument file: save it as .xlsx"),
        (zipped({"notes.txt": "x"}), "a zip archive, and no workbook"),
        (zipped({f"a{at}": "" for at in range(9_000)}), "its directory cannot be read"),
        (zipped({"a": "x" * 9}, zipfile.ZIP_BZIP2), "packed as no spreadsheet packs it"),
        (workbook({"S": [HEADER]}, parts={"xl/big": b"\0" * 20_000_000}), "over 200 times as large"),
        (workbook({"S": '<!DOCTYPE x [<!ENTITY a "b">]><worksheet/>'}), "DOCTYPE"),
        (workbook({"S": [HEADER]}, parts={"xl/workbook.xml": "<workbook><sheets>"}), "no sheet"),
        (workbook({"S": "<worksheet><row><c></row></worksheet>"}), "its XML cannot be read"),
        (workbook({"S": "<worksheet><row><c><v>1</v>"}), "its XML cannot be read"),
        (workbook({"S": ""}), "its XML cannot be read"),
        (workbook({"S": [["1", "Ana"]]}), "there is no header row"),
        (workbook({"S": []}), "there is no header row"),
        (
            workbook({"S": [HEADER]}, parts={"xl/sharedStrings.xml": None}),
            "a cell has a text that is not there",
        ),
        (
            workbook({"S": '<worksheet><row><c r="XFE1"><v>1</v></c></row></worksheet>'}),
            "more than a worksheet",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_no_good_workbook_is_refused_with_what_to_do(body, words):
    with pytest.raises(InvalidFields) as refused:
        await read(body)
    assert words in f"{refused.value.detail} {refused.value.errors}"


async def test_a_workbook_over_50_mb_is_too_large():
    with pytest.raises(BodyTooLarge, match="50 MB"):
        await read(b"PK\x03\x04" + b"\0" * MAX_BYTES)


def forged(body: bytes, name: bytes, size: int) -> bytes:
    """Return an archive whose directory says another size of a part."""
    at = body.rindex(name) - 46
    assert body[at : at + 4] == b"PK\x01\x02"
    return body[: at + 24] + struct.pack("<I", size) + body[at + 28 :]


def corners() -> str:
    cells = '<row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    return f'<worksheet xmlns="{MAIN}"><sheetData>{cells}</sheetData></worksheet>'


@pytest.mark.parametrize(
    ("make", "ending"),
    [
        (lambda: workbook({"S": corners()}), "has a value in column XFD, which has no name"),
        (
            lambda: forged(
                workbook({"S": [["id"], *[[f"n{at}"] for at in range(99)]]}), b"xl/worksheets/sheet1.xml", 900
            ),
            Unreadable,
        ),
        (
            lambda: workbook({"S": [["id"], ["x" * 40_000 + str(at) for at in range(4)]]}),
            "is longer than 64 KB",
        ),
        (lambda: zipped_tag(), "a tag without an end"),
    ],
    ids=["opposite corners", "forged size", "long row", "long tag"],
)
async def test_a_hostile_workbook_costs_next_to_nothing(make, ending):
    body = make()
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        told = await read(body)
    except (Unreadable, InvalidFields) as exc:
        told = [str(exc)]
    if isinstance(ending, str):
        assert told == [ending] or ending in told[0]
    else:
        assert "unpacked" in told[0] or "XML" in told[0]
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def zipped_tag() -> bytes:
    """Return a workbook with a tag of 32 MB that packs badly enough not to be refused for that."""
    noise = "".join(f"{number:07x}" for number in range(5_000_000))[:8_000_000]
    sheet = (
        f'<worksheet><row><c r="A1" t="inlineStr"><is><t>id</t></is></c></row><row x="{noise}"/></worksheet>'
    )
    return workbook({"S": sheet})


async def test_texts_that_are_shared_are_kept_on_disk_and_found():
    names = [f"Ana {number}" for number in range(3_000)]
    rows = [["id", "first_name"], *[[f"x{at}", name] for at, name in enumerate(names)]]
    assert [one["first_name"] for one in await read(workbook({"S": rows}))] == names


async def test_an_import_reads_the_same_rows_of_the_same_workbook():
    body = workbook({"S": [HEADER, ["1", "Ana"], ["2", "Eva", ("e", 0, "<v>#REF!</v>")]]})
    raws = []
    for sizes in (None, [11] * 900):
        source = WorkbookSource(
            Body(Sender(in_parts(body, sizes)), packed=False, budget=ImportBudget(PLENTY)),
            ImportQuery(mode="upsert"),
        )
        await source.begin()
        raws.append([one.raw async for some in source.rows() for one in some])
        source.close()
    assert raws[0] == raws[1]
    assert len(raws[0]) == 2
