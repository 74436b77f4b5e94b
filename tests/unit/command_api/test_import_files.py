"""Files as people have them: what is read without being told, what is refused at once, and in which words."""

import codecs
import gzip
import json
import random
from collections.abc import Iterator
from encodings.aliases import aliases

import pytest
from starlette.datastructures import Headers

from command_api.imports import body as bodies
from command_api.imports.body import HEAD_BYTES, Body
from command_api.imports.budget import ImportBudget, ImportLimits
from command_api.imports.encodings import BadByte, TextBytes, encoding_named
from command_api.imports.formats import read_format
from command_api.imports.lines import Unreadable
from command_api.imports.source import Source
from events.errors import BodyTooLarge, InvalidFields, UnsupportedMediaType
from events.person.titles import fields_by_title, title_key, titles_of
from tests.default_schema import FIELD_NAMES, SCHEMA, ImportQuery

UPSERT = {"mode": "upsert"}
PLENTY = ImportLimits(2**40, 10**9, 1e9)
TABLE = "id,first_name,address\r\n1,Íñigo,Calle 1\r\n2,Eva,\r\n"
ROWS = [
    {"id": "1", "first_name": "Íñigo", "address": "Calle 1"},
    {"id": "2", "first_name": "Eva", "address": ""},
]


class Sender:
    """A client that sends a body in parts, and then nothing or no more."""

    def __init__(self, parts: Iterator[bytes], *, waits: bool = False) -> None:
        self._parts = parts
        self._waits = waits

    async def __call__(self) -> dict:
        part = next(self._parts, None)
        if part is None and self._waits:
            raise TimeoutError
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}


def in_parts(body: bytes, sizes: list[int] | None = None) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        size = sizes.pop() if sizes else 20_000
        yield body[at : at + size]
        at += size


def source_of(body: bytes, kind: str = "text/csv", coding: str = "identity", sizes=None, **query) -> Source:
    form = read_format(Headers({"content-type": kind, "content-encoding": coding})).judged(body)
    sender = Sender(in_parts(body, sizes))
    return Source(
        Body(sender, packed=form.packed, budget=ImportBudget(PLENTY)),
        form,
        ImportQuery(**{**UPSERT, **query}),
    )


async def read(body: bytes, *args, **options) -> list:
    """Return the fields of a file's rows, or what is wrong with them."""
    source = source_of(body, *args, **options)
    await source.begin()
    return [row.reason if row.fields is None else row.fields async for rows in source.rows() for row in rows]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (TABLE.encode(), "text/csv"),
        (TABLE.encode("utf-8-sig"), "application/csv"),
        (TABLE.replace("\r\n", "\n").encode(), "application/vnd.ms-excel"),
        (TABLE.replace("\r\n", "\r").encode(), "text/plain"),
        (TABLE.replace(",", "\t").encode("utf-16"), "text/tab-separated-values"),
        (codecs.BOM_UTF16_BE + TABLE.replace(",", "\t").encode("utf-16-be"), "text/csv"),
        (TABLE.encode("utf-32"), "text/csv"),
        (TABLE.replace(",", ";").encode(), "text/csv; header=present"),
        (TABLE.replace(",", "|").encode(), "text/csv"),
        (b"sep=^\r\n" + TABLE.replace(",", "^").encode(), "text/csv"),
        (b'"sep=;"\n' + TABLE.replace(",", ";").encode(), "text/csv"),
        (("\r\n" + TABLE.replace("\r\n", ",,\r\n")).encode(), "text/csv"),
        (TABLE.replace("first_name", '"first\nname"').encode(), "text/csv"),
        (TABLE.encode("cp1252"), "text/csv; charset=windows-1252"),
        (TABLE.encode("cp1252"), 'text/csv; charset="ISO-8859-1"'),
        (TABLE.encode("mac-roman"), "text/csv;charset=macintosh"),
        (TABLE.encode("cp850"), "text/csv;charset=CP850"),
        (TABLE.encode("utf-16-le"), "text/csv;charset=UTF-16LE"),
        (TABLE.encode("utf-16-le"), "text/csv;charset=utf-16"),
        (codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be"), "text/csv;charset=utf-16"),
        (TABLE.encode("gb18030"), "text/csv;charset=gb18030"),
        (TABLE.encode("utf-8-sig"), "text/csv;charset=windows-1252"),
        (TABLE.encode(), "text/csv;charset=us-ascii"),
    ],
)
async def test_what_a_spreadsheet_writes_is_read(body, kind):
    assert await read(body, kind) == ROWS
    for seed in range(20):
        assert await read(body, kind, sizes=[random.Random(seed).randint(1, 9) for _ in body]) == ROWS


