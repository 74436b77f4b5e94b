"""Reads phone numbers, as people in any country write them."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

import phonenumbers
from pydantic_core import PydanticCustomError

from service_kit.person_values.context import NOWHERE, Context

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_NUMBER: Final = re.compile(
    r"(?:tel:)?[ +\uff0b\d.,/()\[\]\-\u2010-\u2015\u2212\uff0d\u30fc\u00ad\u200b\u2060\uff0e\uff08\uff09]+",
    re.IGNORECASE,
)
"""Digits and what stands between them. Letters are no digits here, although a keypad has them: a letter O for
a zero would be taken for a six."""
_MARKS: Final = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202c\u2066\u2068\u2069\ufeff"))
"""They come along when a number is copied from a list of contacts, and are not seen. None turns round what it
stands before: those that do are refused."""
_EXTENSION: Final = re.compile(
    r"[ ;,]{0,3}(?:ext ?=|(?:ext|extn|extensi[oó]n|x|#|int|interno|anexo|доб)[.:]{0,2}) ?"
    r"(\d{1,20}) ?#?$",
    re.IGNORECASE,
)
"""Both take time that grows with the length alone."""


@lru_cache
def _trunk(country_code: str) -> re.Pattern[str] | None:
    """Return how a country's numbers begin that need parsing; None if it is no code of one country alone."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(country_code), ())
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(regions[0]) if len(regions) == 1 else None
    return None if metadata is None else re.compile(metadata.national_prefix_for_parsing or "(?!)")


def _is_whole(written: str) -> bool:
    """Return whether a number is in use and E.164 already, for most of those that are.

    The library's parser looks for what people write around a number: that takes most of the time, and here
    is nothing. Country codes are free of prefixes, so the first that is known is the one.
    """
    if not _E164.fullmatch(written):
        return False
    for end in (2, 3, 4):
        trunk = _trunk(written[1:end])
        if trunk is not None:
            number = phonenumbers.PhoneNumber(int(written[1:end]), int(written[end:]))
            return (
                written[end] != "0"
                and not trunk.match(written[end:])
                and phonenumbers.is_valid_number(number)
            )
    return False


def phone(written: str, context: Context = NOWHERE) -> str:
    """Return a phone number as E.164; with an extension, followed by `;ext=` and that (RFC 3966).

    Args:
        written: With its country (`+57 …`), or national.
        context: Names the region of national numbers.

    Raises:
        ValueError: It is no number in use, or there is more in it than a number and its extension.
    """
    if _is_whole(written):
        return written
    bare = " ".join(written.translate(_MARKS).split())
    extension = _EXTENSION.search(bare)
    text = bare[: extension.start()] if extension else bare
    if not _NUMBER.fullmatch(text):
        raise PydanticCustomError(
            "no_phone", "is no phone number: write digits, and ext. before an extension"
        )
    try:
        number = phonenumbers.parse(text, context.get("phone_region"))
    except phonenumbers.NumberParseException as exc:
        raise _not_in_use() from exc
    if not phonenumbers.is_valid_number(number):
        raise _not_in_use()
    normal: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if extension is None:
        return normal
    digits = "".join(str(unicodedata.digit(digit)) for digit in extension[1])
    return f"{normal};ext={digits}"


def _not_in_use() -> PydanticCustomError:
    return PydanticCustomError(
        "phone_not_in_use", "is no number in use: check the digits, or begin with + and the country"
    )
