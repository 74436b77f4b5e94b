"""Owns what clients may send about a person, and brings it to the stored form; knows no HTTP.

Bodies of the people-CRUD systems that this replaces pass as they are: Spanish and English words for
documents and genders, day-first dates, national phone numbers, empty optional fields.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Final

import phonenumbers
from annotated_types import GroupedMetadata
from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
)

from events import vocabulary

_MARKS: Final = frozenset(" '’ʼ-‐.·\u200c\u200d")
"""Beside letters and their marks: apostrophes, hyphens, dots, the joiners of Persian and Indic."""


def _name(text: str) -> str:
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if not text.replace(" ", "").isalpha():
        for char in text:
            if not (char.isalpha() or char in _MARKS or unicodedata.category(char)[0] == "M"):
                raise ValueError(f"may hold letters, spaces, apostrophes, hyphens, not {char!r}")
        if not any(map(str.isalpha, text)):
            raise ValueError("must hold a letter")
    return text


def _text(text: str) -> str:
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    if not text:
        raise ValueError("must not be empty")
    return text


_PLAIN: Final = re.compile(r"([a-z0-9]+(?:[._+\-][a-z0-9]+)*)@([a-z0-9.\-]+)")


@lru_cache(maxsize=4096)
def _is_domain(domain: str) -> bool:
    """Return whether a domain, as it is written, is a good one in its normal form."""
    try:
        return validate_email(f"a@{domain}", check_deliverability=False).normalized == f"a@{domain}"
    except EmailNotValidError:
        return False


def _email(text: str) -> str:
    # Most are plain, of few domains: those need only be looked at, which takes a tenth of the time.
    plain = _PLAIN.fullmatch(text)
    if plain and len(plain[1]) <= 64 and len(text) <= 254 and _is_domain(plain[2]):
        return text
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as exc:
        raise ValueError(str(exc)) from exc


_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")


@lru_cache
def _trunk(country_code: str) -> re.Pattern[str] | None:
    """Return how a country's numbers begin that need parsing; None if it is no code of one country alone."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(country_code), ())
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(regions[0]) if len(regions) == 1 else None
    return None if metadata is None else re.compile(metadata.national_prefix_for_parsing or "(?!)")


def _is_whole(text: str) -> bool:
    """Return whether a number is in use and E.164 already, for most of those that are.

    The library's parser looks for what people write around a number: that takes most of the time, and here
    is nothing. Country codes are free of prefixes, so the first that is known is the one.
    """
    if not _E164.fullmatch(text):
        return False
    for end in (2, 3, 4):
        trunk = _trunk(text[1:end])
        if trunk is not None:
            number = phonenumbers.PhoneNumber(int(text[1:end]), int(text[end:]))
            return text[end] != "0" and not trunk.match(text[end:]) and phonenumbers.is_valid_number(number)
    return False


