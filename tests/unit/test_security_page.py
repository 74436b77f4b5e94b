"""The page of security requirements has each of them once, and names tests that there are."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "security.md").read_text(encoding="utf-8")
ROWS = [row.split(" | ") for row in re.findall(r"^\| (.+) \|$", PAGE, re.MULTILINE)]
REQUIREMENTS = [row for row in ROWS if row[0] != "Number"]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ASVS = {
    1: (2, 9, 11, 3, 2),
    2: (3, 3, 4, 1),
    3: (0, 2, 4, 6, 5, 0, 2),
    4: (3, 1, 2, 4),
    5: (1, 3, 2, 3),
    6: (3, 12, 4, 4, 5, 3, 0, 4),
    7: (3, 4, 2, 5, 2, 2),
    8: (2, 3, 1, 1),
    9: (3, 4),
    10: (2, 2, 4, 11, 5, 2, 3),
    11: (2, 3, 3, 4, 1, 1),
    12: (3, 2, 4),
    13: (1, 5, 2, 5),
    14: (2, 4, 3),
    15: (3, 3, 7),
    16: (1, 5, 4, 3, 3),
    17: (1, 4, 2),
}
"""By chapter, the last requirement of each of its sections that is of level 1 or 2 in version 5.0, or 0: those of
level 3 come last."""


def numbers(cell: str) -> Iterator[str]:
    """Yield the numbers that a cell names: one, several, or those from one to another of a section."""
    for part in cell.split(", "):
        first, _, last = part.partition("–")
        section, _, number = first.rpartition(".")
        assert not last or last.rpartition(".")[0] == section, part
        for each in range(int(number), int((last or first).rpartition(".")[2]) + 1):
            yield f"{section}.{each}"


@cache
def functions(file: str) -> set[str]:
    """Return the names of the tests in a file."""
    nodes = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_requirement_of_levels_1_and_2_is_there_once():
    expected = [
        f"{chapter}.{section}.{number}"
        for chapter, sections in ASVS.items()
        for section, last in enumerate(sections, 1)
        for number in range(1, last + 1)
    ]
    assert len(expected) == 253
    listed = [number for row in REQUIREMENTS if row[0][0].isdigit() for number in numbers(row[0])]
    assert Counter(listed) == Counter(expected)
    assert listed == expected, "in order"


def test_each_of_the_top_ten_is_there_once():
    assert [row[0] for row in REQUIREMENTS if not row[0][0].isdigit()] == [f"API{n}" for n in range(1, 11)]


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: row[0])
def test_a_requirement_is_held_by_tests_or_says_why_not(row):
    number, asked, held = row
    assert 0 < len(asked.split()) <= 12, number
    reason = re.search(r"(^|\. )(Does not apply|Not met): \w", held)
    assert TEST.search(held) or reason, number
    for file, name in TEST.findall(held):
        assert (ROOT / file).is_file(), f"{number}: {file}"
        assert name.startswith("test_") and name in functions(file), f"{number}: {file}::{name}"
    assert held.count("tests/") == len(TEST.findall(held)), number


def test_nothing_is_left_open():
    assert [row[0] for row in REQUIREMENTS if "TBD" in row[2]] == []


def test_a_range_names_all_that_is_in_it():
    assert list(numbers("3.3.1–3.3.3, 3.4.1")) == ["3.3.1", "3.3.2", "3.3.3", "3.4.1"]