@pytest.mark.parametrize(
    ("label", "encoding", "name"),
    [
        ("Shift_JIS", "cp932", "髙橋"),
        ("Windows-31J", "cp932", "髙橋"),
        ("x-sjis", "cp932", "髙橋"),
        ("GB2312", "gbk", "朱镕基"),
        ("EUC-KR", "cp949", "똠방"),
        ("utf-8-sig", "utf-8-sig", "髙橋"),
        ("x-mac-roman", "mac-roman", "Íñigo"),
    ],
)
async def test_an_encoding_holds_what_people_mean_by_its_name(label, encoding, name):
    body = f"id,first_name\n1,{name}\n".encode(encoding)
    assert await read(body, f"text/csv; charset={label}") == [{"id": "1", "first_name": name}]


async def test_headings_are_matched_leniently_and_others_by_a_map():
    text = (
        "ID,TIPO DE DOCUMENTO,Nº documento,nombres,Segundo  Nombre,Apéllidos,Fecha de nacimiento,Sexo,"
        "E-Mail,Celular,Dirección,Ocupacion,Notas,Created at,Código\n" + ",".join("abcdefghijklmno") + "\n"
    )
    (row,) = await read(text.encode(), map=["Notas=", "codigo="])
    assert row == dict(zip(("id", *FIELD_NAMES), "abcdefghijkl", strict=True))
    (row,) = await read(b"ID,Correo = privado,Nombre\n1,2,3\n", map=["correo=privado=email"])
    assert row == {"id": "1", "email": "2", "first_name": "3"}


def test_every_field_has_titles_and_no_title_has_two():
    titles_by_name = titles_of(SCHEMA)
    assert set(titles_by_name) == {"id", *FIELD_NAMES}
    keys = [title_key(title) for name, titles in titles_by_name.items() for title in (name, *titles)]
    assert len(keys) == len(set(keys)) == len(fields_by_title(SCHEMA))


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (TABLE.encode("cp1252"), "text/csv", "row 1 is no UTF-8: byte 0xCD at offset 25"),
        (TABLE.encode("cp1252"), "text/csv", "charset=windows-1252"),
        (TABLE.replace("id", "núm").encode("cp1252"), "text/csv", "the header row is no UTF-8: byte 0xFA"),
        (
            TABLE.replace("Í", "Á").encode(),
            "text/csv; charset=cp1252",
            "row 1 is no cp1252: byte 0x81 at offset 26. Say which encoding it is",
        ),
        (
            TABLE.encode("utf-16-le"),
            "text/csv",
            "looks like UTF-16 without a byte order mark: say charset=utf-16le",
        ),
        (TABLE.encode("utf-16-be"), "text/csv; charset=utf-8", "charset=utf-16be"),
        (TABLE.encode("utf-16") + b"\x00\xd8" * 2, "text/csv", "row 3 is no utf-16-le: byte"),
        (TABLE.replace("Eva", "E\0a").encode(), "text/csv", "row 2 has a zero byte, at offset 45"),
        (b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "text/csv", "is an Excel workbook"),
        (b"PK\x03\x04" + b"\0" * 26 + b"notes.txt", "text/csv", "is a zip archive"),
        (
            b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
            "text/csv",
            "is an OpenDocument spreadsheet: save it as .xlsx or CSV",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "application/vnd.ms-excel", "old Excel workbook"),
        (gzip.compress(TABLE.encode(), mtime=0), "text/csv", "is packed with gzip"),
        (b"%PDF-1.7\n", "text/csv", "is a PDF"),
        (b"<html><table><tr><td>id</td>", "application/vnd.ms-excel", "is a web page or XML"),
        (b'[{"id":1}]', "text/csv", "is JSON"),
        (b'{"id":1}\n', "text/csv", "is JSON"),
        (b"", "text/csv", "the file is empty"),
        (b"\r\n,,\r\n", "text/csv", "no header row"),
        (b'"id', "text/csv", "no header row"),
        (
            b"id,first_name\n" + b"1\n" * 3,
            "text/csv",
            "no row at its beginning can be read: row 1 has 1 cell",
        ),
        (b'{"id"\n' * 3, "application/jsonl", "no row at its beginning can be read: row 1 is no JSON"),
    ],
)
async def test_what_the_beginning_shows_is_refused_at_once_with_what_to_do(body, kind, words):
    with pytest.raises(InvalidFields) as refused:
        await source_of(body, kind).begin()
    assert words in refused.value.detail


