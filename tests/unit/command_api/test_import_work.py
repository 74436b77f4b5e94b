"""Whatever stands in a file, reading it costs time in proportion, and others get their turn meanwhile."""

import asyncio
import csv
import gzip
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_api.imports import rows as reading
from command_api.imports.budget import ImportBudget, ImportLimits, OverBudget
from command_api.imports.headings import Header
from command_api.imports.lines import STEP, LineReader, Unpacker, Unreadable
from command_api.imports.rows import CsvRows
from command_api.imports.workbook.parts import DATE, shown_as
from events.errors import InvalidFields
from service_kit.http.problems import MAX_ERRORS, field_errors
from tests.unit.command_api.test_import_files import source_of
from tests.unit.command_api.test_import_workbooks import HEADER, workbook_source
from tests.unit.command_api.test_import_workbooks import read as read_workbook
from tests.workbooks import MAIN, workbook

HOSTILE = ('"a"b', 'a","c', '"', '""', 'x,"', '"x""', '"" ,"', "", "a,b", ',"\r', '"a" , "b')


@pytest.fixture
def looked_at(monkeypatch):
    """How many characters the parser of CSV was given."""
    counted = [0]

    def reader(lines, *dialect, **more):
        lines = list(lines)
        counted[0] += sum(map(len, lines))
        return csv.reader(lines, *dialect, **more)

    monkeypatch.setattr(reading, "csv", SimpleNamespace(reader=reader, Error=csv.Error))
    return counted


def parse(body: bytes) -> int:
    lines, rows = LineReader(), CsvRows(Header(("first_name", "address"), delimiter=","))
    count = 0
    for at in range(0, len(body), STEP):
        count += len(rows.feed(lines.feed(body[at : at + STEP]), final=False))
    return count + len(rows.feed(lines.end(), final=True))


@pytest.mark.parametrize("line", HOSTILE)
def test_each_character_of_csv_is_looked_at_a_few_times(line, looked_at):
    body = f"{line}\n".encode() * (400_000 // (len(line) + 1))
    parse(body)
    assert looked_at[0] <= 5 * len(body)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=6))
def test_nor_does_it_matter_what_lines_follow_each_other(lines):
    looked_at = [0]

    def reader(lines, *dialect, **more):
        lines = list(lines)
        looked_at[0] += sum(map(len, lines))
        return csv.reader(lines, *dialect, **more)

    body = "".join(f"{line}\n" for line in lines).encode() * 4_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "csv", SimpleNamespace(reader=reader, Error=csv.Error))
        parse(body)
    assert looked_at[0] <= 5 * len(body)


async def turns_while(source) -> int:
    """Read a file; return how often something else had its turn meanwhile."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    try:
        await source.begin()
        async for _ in source.rows():
            pass
    except Unreadable:
        pass
    finally:
        task.cancel()
        source.close()
    return turns


TABLE = b"id,first_name,address\n" + b"1,Ana,\n" * 5


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (TABLE + b"\n" * 1_000_000, "text/csv"),
        (TABLE + b'"a"b\n' * 200_000, "text/csv"),
        (TABLE + b'a","c\n' * 150_000, "text/csv"),
        (TABLE + b"1,a,\n" * 200_000, "text/csv"),
        (b'{"id":"1"}\n{}\n' * 80_000, "application/x-ndjson"),
        (b'[{"id":"1"},' + b"[" * 1_000_000, "application/json"),
        (b'[{"id":"1"},' + b"1" * 1_000_000 + b"]", "application/json"),
        (b'[{"id":"1"},"' + b'\\"' * 500_000 + b'"]', "application/json"),
    ],
    ids=["newlines", "stray quotes", "open quotes", "rows", "lines", "nested", "number", "string"],
)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_others_get_their_turn_however_the_bytes_arrive(body, kind, coding, monkeypatch):
    monkeypatch.setattr("command_api.imports.lines._FREE_BYTES", 2**30)
    sent = gzip.compress(body) if coding == "gzip" else body
    sizes = [len(sent)]  # all of it at once
    turns = await turns_while(source_of(sent, kind, coding, sizes))
    assert turns >= len(body) // STEP


async def test_others_get_their_turn_while_a_workbook_repeats_a_long_text():
    long = ("s", 0, f"<v>{len(HEADER)}</v>")
    texts = "".join(f"<si><t>{text}</t></si>" for text in (*HEADER, "x" * 60_000))
    body = workbook(
        {"S": [HEADER, *[[long] for _ in range(300)]]},
        parts={"xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{texts}</sst>'},
    )
    assert await turns_while(workbook_source(body)) >= 150


def test_gzip_that_becomes_far_larger_is_refused_soon():
    packed, size = gzip.compress(b"\n" * 50_000_000), 0
    with pytest.raises(Unreadable, match="over 100 times as large"):
        for part in Unpacker().feed(packed):
            size += len(part)
    assert size <= 11 * 1024 * 1024
    # What people's rows become does no harm, nor does a small file of one letter.
    for good in (gzip.compress(b"\n" * 10_000_000), gzip.compress(bytes(range(256)) * 50_000, 1)):
        assert sum(map(len, Unpacker().feed(good[:64]))) >= 0


def test_a_budget_of_seconds_counts_the_own_work_alone():
    now = 0.0
    budget = ImportBudget(ImportLimits(10, 10, 2.0), lambda: now)
    for _ in range(2):
        with budget:
            now += 1.0
        now += 100.0
    with pytest.raises(OverBudget, match="over 2 s of the processor"), budget:
        now += 0.1
    with pytest.raises(ZeroDivisionError), budget:
        raise ZeroDivisionError
    budget.take_bytes(10)
    budget.take_rows(10)
    with pytest.raises(OverBudget, match="10 bytes"):
        budget.take_bytes(1)
    with pytest.raises(OverBudget, match="10 rows"):
        budget.take_rows(1)


async def test_tags_within_tags_and_long_format_codes_are_not_followed():
    deep = f"<worksheet>{'<a>' * 200}{'</a>' * 200}</worksheet>"
    with pytest.raises(InvalidFields, match="tags within tags"):
        await read_workbook(workbook({"S": deep}))
    assert (shown_as("y" * 255), shown_as("y" * 256)) == (DATE, 0)


async def test_styles_that_never_end_are_given_up(monkeypatch):
    monkeypatch.setattr("command_api.imports.workbook.source._MAX_SMALL_BYTES", 1_000)
    styles = f"<x>{'<a/>' * 900}</x>"
    with pytest.raises(InvalidFields, match="styles or the like"):
        await read_workbook(workbook({"S": [HEADER]}, parts={"xl/styles.xml": styles}))


def test_of_thousands_of_errors_some_are_told_and_the_rest_is_counted():
    wrong = [{"loc": (f"n{at}",), "type": "extra_forbidden", "msg": ""} for at in range(9_000)]
    told = field_errors(wrong, ["first_name"])
    assert len(told) == MAX_ERRORS + 1
    assert told[-1] == {"field": "body", "code": "more-errors", "reason": "has 8900 more errors"}
    assert len(field_errors(wrong[:MAX_ERRORS])) == MAX_ERRORS
