"""Owns the words that people systems use for documents, genders and dates, and their one stored form.

The tables are part of the HTTP contract: the README and both OpenAPI documents show them.
"""

import re
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, get_args

from events.text import fold

DocumentType = Literal[
    "citizen_id", "identity_card", "foreigner_id", "passport", "birth_certificate", "tax_id"
]
Gender = Literal["male", "female", "non_binary", "undisclosed"]

DOCUMENT_TYPES: Final[tuple[str, ...]] = get_args(DocumentType)
GENDERS: Final[tuple[str, ...]] = get_args(Gender)

DOCUMENT_WORDS: Final = MappingProxyType(
    {
        "citizen_id": ("Cédula", "Cédula de ciudadanía", "CC", "Citizen ID", "DNI", "National ID"),
        "identity_card": ("Tarjeta de identidad", "TI", "Identity card"),
        "foreigner_id": ("Cédula de extranjería", "CE", "Foreigner ID"),
        "passport": ("Pasaporte", "Passport", "PA", "PP"),
        "birth_certificate": ("Registro civil", "RC", "Birth certificate"),
        "tax_id": ("NIT", "Tax ID"),
    }
)
GENDER_WORDS: Final = MappingProxyType(
    {
        "male": ("Masculino", "Hombre", "M", "Male", "Man"),
        "female": ("Femenino", "Mujer", "F", "Female", "Woman"),
        "non_binary": ("No binario", "No binaria", "NB", "Non-binary", "Nonbinary"),
        "undisclosed": (
            "Prefiero no decir",
            "Prefiero no decirlo",
            "Prefiero no reportar",
            "Prefer not to say",
            "Undisclosed",
        ),
    }
)


def _key(word: str) -> str:
    return re.sub(r"[\s_.\-]+", "", fold(word))


def _lookup(words: MappingProxyType[str, tuple[str, ...]]) -> dict[str, str]:
    return {_key(word): code for code, known in words.items() for word in (code, *known)}


_DOCUMENTS = _lookup(DOCUMENT_WORDS)
_GENDERS = _lookup(GENDER_WORDS)
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_DAY_FIRST = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})")
_DOCUMENT_ID = re.compile(r"[A-Z0-9][A-Z0-9\-]{1,30}[A-Z0-9]")


@lru_cache(maxsize=256)
def document_type(word: str) -> str:
    """Return the stored code of a document type.

    Args:
        word: A code or any word of `DOCUMENT_WORDS`; case, accents, spaces and dashes do not count.

    Raises:
        ValueError: The word is not in the vocabulary.
    """
    code = _DOCUMENTS.get(word) or _DOCUMENTS.get(_key(word))
    if code is None:
        raise ValueError(f"is none of {', '.join(DOCUMENT_TYPES)} or their known names")
    return code


@lru_cache(maxsize=256)
def gender(word: str) -> str:
    """Return the stored code of a gender; arguments and errors as for `document_type`."""
    code = _GENDERS.get(word) or _GENDERS.get(_key(word))
    if code is None:
        raise ValueError(f"is none of {', '.join(GENDERS)} or their known names")
    return code


def document_id(text: str) -> str:
    """Return a document's number as it is compared: upper case, without spaces and dots.

    Args:
        text: As a person writes it, `1.234.567-8` say.

    Raises:
        ValueError: What remains is not 3 to 32 of the letters A-Z, digits and inner dashes.
    """
    bare = text.upper().replace(".", "").replace(" ", "")
    if not _DOCUMENT_ID.fullmatch(bare):
        raise ValueError("must be 3 to 32 letters (A-Z), digits or inner dashes")
    return bare


def birth_date(text: str, today: date) -> str:
    """Return a birth date as `YYYY-MM-DD`.

    Args:
        text: `1990-12-10` (ISO 8601), or day first as the replaced systems write it: `10-12-1990`,
            `10/12/1990`.
        today: The latest birth date that is believed.

    Raises:
        ValueError: Not a date of the calendar, before 1850 or after `today`.
    """
    if match := _ISO_DATE.fullmatch(text):
        year, month, day = map(int, match.groups())
    elif match := _DAY_FIRST.fullmatch(text):
        day, month, year = map(int, match.groups())
    else:
        raise ValueError("must be YYYY-MM-DD or DD-MM-YYYY")
    try:
        born = date(year, month, day)
    except ValueError as exc:
        raise ValueError("is no day of the calendar") from exc
    if born.year < 1850 or born > today:
        raise ValueError("must lie between 1850 and today")
    return born.isoformat()