@pytest.mark.parametrize(
    "header",
    [b"id," + b"x" * 70_000 + b"\n", b"x" * 70_000, b'id,"' + b"x\n" * 35_000, b"id," + b"y" * 70_000],
)
async def test_a_header_row_without_an_end_is_too_large(header):
    with pytest.raises(BodyTooLarge):
        await source_of(header).begin()


async def test_an_unknown_column_is_told_with_what_it_may_be():
    with pytest.raises(InvalidFields) as refused:
        await source_of(b"id,Apelido\n1,x\n").begin()
    (error,) = refused.value.errors
    assert error["field"] == "Apelido"
    assert "did you mean last_name? `map` (--map) says what it is" in error["reason"]


@pytest.mark.parametrize("label", ["", "no-such", "utf-7", "hex", "base64", "rot13", "idna", "x" * 200])
def test_what_is_no_encoding_is_refused(label):
    with pytest.raises(UnsupportedMediaType, match="windows-1252"):
        read_format(Headers({"content-type": f"text/csv; charset={label}"}))


@pytest.mark.parametrize("encoding", ["cp1252", "mac-roman", "gb18030"])
async def test_a_bad_byte_that_comes_late_ends_the_import_where_it_is(encoding):
    lines = [f"{number},Ana,Calle {number}\r\n" for number in range(6_000)]
    lines[5_000] = "5000,Íñigo,Calle\r\n"
    body = ("id,first_name,address\r\n" + "".join(lines)).encode(encoding)
    assert body.index("Í".encode(encoding)) > HEAD_BYTES
    source, rows = source_of(body), []
    await source.begin()
    with pytest.raises(Unreadable) as ended:
        async for some in source.rows():
            rows += some
    assert len(rows) == 5_000
    offset = body.index("Í".encode(encoding))
    assert f"row 5001 is no UTF-8: byte 0x{body[offset]:02X} at offset {offset}." in ended.value.reason
    right = source_of(body, f"text/csv; charset={encoding}")
    await right.begin()
    again = [row async for some in right.rows() for row in some]
    assert [row.raw for row in again[:5_000]] == [row.raw for row in rows]
    assert again[5_000].fields == {"id": "5000", "first_name": "Íñigo", "address": "Calle"}


@pytest.mark.parametrize("label", sorted({*aliases, *aliases.values()}))
def test_every_encoding_gives_the_text_or_the_place_of_a_bad_byte(label):
    try:
        encoding = encoding_named(label)
    except UnsupportedMediaType:
        return
    chance = random.Random(label)
    for body in (chance.randbytes(40), TABLE.encode(encoding, "ignore"), b"id,\xcd\xf1igo\n"):
        cut, text = chance.randint(0, len(body)), TextBytes(encoding, 0)
        try:
            passed = text.feed(body[:cut], final=False) + text.feed(body[cut:], final=True)
        except BadByte as exc:
            assert 0 <= exc.offset < len(body)
        else:
            assert passed.decode(text.encoding) == body.decode(encoding)


