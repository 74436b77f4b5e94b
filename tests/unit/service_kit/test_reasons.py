"""What is wrong is told in our words, not in a validator's, and in the language that a client wants."""

from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from command_api.imports.headings import read_header
from events.errors import InvalidFields
from service_kit.http.problems import field_errors, names_of, problem_of
from service_kit.http.reasons import language_of, told
from tests.default_schema import ImportQuery


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
