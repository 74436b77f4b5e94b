"""Each reason why a field is refused has a code, is told in two languages, and is ours, not a validator's."""

import ast
import re
from collections.abc import Iterator
from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from command_api.imports.headings import read_header
from command_api.imports.options import ImportQuery
from events.errors import InvalidFields
from service_kit.http.problems import field_errors, names_of, problem_of
from service_kit.http.reasons import NAME, find, language_of, told
from service_kit.http.sentences import REASONS
from tests.unit.test_house import ROOT


def placed(template: str) -> dict[str, str]:
    return {name: f"<{name}>" for name in NAME.findall(template)}


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.english[:40])
def test_a_sentence_is_found_by_what_stands_in_it_and_told_in_both_languages(reason):
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


def said(node: ast.AST) -> str | None:
    """Return a sentence as it may come out of an expression; None if that is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return NAME.sub("x", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
    return None


def sentences(tree: ast.AST) -> Iterator[str]:
    """Yield what a module says of a field: as a validator's error, or as the reason itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = {"ValueError": 0, "PydanticCustomError": 1}.get(node.func.id)
            if place is not None and len(node.args) > place and (text := said(node.args[place])) is not None:
                yield text
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "reason" and (text := said(value)):
                    yield text


# Imports tell of rows and columns, in a list of their own.
MODULES = [
    *(path for path in (ROOT / "query_api").rglob("*.py") if path.parent.name != "imports"),
    *(path for path in (ROOT / "command_api").rglob("*.py") if path.parent.name != "imports"),
    *(ROOT / "service_kit" / "http" / f"{name}.py" for name in ("bodies", "conditions", "typed", "web")),
    *(
        ROOT / "events" / f"{name}.py"
        for name in ("times", "accounts/event", "feed/position", "person/vocabulary")
    ),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_whatever_is_said_of_a_field_has_a_code_and_a_translation(module):
    for sentence in sentences(ast.parse(module.read_text(encoding="utf-8"))):
        assert find(sentence) is not None, f"service_kit/http/sentences.py has no line for: {sentence}"


def _refused(text: str) -> str:
    if text == "custom":
        raise PydanticCustomError("no_such_thing", "is no such thing as {other}", {"other": "this"})
    if text == "value":
        raise ValueError("must hold a letter")
    if text == "other":
        raise ValueError("is a word of mine")
    return text


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    needed: str
    text: Annotated[str, Field(min_length=1, max_length=3)] = "x"
    checked: Annotated[str, AfterValidator(_refused)] = "x"
    number: Annotated[int, Field(ge=1, le=9)] = 1
    choice: Literal["red", "blue"] = "red"
    flag: bool = True
    uuid: UUID | None = None
    names: list[str] = []
    shape: Annotated[str, Field(pattern="^a$")] = "a"
    from_: str = Field(default="", alias="from")


@pytest.mark.parametrize(
    ("name", "value", "code", "reason"),
    [
        ("needed", None, "missing", "is missing"),
        ("text", "", "empty", "must not be empty"),
        ("text", "long", "too-long", "must not be longer than 3 characters"),
        ("text", 7, "no-text", "must be text"),
        ("checked", "value", "no-letter", "must hold a letter"),
        ("checked", "other", "not-valid", "is a word of mine"),
        ("checked", "custom", "no-such-thing", "is no such thing as this"),
        ("number", "x", "no-integer", "must be a whole number"),
        ("number", 1.5, "no-integer", "must be a whole number"),
        ("number", 0, "too-small", "must be 1 or more"),
        ("number", 10, "too-large", "must be 9 or less"),
        ("choice", "green", "no-choice", "must be one of red, blue"),
        ("flag", "perhaps", "no-boolean", "must be true or false"),
        ("uuid", "x", "no-uuid", "must be a UUID"),
        ("names", "x", "no-list", "must be a list"),
        ("shape", "b", "not-valid", "is not valid"),
        ("chioce", 1, "unknown-field", "unknown field `chioce`: did you mean `choice`?"),
        ("form", 1, "unknown-field", "unknown field `form`: did you mean `from`?"),
        ("zzz", 1, "unknown-field", "unknown field `zzz`"),
        ("ada@example.org", 1, "unknown-name", "is not known"),
    ],
)
def test_what_a_validator_finds_is_said_in_our_words(name, value, code, reason):
    content = {"needed": "x", name: value}
    if value is None:
        del content[name]
    with pytest.raises(ValidationError) as failure:
        Form.model_validate(content)
    (error,) = field_errors(failure.value, names_of(Form))
    assert error == {"field": name, "code": code, "reason": reason}


def test_a_body_that_is_no_object_is_told_so():
    with pytest.raises(ValidationError) as failure:
        Form.model_validate_json("[1]")
    assert field_errors(failure.value) == [
        {"field": "body", "code": "no-object", "reason": "must be an object"}
    ]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("es", "es"),
        ("es-CO,es;q=0.9,en;q=0.8", "es"),
        ("EN-us, es;q=0.9", "en"),
        ("es, en", "es"),
        ("en, es", "en"),
        ("fr, es;q=0.1", "es"),
        ("fr, *", "en"),
        ("es;q=0", "en"),
        ("es;q=0, en;q=0", "en"),
        ("es;q=x", "en"),
        ("est, esperanto", "en"),
        ("en;q=0.5, es; q=0.7", "es"),
    ],
)
def test_the_language_that_is_wanted_most_is_spoken(header, language):
    assert language_of(header) == language


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("id,Nombre", "missing-column"),
        ("id,Notas", "unknown-column"),
        ("id,Nombr", "unknown-column"),
        ("id,id", "repeated-column"),
    ],
)
def test_what_is_wrong_with_columns_has_a_code_and_is_told_in_both_languages(header, code):
    with pytest.raises(InvalidFields) as refused:
        read_header(header, ImportQuery(), final=True)
    for language in ("en", "es"):
        errors = [told(error, language) for error in refused.value.errors]
        assert code in {error["code"] for error in errors}
        assert "not-valid" not in {error["code"] for error in errors}


def test_a_problem_tells_its_language_and_that_it_depends_on_the_request():
    error = InvalidFields("the body is not valid", [{"field": "gender", "reason": "is missing"}])
    spanish = problem_of(error, "es")
    assert (spanish.headers["content-language"], spanish.headers["vary"]) == ("es", "Accept-Language")
    assert '"errors":[{"field":"gender","code":"missing","reason":"falta"}]' in bytes(spanish.body).decode()
    assert '"detail":"el cuerpo no es válido"' in bytes(spanish.body).decode()
    assert '"code":"missing","reason":"is missing"' in bytes(problem_of(error).body).decode()
