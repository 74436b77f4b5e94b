"""Rows of imports: the same ones however the bytes arrive, and one bad row costs no good one."""

import gzip
import json
import random
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_api.imports.headings import Header, read_header
from command_api.imports.lines import (
    CR,
    MAX_ENDLESS_BYTES,
    MAX_LINE_BYTES,
    STEP,
    LineReader,
    Unpacker,
    Unreadable,
)
from command_api.imports.options import IGNORED
from command_api.imports.rows import CsvRows, JsonRows, Row
from events.cells import neutralised, restored
from events.errors import InvalidFields, UnsupportedMediaType
from tests.default_schema import SCHEMA, ImportQuery

NAMES = ("first_name", "address")


def rows_of(body: bytes, *cuts: int, reader=None, end=b"\n") -> list[Row]:
    """Return the rows of a body that arrives in pieces, cut there."""
    lines, reader = LineReader(end), reader or CsvRows(Header(NAMES))
    found: list[Row] = []
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for begin, end in pairwise(edges):
        found += reader.feed(lines.feed(body[begin:end]), final=False)
    return found + reader.feed(lines.end(), final=True)


def said(rows: list[Row]) -> list[dict[str, str] | str]:
    return [row.reason if row.fields is None else row.fields for row in rows]


def pair(first: str, second: str) -> dict[str, str]:
    return dict(zip(NAMES, (first, second), strict=True))


def test_line_ends_quotes_and_empty_cells():
    body = 'Ana,"Calle 10, ""Sur"""\r\n\r\nEva,\nPía,"zwei\nZeilen"\n"",x'.encode()
    assert said(rows_of(body)) == [
        pair("Ana", 'Calle 10, "Sur"'),
        pair("Eva", ""),
        pair("Pía", "zwei\nZeilen"),
        pair("", "x"),
    ]


@pytest.mark.parametrize("cut", range(12))
def test_lines_that_end_with_a_carriage_return_alone_or_not(cut):
    body = b'Ana,1\r\r\nEva,2\rP\xc3\xada,"zwei\r\nZeilen"\rLuz,4'
    expected = [pair("Ana", "1"), pair("Eva", "2"), pair("Pía", "zwei\nZeilen"), pair("Luz", "4")]
    assert said(rows_of(body, cut, cut + 12, cut + 24, end=CR)) == expected


def test_rows_without_content_do_not_count_and_spaces_around_cells_neither():
    body = b' Ana , "Calle 1, Sur" \n,\n , \t\n"",""\n"Eva" ,"a"\n"a"" ,b" ,"c"\n\n  \n"x" , " ,y"\n'
    assert said(rows_of(body)) == [
        pair("Ana", "Calle 1, Sur"),
        pair("Eva", "a"),
        pair('a" ,b', "c"),
        pair("x", ",y"),
    ]


def test_columns_without_a_name_must_be_empty():
    header = Header((*NAMES, None, None), frozenset({2, 3}))
    rows = rows_of(b"Ana,1,,\nEva,2\nP,3, ,,,\nL,4,x,\nM\nN,5,,,x\n", reader=CsvRows(header))
    assert said(rows) == [
        pair("Ana", "1"),
        pair("Eva", "2"),
        pair("P", "3"),
        "has a value in column 3, which has no name in the header row",
        "has 1 cell where the header row has 2",
        "has 5 cells where the header row has 2",
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('"Ana,Calle', "a quote is not closed"),
        ('"Ana" x,Calle', "a quoted cell goes on after its closing quote"),
        ("Ana", "has 1 cell where the header row has 2"),
        ("Ana,Calle,3", "has 3 cells"),
        ("x" * (MAX_LINE_BYTES + 1), "is longer than 64 KB"),
        ("Ana,Ca\rlle", "has a line break in a cell that is not quoted"),
    ],
)
def test_a_row_that_cannot_be_read_costs_no_other(bad, reason):
    body = f"Eva,1\n{bad}\nPía,2\n".encode() + b"Luz,3\n" * 20_000
    rows = rows_of(body)
    assert len(rows) == 20_003
    assert said(rows[:1] + rows[2:4]) == [pair("Eva", "1"), pair("Pía", "2"), pair("Luz", "3")]
    assert reason in rows[1].reason


@settings(max_examples=30)
@given(
    st.text(alphabet="a,\"\n\r;'é", max_size=120),
    st.lists(st.integers(0, 10_000), max_size=6),
    st.booleans(),
)
def test_the_rows_do_not_depend_on_how_the_bytes_arrive(text, cuts, long):
    body = text.encode() + (b'\n"' + (b"y" * 63 + b"\n") * 1040 + text.encode() if long else b"")
    assert rows_of(body, *cuts) == rows_of(body)
    assert rows_of(body, *cuts, end=CR) == rows_of(body, end=CR)
    json_rows = rows_of(body, *cuts, reader=JsonRows(None, IGNORED))
    assert json_rows == rows_of(body, reader=JsonRows(None, IGNORED))