def _phone(text: str, info: ValidationInfo) -> str:
    if _is_whole(text):
        return text
    region = (info.context or {}).get("phone_region")
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as exc:
        raise ValueError(f"is no phone number: {exc}") from exc
    if not phonenumbers.is_valid_number(number):
        raise ValueError("is no number in use: check the digits, or begin with + and the country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _birth_date(text: str, info: ValidationInfo) -> str:
    return vocabulary.birth_date(text.strip(), (info.context or {}).get("today", date.max))


def _blank_is_absent(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


@dataclass(frozen=True, eq=False)
class _Text(GroupedMetadata):
    """Makes a string type: our check, the longest input, and what OpenAPI says of it."""

    check: Callable[..., str]
    longest: int
    shape: Mapping[str, Any]

    def __iter__(self) -> Iterator[Any]:
        yield Field(min_length=1, max_length=self.longest)
        yield AfterValidator(self.check)
        yield WithJsonSchema({"type": "string", "minLength": 1, "maxLength": self.longest, **self.shape})


def _words(table: Any) -> str:
    return "; ".join(f"`{code}`: {', '.join(words)}" for code, words in table.items())


_DocumentType = Annotated[
    str,
    _Text(
        vocabulary.document_type,
        60,
        {"description": _words(vocabulary.DOCUMENT_WORDS), "examples": ["Cédula"]},
    ),
]
_Gender = Annotated[
    str,
    _Text(vocabulary.gender, 60, {"description": _words(vocabulary.GENDER_WORDS), "examples": ["Femenino"]}),
]
_DocumentId = Annotated[
    str,
    _Text(
        vocabulary.document_id,
        40,
        {"description": "Letters, digits, dashes; dots and spaces do not count", "examples": ["1.020.304"]},
    ),
]
_Name = Annotated[
    str,
    _Text(_name, 100, {"description": "Letters of any script, spaces, ' - .", "examples": ["Ana María"]}),
]
_BirthDate = Annotated[
    str,
    _Text(
        _birth_date,
        10,
        {"description": "`YYYY-MM-DD` or `DD-MM-YYYY`", "examples": ["1990-12-10", "10-12-1990"]},
    ),
]
_Email = Annotated[str, _Text(_email, 254, {"format": "email", "examples": ["ana@example.com"]})]
_Phone = Annotated[
    str,
    _Text(
        _phone,
        40,
        {
            "description": "E.164, or national in the configured region",
            "examples": ["+573001234567", "3001234567"],
        },
    ),
]
_Address = Annotated[str, _Text(_text, 200, {"examples": ["Calle 10 # 5-51, Cali"]})]
_Occupation = Annotated[str, _Text(_text, 100, {"examples": ["Engineer"]})]
_OPTIONAL = BeforeValidator(_blank_is_absent)

PERSON_EXAMPLE: Final[dict[str, JsonValue]] = {
    "document_type": "Cédula",
    "document_id": "1.020.304",
    "first_name": "Ana",
    "middle_name": "María",
    "last_name": "Gómez Ríos",
    "birth_date": "10-12-1990",
    "gender": "Femenino",
    "email": "ana@example.com",
    "phone": "3001234567",
    "address": "Calle 10 # 5-51, Cali",
    "occupation": "Engineer",
}


class PersonInput(BaseModel):
    """A new person, as clients write it."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [PERSON_EXAMPLE]})

    document_type: _DocumentType
    document_id: _DocumentId
    first_name: _Name
    middle_name: Annotated[_Name | None, _OPTIONAL] = None
    last_name: _Name
    birth_date: _BirthDate
    gender: _Gender
    email: _Email
    phone: _Phone
    address: Annotated[_Address | None, _OPTIONAL] = None
    occupation: Annotated[_Occupation | None, _OPTIONAL] = None


def _not_removable(value: object) -> object:
    if value is None:
        raise ValueError("cannot be removed")
    return value


_REQUIRED = BeforeValidator(_not_removable)


class PersonPatch(BaseModel):
    """A JSON merge patch (RFC 7396) of a person: what is absent stays, an optional null goes."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"phone": "+573109876543", "occupation": None}],
            "minProperties": 1,
        },
    )

    document_type: Annotated[_DocumentType, _REQUIRED] = ""
    document_id: Annotated[_DocumentId, _REQUIRED] = ""
    first_name: Annotated[_Name, _REQUIRED] = ""
    middle_name: Annotated[_Name | None, _OPTIONAL] = None
    last_name: Annotated[_Name, _REQUIRED] = ""
    birth_date: Annotated[_BirthDate, _REQUIRED] = ""
    gender: Annotated[_Gender, _REQUIRED] = ""
    email: Annotated[_Email, _REQUIRED] = ""
    phone: Annotated[_Phone, _REQUIRED] = ""
    address: Annotated[_Address | None, _OPTIONAL] = None
    occupation: Annotated[_Occupation | None, _OPTIONAL] = None


class ReversionInput(BaseModel):
    """Which version a person shall go back to."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"to_version": 1}]}
    )

    to_version: Annotated[int, Field(ge=1, le=2**31 - 1, description="As the history numbers it")]