async def test_who_waits_for_the_answer_gets_it_and_the_rest_is_read_when_it_comes(monkeypatch):
    monkeypatch.setattr(bodies, "QUIET_SECONDS", 0.01)
    sender = Sender(iter([b"id,first_name\n1,Ana\n2,"]), waits=True)
    form = read_format(Headers({"content-type": "text/csv"}))
    source = Source(Body(sender, packed=False, budget=ImportBudget(PLENTY)), form, ImportQuery(mode="upsert"))
    assert (await source.begin()).names == ("id", "first_name")
    sender._parts, sender._waits = iter([b"Eva\n"]), False
    found = [row.fields["first_name"] async for rows in source.rows() for row in rows]
    assert found == ["Ana", "Eva"]


async def test_a_packed_file_that_is_cut_within_its_beginning_is_taken_as_far_as_it_goes():
    source, rows = source_of(gzip.compress(TABLE.encode() * 200)[:-12], coding="gzip"), []
    await source.begin()
    with pytest.raises(Unreadable, match="ends too early"):
        async for some in source.rows():
            rows += some
    assert rows


PEOPLE = [
    {"id": "1", "first_name": 'Í"{[\\', "address": "a,b]}"},
    {"id": "2", "first_name": "Eva", "address": None},
]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(PEOPLE),
        json.dumps(PEOPLE, indent=2, ensure_ascii=False),
        "\n [" + ",\n".join(map(json.dumps, PEOPLE)) + ",]\n",
        "\n".join(map(json.dumps, PEOPLE)),
        "".join(f"\x1e{json.dumps(one)}\n" for one in PEOPLE),
        "\n".join(json.dumps(one, indent=1) for one in PEOPLE),
    ],
)
@pytest.mark.parametrize(
    "kind",
    ["application/json", "text/json", "application/x-ndjson", "application/jsonl", "application/json-seq"],
)
async def test_json_is_read_as_lines_or_as_an_array(text, kind):
    assert await read(text.encode(), kind) == PEOPLE
    for seed in range(10):
        sizes = [random.Random(seed).randint(1, 9) for _ in range(400)]
        assert await read(text.encode("utf-8-sig"), kind, sizes=sizes) == PEOPLE


async def test_an_element_that_is_not_valid_costs_no_other():
    text = '[{"id":1}, 7, {"id" 2}, {"id":3,"id":4}, ["x"], "a,b", {"id":5}, {"a":"%s"}]' % ("x" * 70_000)
    assert await read(text.encode(), "application/json") == [
        {"id": 1},
        "is no JSON object",
        "is no JSON, at character 7",
        "has a name more than once",
        "is no JSON object",
        "is no JSON object",
        {"id": 5},
        "is longer than 64 KB",
    ]
    nested = "[" * 900 + '{"x":1}' + "]" * 900
    odd = f'{{"id":1,"id":{"0." + "9" * 5_000}}}\n{{"id":2,"a":{nested}}}\n{{"id":"a\\":b"}}\n'
    first, second, third = await read(odd.encode(), "application/x-ndjson")
    assert (first, second["id"], third) == ("has a name more than once", 2, {"id": 'a":b'})
    renamed = await read(
        b'{"id":1,"Notas":2,"Correo":"x"}', "application/json", map=["notas=", "CORREO=email"]
    )
    assert renamed == [{"id": 1, "email": "x"}]
    assert await read(b"[]", "application/json") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"id":1}', "ends within its array"),
        ('[{"id":1}]]', "goes on after the end of its array"),
        ('[{"id":1}}', "has a bracket that closes nothing"),
        ('{\n"id":1}{', "ends within an object"),
    ],
)
async def test_brackets_that_do_not_match_are_refused_at_once_or_end_the_import(text, words):
    with pytest.raises(InvalidFields, match=words):
        await source_of(text.encode(), "application/json").begin()
    many = text.replace('"id":1}', '"id":1}' + (',{"id":1}' if text[0] == "[" else '{"id":1}') * 9_000, 1)
    source, rows = source_of(many.encode(), "application/json"), []
    await source.begin()
    with pytest.raises(Unreadable, match=words):
        async for some in source.rows():
            rows += some
    assert rows
