"""Whatever is said of a field has a code, and whatever is said to a client has a form in Spanish."""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import pytest

from events.errors import MalformedMessage
from service_kit.http.access_sentences import ACCESS_DETAILS
from service_kit.http.details import DETAILS, TITLES
from service_kit.http.file_sentences import FILE_DETAILS
from service_kit.http.problems import STATUS
from service_kit.http.reasons import ALL_REASONS, NAME, find, in_language, told
from tests.unit.test_house import KINDS, ROOT

WHOLE = [*DETAILS.items(), *FILE_DETAILS.items(), *ACCESS_DETAILS.items()]


def placed(template: str) -> dict[str, str]:
    return {name: f"<{name}>" for name in NAME.findall(template)}


@pytest.mark.parametrize("reason", ALL_REASONS, ids=lambda reason: reason.english[:40])
def test_a_reason_is_found_by_what_stands_in_it_and_told_in_both_languages(reason):
    parts = placed(reason.english)
    assert set(placed(reason.spanish)) <= set(parts)
    sentence = reason.english.format(**parts)
    assert find(sentence) == (reason, parts)
    assert told({"field": "x", "reason": sentence}, "en") == {
        "field": "x",
        "code": reason.code,
        "reason": sentence,
    }
    assert told({"field": "x", "reason": sentence}, "es")["reason"] == reason.spanish.format(**parts)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", reason.code)


@pytest.mark.parametrize(("english", "spanish"), WHOLE, ids=lambda text: text[:40])
def test_what_is_said_of_the_whole_is_told_in_both_languages(english, spanish):
    parts = placed(english)
    assert set(placed(spanish)) <= set(parts)
    sentence = english.format(**parts)
    assert in_language(sentence, "en") == sentence
    assert in_language(sentence, "es") == spanish.format(**parts)


def test_each_title_is_told_in_both_languages():
    assert {title for _, title in STATUS.values()} < TITLES.keys()
    assert in_language("No such person", "es") == "No hay tal persona"


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("the file is a picture", "el archivo es una imagen"),
        (
            "no row at its beginning can be read: row 1 is no JSON, at character 7",
            "no se puede leer ninguna fila de su comienzo: la fila 1 no es JSON, en el carácter 7",
        ),
        (
            "the file cannot be read: it ends within its array: it was cut off",
            "no se puede leer el archivo: termina dentro de su lista: se cortó",
        ),
        (
            "the file cannot be read: row 3 has a zero byte, at offset 7, which is no text",
            "no se puede leer el archivo: la fila 3 tiene un byte cero, en la posición 7, que no es texto",
        ),
        (
            "the person is at version 2, not one that is named by a strong ETag",
            "la persona está en la versión 2, no en una que nombre un ETag fuerte",
        ),
        ("of this nobody has a translation", "of this nobody has a translation"),
    ],
)
def test_a_part_of_a_sentence_is_told_in_spanish_too(english, spanish):
    assert in_language(english, "es") == spanish


def said(node: ast.AST | None, known: Mapping[str, str]) -> str | None:
    """Return a sentence as it may come out of an expression; None if that is no text."""
    match node:
        case ast.Constant(value=str(text)):
            return NAME.sub("x", text)
        case ast.Name(id=name):
            return known.get(name)
        case ast.FormattedValue(value=value):
            return said(value, known) or "x"
        case ast.JoinedStr(values=values):
            return "".join(said(part, known) or "" for part in values)
    return None


def constants(tree: ast.Module) -> dict[str, str]:
    """Return the texts that a module has names for."""
    texts: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            texts[node.target.id] = said(node.value, texts) or "x"
    return texts


def arguments(tree: ast.Module, places: Mapping[str, int]) -> Iterator[str]:
    """Yield the texts that calls are given.

    Args:
        tree: A module.
        places: By the name of what is called, which argument it is.
    """
    known = constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = places.get(node.func.id, len(node.args))
            if place < len(node.args) and (text := said(node.args[place], known)) is not None:
                yield text


def reasons(tree: ast.Module) -> Iterator[str]:
    """Yield what a module says of a field: as a validator's error, or as the reason itself."""
    yield from arguments(tree, {"ValueError": 0, "PydanticCustomError": 1})
    known = constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "reason" and (text := said(value, known)):
                    yield text


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def modules(*folders: str) -> list[Path]:
    return sorted(chain.from_iterable((ROOT / folder).rglob("*.py") for folder in folders))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


OF_FIELDS = [
    *modules("query_api", "command_api"),
    *(ROOT / "service_kit" / "http" / f"{name}.py" for name in ("bodies", "conditions", "typed", "web")),
    *(
        ROOT / "events" / f"{name}.py"
        for name in ("times", "accounts/event", "feed/position", "person/vocabulary", "person/decimals")
    ),
    *modules("service_kit/person_values"),
]


@pytest.mark.parametrize("module", OF_FIELDS, ids=name_of)
def test_whatever_is_said_of_a_field_has_a_code_and_a_translation(module):
    for sentence in reasons(parsed(module)):
        assert find(sentence) is not None, f"service_kit/http/sentences.py has no line for: {sentence}"


IMPORTS = ROOT / "command_api" / "imports"


def test_whatever_is_said_of_a_row_has_a_code_and_a_translation():
    texts = [
        *("is longer than 64 KB", "a quote is not closed", "is no CSV"),
        *("has 1 cell where the header row has 3", "has 2 cells where the header row has 3"),
        *arguments(parsed(IMPORTS / "rows.py"), {"_bad": 1, "Row": 2}),
        *arguments(parsed(IMPORTS / "workbook" / "source.py"), {"Row": 2}),
        *arguments(parsed(IMPORTS / "drafting.py"), {"_refused": 2}),
        *(f"column B {text}" for text in arguments(parsed(IMPORTS / "workbook/cells.py"), {"CellFault": 0})),
    ]
    assert len(texts) > 15
    for text in set(texts) - {"column x x"}:  # the faults of cells, which are all here
        found = find(text)
        assert found is not None, f"service_kit/http/file_sentences.py has no line for: {text}"


ERRORS = dict.fromkeys((kind.__name__ for kind in KINDS if kind is not MalformedMessage), 0)
"""What is malformed came from us: it is told to operators."""
ENDINGS = {"Cut": 0, "Unreadable": 0, "OverBudget": 0, "Ending": 2}
TO_CLIENTS = modules(
    *("command_api", "query_api", "events", "workers/deciding", "workers/parking"),
    *(f"service_kit/{name}" for name in ("http", "auth", "images", "mongo", "broker")),
)


@pytest.mark.parametrize("module", TO_CLIENTS, ids=name_of)
def test_whatever_is_said_of_the_whole_is_told_in_spanish(module):
    places = ERRORS | {"ImagesUnavailable": 0} | (ENDINGS if module.is_relative_to(IMPORTS) else {})
    for sentence in arguments(parsed(module), places):
        told_in_spanish = in_language(sentence, "es")
        assert told_in_spanish != sentence, f"service_kit/http/details.py has no line for: {sentence}"
