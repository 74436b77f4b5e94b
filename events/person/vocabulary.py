"""The words that people systems use for documents, genders and dates, and their one stored form.

The words are part of the HTTP contract: the reference and both OpenAPI documents show them.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache

from pydantic_core import PydanticCustomError

from events.text import fold


def word_key(word: str) -> str:
    """Return what a word for a code is compared by."""
    return re.sub(r"[\s_.\-]+", "", fold(word))


_ISO_DATE = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[Tt ]00:00(?::00(?:\.0+)?)?(?:[Zz]|[+-]\d{2}:\d{2})?)?", re.ASCII
)
_DAY_FIRST = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})", re.ASCII)
_GROUPED = re.compile(r"(?<![0-9.])(?!0\.)[0-9]{1,3}(?:\.[0-9]{3})+(?![0-9.])")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_EXPONENT = re.compile(r"[0-9](?:[.,][0-9]+)?[Ee][+-]?[0-9]{1,2}")
_DOCUMENT_ID = re.compile(r"[A-Z0-9][A-Z0-9\-]{1,30}[A-Z0-9]")


def code_reader(words: Mapping[str, tuple[str, ...]]) -> Callable[[str], str]:
    """Return what returns the code that is stored for a code or any word for it.

    Case, accents, spaces and dashes do not count. A word that nobody declared is a `ValueError`.

    Args:
        words: By code, the words for it.
    """
    codes = {word_key(word): code for code, known in words.items() for word in (code, *known)}

    @lru_cache(maxsize=256)
    def read(word: str) -> str:
        code = codes.get(word) or codes.get(word_key(word))
        if code is None:
            raise PydanticCustomError(
                "unknown_word", "is none of {words} or their known names", {"words": ", ".join(words)}
            )
        return code

    return read


def document_id(text: str) -> str:
    """Return a document's number as it is compared: upper case, without spaces and dots between thousands.

    Args:
        text: As a person writes it, `1.234.567-8` say.

    Raises:
        ValueError: It is what a spreadsheet makes of a long number; a dot does not group thousands, but
            makes a fraction; or what remains is not 3 to 32 of the letters A-Z, digits and inner dashes.
    """
    bare = "".join(text.split()).translate(_DASHES)
    if _EXPONENT.fullmatch(bare):
        raise PydanticCustomError(
            "document_number_exponent",
            "is a number as a spreadsheet shortens it: keep such cells as text",
        )
    if "." in bare:
        if "." in _GROUPED.sub("", bare):
            raise PydanticCustomError("document_number_dot", "may have dots between thousands alone")
        bare = bare.replace(".", "")
    # Upper case makes letters of others, too: of a dotless i, say. None is to become another one.
    bare = bare.upper() if bare.isascii() else bare
    if not _DOCUMENT_ID.fullmatch(bare):
        raise PydanticCustomError("document_number", "must be 3 to 32 letters (A-Z), digits or inner dashes")
    return bare


def any_date(text: str) -> str:
    """Return a day as `YYYY-MM-DD`.

    Args:
        text: As for `birth_date`.

    Raises:
        ValueError: Not a date of the calendar.
    """
    return _day(text).isoformat()


def birth_date(text: str, today: date) -> str:
    """Return a birth date as `YYYY-MM-DD`.

    Args:
        text: `1990-12-10` (RFC 3339), or midnight of that day, as programs write a date that they take for a
            time; or day first as the replaced systems write it: `10-12-1990`, `10/12/1990`.
        today: The latest birth date that is believed.

    Raises:
        ValueError: Not a date of the calendar, before 1850 or after `today`.
    """
    born = _day(text)
    if born.year < 1850 or born > today:
        raise PydanticCustomError("date_out_of_range", "must lie between 1850 and today")
    return born.isoformat()


def _day(text: str) -> date:
    if match := _ISO_DATE.fullmatch(text):
        year, month, day = map(int, match.groups())
    elif match := _DAY_FIRST.fullmatch(text):
        day, month, year = map(int, match.groups())
    else:
        raise PydanticCustomError("date_form", "must be YYYY-MM-DD or DD-MM-YYYY")
    try:
        return date(year, month, day)
    except ValueError as exc:
        raise PydanticCustomError("no_such_day", "is no day of the calendar") from exc
