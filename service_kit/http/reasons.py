"""Tells what is wrong, with a field or the whole: in our words, with a code, in the client's language."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar, get_args

from pydantic_core.core_schema import ErrorType

from events.person.schema.declarations import PersonSchema
from service_kit.http.access_sentences import ACCESS_DETAILS
from service_kit.http.details import DETAILS, TITLES
from service_kit.http.file_sentences import FILE_DETAILS, FILE_REASONS
from service_kit.http.sentences import REASONS, Reason

Language = Literal["en", "es"]
Meaning = TypeVar("Meaning")

_OWN_TYPES: Final = frozenset(get_args(ErrorType))
_SHOWN: Final = re.compile(r"[\w.\-\[\]]{1,60}")
"""A name that is longer, or of other characters, may be a value in the wrong place: it is not repeated."""
_FALLBACK: Final = Reason("not-valid", "", "")
NAME: Final = re.compile(r"\{(\w+)\}")
"""What stands for something in a sentence."""
_NAME: Final = re.compile(r"\\{(\w+)\\}")


def _forms(sentences: Mapping[str, Meaning]) -> list[tuple[re.Pattern[str], Meaning]]:
    """Return how to find sentences in English; the one that says most by itself comes first."""
    return [
        (re.compile(_NAME.sub(r"(?P<\1>.+?)", re.escape(english)), re.DOTALL), sentences[english])
        for english in sorted(sentences, key=lambda one: len(NAME.sub("", one)), reverse=True)
    ]


ALL_REASONS: Final = (*REASONS, *FILE_REASONS)
_REASONS: Final = _forms({reason.english: reason for reason in ALL_REASONS})
_DETAILS: Final = _forms({**TITLES, **DETAILS, **FILE_DETAILS, **ACCESS_DETAILS})
_PYDANTIC: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_unicode": "must be text",
    "string_too_long": "must not be longer than {max_length} characters",
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "must be a whole number"
    ),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be an object"),
    **dict.fromkeys(("list_type", "set_type", "frozen_set_type", "tuple_type"), "must be a list"),
    **dict.fromkeys(("uuid_type", "uuid_parsing", "uuid_version"), "must be a UUID"),
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "too_long": "must not have more than {max_length} values",
}
"""Our words for what pydantic finds wrong by itself (https://docs.pydantic.dev/latest/errors/validation_errors/)."""


def _found(
    text: str, forms: Iterable[tuple[re.Pattern[str], Meaning]]
) -> tuple[Meaning, Mapping[str, str]] | None:
    for form, meaning in forms:
        if match := form.fullmatch(text):
            return meaning, match.groupdict()
    return None


@lru_cache(maxsize=1024)
def find(text: str) -> tuple[Reason, Mapping[str, str]] | None:
    """Return the reason that a sentence in English is, with what its names stand for; None if it is none.

    Remembered, as the reasons of an import's rows recur.
    """
    return _found(text, _REASONS)


@lru_cache(maxsize=1024)
def _spanish(text: str) -> str:
    if whole := _found(text, _DETAILS):
        return whole[0].format(**{name: _spanish(part) for name, part in whole[1].items()})
    reason, parts = find(text) or (_FALLBACK, {})
    return reason.spanish.format(**parts) or text


def in_language(text: str, language: Language) -> str:
    """Return what is said of a whole request in a language; in English where it has no other form.

    Args:
        text: A title or a detail, in English.
        language: That is wanted.
    """
    return _spanish(text) if language == "es" else text


def detail_in(detail: str, language: Language, schema: PersonSchema) -> str:
    """Return what is on record of a rejection in a client's language, also what the schema says.

    Args:
        detail: In English.
        language: The client's.
        schema: What a person is.
    """
    for said in schema.taken.values():
        if said["en"] == detail:
            return said[language]
    return in_language(detail, language)


def reason_of(error: Mapping[str, Any]) -> str:
    """Return in our words why pydantic refuses a value; never the value.

    Args:
        error: As pydantic lists it, with its context.
    """
    kind, context, text = error["type"], error.get("ctx", {}), error["msg"]
    if kind not in _OWN_TYPES:
        return str(text)  # a validator of ours says it
    if kind == "value_error":
        return str(text).removeprefix("Value error, ")
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"must be one of {', '.join(choices)}"
    if kind == "string_too_short":
        least = context.get("min_length")
        return "must not be empty" if least == 1 else f"must have {least} characters or more"
    try:
        return _PYDANTIC.get(kind, "is not valid").format(**context)
    except KeyError:  # a validator of ours uses the type, with words of its own
        return str(text)


def code_of(error: Mapping[str, Any]) -> str:
    """Return the code of an error that pydantic lists: that of its sentence, else its type's."""
    known = find(reason_of(error))
    if known is not None:
        return known[0].code
    return _FALLBACK.code if error["type"] in _OWN_TYPES else str(error["type"]).replace("_", "-")


def unknown(name: str, known: Iterable[str], what: Literal["parameter", "field"]) -> str:
    """Return the reason that a name is none of those that are known.

    Args:
        name: As the client wrote it.
        known: The names that there are.
        what: What it is a name of.
    """
    if not _SHOWN.fullmatch(name):
        return "is not known"
    near = get_close_matches(name, known, 1)
    return f"unknown {what} `{name}`" + (f": did you mean `{near[0]}`?" if near else "")


def told(error: Mapping[str, str], language: Language) -> dict[str, str]:
    """Return what is wrong with a field as it is told: the field, a code, and the reason in a language.

    Args:
        error: `field` and `reason`, the latter in English; a `code`, if whoever refuses it gives one.
        language: Of the reason.
    """
    reason, parts = find(error["reason"]) or (_FALLBACK, {})
    text = reason.spanish.format(**parts) if language == "es" and reason.spanish else error["reason"]
    return {"field": error["field"], "code": error.get("code", reason.code), "reason": text}


def language_headers(language: Language) -> dict[str, str]:
    """Return the headers of an answer that would be another one in another language."""
    return {"Content-Language": language, "Vary": "Accept-Language"}


def language_of(accept_language: str | None) -> Language:
    """Return the language that a client wants most, English if none of ours (RFC 9110, section 12.5.4).

    Args:
        accept_language: The header's value.
    """
    weights: dict[Language, float] = {}
    for part in (accept_language or "").lower().split(","):
        name, _, parameter = part.partition(";")
        match = re.fullmatch(r"\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", parameter)
        weight = float(match[1]) if match else (0.0 if parameter.strip() else 1.0)
        primary = name.strip().partition("-")[0]
        if primary in ("en", "es"):
            language: Language = "es" if primary == "es" else "en"
            weights[language] = max(weight, weights.get(language, 0.0))
    # Of two that are wanted equally, the first one: browsers write them in the user's order.
    wanted: Language = max(weights, key=lambda one: weights[one], default="en")
    return wanted if weights.get(wanted) else "en"
