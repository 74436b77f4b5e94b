"""Reads a person's values as clients write them: gives the one normal form, to be stored and to be asked for.

Reading a normal form changes nothing. How long it may be is not said here: `events.person.fields` limits what
is stored, after all that is done to it.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, LiteralString, assert_never

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic_core import PydanticCustomError, PydanticKnownError

from events.person import vocabulary
from events.person.schema import FieldDeclaration

Context = Mapping[str, Any]
"""What reading wants to know: `today`, the latest birth date; `phone_region`, of national phone numbers."""
Reader = Callable[[str, Context], str]
"""Returns the normal form of a text, or raises `ValueError`: a `PydanticError` with a type of its own."""

NOWHERE: Final[Context] = MappingProxyType({})
MAX_WRITTEN: Final = 2000
"""Characters of a value as it is written, surplus space and all: nothing longer is even looked at."""

_REFUSED: Final = frozenset(("Cc", "Cs", "Co", "Cn"))
_BYTE_ORDER_MARK: Final = "\ufeff"
_LINE_ENDS: Final = frozenset("\t\n\v\f\r\x85")
_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn round what stands after them, beyond the value too: https://www.unicode.org/reports/tr9/."""


def text(written: str, _context: Context = NOWHERE) -> str:
    """Return a text with single spaces, composed (UAX 15, NFC).

    Line ends are spaces, and a byte order mark is nothing. Joiners and all other characters of every script
    stay what they are.

    Raises:
        ValueError: Nothing of it can be seen, or it has a control character, a directional override, or one
            that is private or unassigned.
    """
    seen = True
    if not written.isprintable():
        written = written.replace(_BYTE_ORDER_MARK, "")
        seen = any(not char.isspace() and unicodedata.category(char) != "Cf" for char in written)
        for char in written:
            if (unicodedata.category(char) in _REFUSED and char not in _LINE_ENDS) or char in _BIDI:
                raise PydanticCustomError(
                    "unprintable_character",
                    "holds the character {character}, which cannot be printed",
                    {"character": f"U+{ord(char):04X}"},
                )
    normal = " ".join(written.split())
    if not normal.isascii():
        normal = unicodedata.normalize("NFC", normal)
    if not (normal and seen):
        raise PydanticCustomError("empty", "must not be empty")
    return normal


def name(written: str, _context: Context = NOWHERE) -> str:
    """Return a name as `text` does; it has a letter.

    Raises:
        ValueError: It is no such text, or has no letter.
    """
    normal = text(written)
    if not (normal.isalpha() or any(map(str.isalpha, normal))):
        raise PydanticCustomError("no_letter", "must hold a letter")
    return normal


_PLAIN: Final = re.compile(r"([a-z0-9]+(?:[._+\-][a-z0-9]+)*)@([a-z0-9.\-]+)")


@lru_cache(maxsize=4096)
def _is_domain(domain: str) -> bool:
    """Return whether a domain, as it is written, is a good one in its normal form."""
    try:
        return validate_email(f"a@{domain}", check_deliverability=False).normalized == f"a@{domain}"
    except EmailNotValidError:
        return False


def email(written: str, _context: Context = NOWHERE) -> str:
    """Return an e-mail address in lower case, its domain in Unicode.

    Raises:
        ValueError: It is none.
    """
    # Most are plain, of few domains: those need only be looked at, which takes a tenth of the time.
    plain = _PLAIN.fullmatch(written)
    if plain and len(plain[1]) <= 64 and len(written) <= 254 and _is_domain(plain[2]):
        return written
    try:
        normal = validate_email(written.strip(), check_deliverability=False).normalized.lower()
        if not normal.isascii():
            # In lower case some letters fall apart, which may then be composed in another way.
            normal = validate_email(normal, check_deliverability=False).normalized
        return normal
    except EmailNotValidError as exc:
        raise PydanticCustomError("no_email", _email_fault(written)) from exc


def _email_fault(written: str) -> LiteralString:
    """Return why a text is no e-mail address."""
    name, at, domain = written.strip().partition("@")
    if not (name and at and domain) or "@" in domain:
        return "is no e-mail address: it must have one @, with a name before it and a domain after it"
    try:
        validate_email(f"a@{domain}", check_deliverability=False)
    except EmailNotValidError:
        return "is no e-mail address: what stands after the @ is no domain, such as example.org"
    return "is no e-mail address: what stands before the @ cannot stand there"


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


def _birth_date(written: str, context: Context) -> str:
    return vocabulary.birth_date(written.strip(), context.get("today", date.max))


def _document_id(written: str, _context: Context) -> str:
    return vocabulary.document_id(written)


def _code_reader(field: FieldDeclaration) -> Reader:
    read = vocabulary.CODE_READERS[field.name]
    return lambda written, _context: read(written)


def reader_of(field: FieldDeclaration) -> Reader:
    """Return what reads the values of a field, be they in a body, in a row of an import or in a filter."""
    read: Reader
    match field.format:
        case "code":
            read = _code_reader(field)
        case "document-number":
            read = _document_id
        case "name":
            read = name
        case "birth-date":
            read = _birth_date
        case "email":
            read = email
        case "phone":
            read = phone
        case "text":
            read = text
        case _:
            assert_never(field.format)

    def read_bounded(written: str, context: Context) -> str:
        if len(written) > MAX_WRITTEN:
            raise PydanticKnownError("string_too_long", {"max_length": field.max_length or MAX_WRITTEN})
        return read(written, context)

    return read_bounded
