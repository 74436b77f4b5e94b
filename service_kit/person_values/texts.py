"""Reads texts, names and e-mail addresses.

Reading a normal form changes nothing. How long it may be is not said here: `events.person.fields` limits what
is stored, after all that is done to it.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, LiteralString

from email_validator import EmailNotValidError, validate_email
from pydantic_core import PydanticCustomError

from service_kit.person_values.context import NOWHERE, Context

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
