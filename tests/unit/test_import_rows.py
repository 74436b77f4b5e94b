"""Rows of imports: the same ones however the bytes arrive, and one bad row costs no good one."""

import gzip
import json
import random
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_api.imports.lines import MAX_ENDLESS_BYTES, MAX_LINE_BYTES, Lines, Unpacker, Unreadable
from command_api.imports.options import IGNORED, read_header
from command_api.imports.rows import CsvRows, JsonRows, Row
from events.cells import neutralised, restored
from events.errors import InvalidFields
from events.person import REQUIRED_FIELDS

NAMES = ("first_name", "address")


def rows_of(body: bytes, *cuts: int, reader=None) -> list[Row]:
    """Return the rows of a body that arrives in pieces, cut there."""
    lines, reader = Lines(), reader or CsvRows(",", NAMES)
    found: list[Row] = []
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for begin, end in pairwise(edges):
        found += reader.feed(lines.feed(body[begin:end]), final=False)
    return found + reader.feed(lines.end(), final=True)


def said(rows: list[Row]) -> list[dict[str, str] | str]:
    return [row.reason if row.fields is None else row.fields for row in rows]


def pair(first: str, second: str) -> dict[str, str]:
    return dict(zip(NAMES, (first, second), strict=True))


def test_line_ends_quotes_empty_cells_and_a_byte_order_mark():
    body = '\ufeffAna,"Calle 10, ""Sur"""\r\n\r\nEva,\nPía,"zwei\nZeilen"\n"",x'.encode()
    assert said(rows_of(body)) == [
        pair("Ana", 'Calle 10, "Sur"'),
        pair("Eva", ""),
        pair("Pía", "zwei\nZeilen"),
        pair("", "x"),
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('"Ana,Calle', "a quote is not closed"),
        ('"Ana" x,Calle', "is no CSV"),
        ("Ana", "has 1 cells, and the header row 2"),
        ("Ana,Calle,3", "has 3 cells"),
        ("x" * (MAX_LINE_BYTES + 1), "is longer than 64 KB"),
        ("Ana,Ca\rlle", "is no CSV"),
    ],
)
def test_a_row_that_cannot_be_read_costs_no_other(bad, reason):
    body = f"Eva,1\n{bad}\nPía,2\n".encode() + b"Luz,3\n" * 20_000
    rows = rows_of(body)
    assert len(rows) == 20_003
    assert said(rows[:1] + rows[2:4]) == [pair("Eva", "1"), pair("Pía", "2"), pair("Luz", "3")]
    assert reason in rows[1].reason


@settings(max_examples=30, deadline=None)
@given(
    st.text(alphabet="a,\"\n\r;'é", max_size=120),
    st.lists(st.integers(0, 10_000), max_size=6),
    st.booleans(),
)
def test_the_rows_do_not_depend_on_how_the_bytes_arrive(text, cuts, long):
    body = text.encode() + (b'\n"' + (b"y" * 63 + b"\n") * 1040 + text.encode() if long else b"")
    assert rows_of(body, *cuts) == rows_of(body)
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
    lines, line = Lines(), b"x" * MAX_LINE_BYTES * 3
    found = [*lines.feed(line), *lines.feed(line + b"\nnext\n")]
    assert (found[0].digest, found[1]) == (sha256(line * 2).digest(), b"next")
    with pytest.raises(Unreadable, match="no end within 16 MB"):
        for _ in range(MAX_ENDLESS_BYTES // len(line) + 1):
            lines.feed(line)
    assert len(lines._rest) <= MAX_LINE_BYTES


def test_gzip_is_unpacked_in_steps_and_must_be_whole():
    bomb = gzip.compress(b"\0" * 50_000_000)
    steps = [len(part) for part in Unpacker().feed(bomb)]
    assert sum(steps) == 50_000_000
    assert max(steps) <= 128 * 1024
    text = random.Random(1).randbytes(10_000)
    packed = gzip.compress(text[:5_000]) + gzip.compress(text[5_000:])
    whole = Unpacker()
    assert b"".join(part for at in range(len(packed)) for part in whole.feed(packed[at : at + 1])) == text
    whole.end()
    cut = Unpacker()
    list(cut.feed(packed[:-20]))
    with pytest.raises(Unreadable, match="ends too early"):
        cut.end()
    with pytest.raises(InvalidFields, match="not gzip"):
        list(Unpacker().feed(b"plain"))
    damaged = Unpacker()
    with pytest.raises(Unreadable, match="damaged"):
        list(damaged.feed(packed[:3000]) or ()), list(damaged.feed(b"\xff" * 9000))


ALL = ",".join(REQUIRED_FIELDS)


def test_a_header_row_names_the_columns():
    found = read_header(f" {ALL.upper()},version".encode(), "create", None)
    assert (found.delimiter, found.names) == (",", (*REQUIRED_FIELDS, None))
    found = read_header(b'id;"phone";note', "upsert", frozenset({"id", "phone"}))
    assert (found.delimiter, found.names) == (";", ("id", "phone", None))


@pytest.mark.parametrize(
    ("header", "mode", "chosen", "field"),
    [
        (f"{ALL},nickname", "create", None, "nickname"),
        (f"{ALL},email", "create", None, "email"),
        ("first_name,id", "create", None, "last_name"),
        ("first_name", "upsert", None, "last_name"),
        (ALL, "create", {*REQUIRED_FIELDS, "address"}, "address"),
        (ALL, "create", {"email"}, "phone"),
    ],
)
def test_a_header_row_that_will_not_do(header, mode, chosen, field):
    with pytest.raises(InvalidFields) as refused:
        read_header(header.encode(), mode, chosen and frozenset(chosen))
    assert field in [error["field"] for error in refused.value.errors]


@pytest.mark.parametrize("line", [b"CC,1020304,Ana", b'"', b"\xff\xfe", b"a;b"])
def test_a_first_row_that_names_no_column_is_no_header_row(line):
    with pytest.raises(InvalidFields, match="no header row"):
        read_header(line, "create", None)


@given(st.text(alphabet="'=+-@\t\r\na", max_size=5))
def test_what_a_spreadsheet_would_compute_is_neutralised_and_restored(text):
    assert restored(neutralised(text)) == text
    assert neutralised(text)[:1] not in set("=+-@\t\r\n")