def test_ndjson_rows_take_what_is_chosen_and_leave_what_the_system_sets():
    lines = [{"id": "x", "version": 3, "first_name": "Ana", "image_url": None}, ["no"], {"b": 1}]
    body = b"\n\n".join(json.dumps(line).encode() for line in lines) + b"\n{\xff}\n{"
    rows = rows_of(body, reader=JsonRows(None, IGNORED))
    assert said(rows[:3]) == [{"id": "x", "first_name": "Ana"}, "is no JSON object", {"b": 1}]
    assert [row.reason[:10] for row in rows[3:]] == ["is no JSON", "is no JSON"]
    chosen = rows_of(body, reader=JsonRows(frozenset({"first_name"}), IGNORED))
    assert said(chosen[:3]) == [{"first_name": "Ana"}, "is no JSON object", {}]


def test_a_line_without_an_end_is_held_by_its_digest_and_given_up():
    lines, line = LineReader(), b"x" * MAX_LINE_BYTES * 3
    found = [*lines.feed(line), *lines.feed(line + b"\nnext\n")]
    assert (found[0].digest, found[1]) == (sha256(line * 2).digest(), b"next")
    with pytest.raises(Unreadable, match="no end within 16 MB"):
        for _ in range(MAX_ENDLESS_BYTES // len(line) + 1):
            lines.feed(line)
    assert len(lines._held._rest) <= MAX_LINE_BYTES


def test_gzip_is_unpacked_in_steps_and_must_be_whole():
    bomb = gzip.compress(b"\0" * 10_000_000)
    steps = [len(part) for part in Unpacker().feed(bomb)]
    assert sum(steps) == 10_000_000
    assert max(steps) <= STEP
    text = random.Random(1).randbytes(10_000)
    packed = gzip.compress(text[:5_000]) + gzip.compress(text[5_000:])
    whole = Unpacker()
    assert b"".join(part for at in range(len(packed)) for part in whole.feed(packed[at : at + 1])) == text
    whole.end()
    cut = Unpacker()
    list(cut.feed(packed[:-20]))
    with pytest.raises(Unreadable, match="ends too early"):
        cut.end()
    with pytest.raises(UnsupportedMediaType, match="not gzip"):
        list(Unpacker().feed(b"plain"))
    damaged = Unpacker()
    with pytest.raises(Unreadable, match="damaged"):
        list(damaged.feed(packed[:3000]) or ()), list(damaged.feed(b"\xff" * 9000))


ALL = ",".join(SCHEMA.required)


def header_of(text: str, **query) -> Header:
    read = read_header(text, ImportQuery(**query), final=True)
    assert read is not None
    assert read[1] == len(text.splitlines(keepends=True)[0])
    return read[0]


def test_a_header_row_names_the_columns():
    found = header_of(f" {ALL.upper()},version\nrest")
    assert (found.delimiter, found.names) == (",", (*SCHEMA.required, None))
    found = header_of('id;"phone";note', mode="upsert", columns="id,phone")
    assert (found.delimiter, found.names) == (";", ("id", "phone", None))


@pytest.mark.parametrize(
    ("header", "query", "field"),
    [
        (f"{ALL},nickname", {}, "nickname"),
        (f"{ALL},email", {}, "email"),
        (f"{ALL},E-Mail", {}, "email"),
        ("first_name,id", {}, "email"),
        ("first_name", {"mode": "upsert"}, "email"),
        (ALL, {"columns": f"{ALL},address"}, "address"),
        (ALL, {"columns": "email"}, "phone"),
        (ALL, {"map": ["Correo=email"]}, "map"),
        (ALL, {"map": ["e mail="]}, "email"),
    ],
)
def test_a_header_row_that_will_not_do(header, query, field):
    with pytest.raises(InvalidFields) as refused:
        header_of(header, **query)
    assert field in [error["field"] for error in refused.value.errors]


@pytest.mark.parametrize("line", ["CC,1020304,Ana", "a;b"])
def test_a_first_row_that_names_no_column_is_no_header_row(line):
    with pytest.raises(InvalidFields, match="no header row"):
        header_of(line)


@given(st.text(alphabet="'=+-@\t\r\na", max_size=5))
def test_what_a_spreadsheet_would_compute_is_neutralised_and_restored(text):
    assert restored(neutralised(text)) == text
    assert neutralised(text)[:1] not in set("=+-@\t\r\n")
