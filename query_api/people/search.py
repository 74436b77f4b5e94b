"""What `q` finds: beginnings of names, document numbers, e-mail addresses and phone numbers.

It is what people type into a search box: unfinished, in any spelling, several words in any order.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import idna
import phonenumbers

from events.text import TOP, parts_of_words

Condition = dict[str, Any]
MAX_WORDS: Final = 8
NOBODY: Final[Condition] = {"_id": {"$in": []}}
_DIGITS: Final = r"(\+?[\d\s().\-]*\d[\d\s().\-]*)"
_NUMBER: Final = re.compile(rf"{_DIGITS}(?:;ext=\d*)?", re.ASCII)
_IN_GROUPS: Final = re.compile(
    rf"{_DIGITS}(?:[;,]?\s?(?:e|ext?|extensi[oó]n|x)[.:=]?\s?\d*)?", re.ASCII | re.IGNORECASE
)
"""Also with an extension, or the beginning of one: whoever has the number is found."""
_DOCUMENT: Final = re.compile(r"[a-z0-9]*[0-9][a-z0-9]*")
"""What several words may be together, freed of all that divides it."""


def search_conditions(text: str, region: str) -> list[Condition]:
    """Return the MongoDB conditions, all of which must hold, for who is searched.

    Args:
        text: What was typed.
        region: Whose phone numbers are written without a country.
    """
    typed = text.split()[:MAX_WORDS]
    found = [one for word in typed if (one := list(_of_word(word, region)))]
    if not found:
        return [NOBODY]
    each = list(map(_any, found))
    whole = list(_of_words(typed, text, region)) if len(typed) > 1 else []
    return [_any([*whole, {"$and": each}])] if whole else each


def _any(conditions: Sequence[Condition]) -> Condition:
    others = [one for at, one in enumerate(conditions) if one not in conditions[:at]]
    return others[0] if len(others) == 1 else {"$or": others}


def _of_words(typed: Sequence[str], text: str, region: str) -> Iterator[Condition]:
    """Yield what several words may be the beginning of together: a number in groups, an address."""
    if number := _IN_GROUPS.fullmatch(text):
        yield from _of_number(number[1], region)
    elif "@" in text:
        yield {"email": _beginning(_address("+".join(typed)))}  # a plus that was not escaped
    elif _DOCUMENT.fullmatch(bare := "".join(part for word in parts_of_words(text) for part in word)):
        yield from _of_document(bare)


def _of_word(word: str, region: str) -> Iterator[Condition]:
    """Yield what a word without spaces may be the beginning of."""
    if not any(map(str.isalnum, word)):
        return
    yield {"email": _beginning(_address(word))}
    if "@" in word:
        return
    for parts in parts_of_words(word):
        yield _name("".join(parts))
        if len(parts) > 1:
            yield {"$and": list(map(_name, parts))}  # `Luz-Marina` is also `Luz Marina`
        if not word.startswith("+") and (bare := "".join(parts)).isascii():
            yield from _of_document(bare)
    if number := _NUMBER.fullmatch(word):
        yield from _of_number(number[1], region)


def _name(part: str) -> Condition:
    return {"keys.words": {"$elemMatch": _beginning(part)}}


def _of_document(bare: str) -> Iterator[Condition]:
    """Yield the documents of whose numbers something may be the beginning.

    Args:
        bare: Letters and digits, folded: nothing that divides it counts.
    """
    yield {"document_id": _beginning(bare.upper())}
    yield _name(bare)  # a number with dashes is a word, too, without them


def _beginning(text: str) -> Condition:
    return {"$gte": text, "$lt": text + TOP}


def _address(word: str) -> str:
    """Return the beginning of an e-mail address as they are stored: lower case, no `xn--` labels."""
    name, at, domain = unicodedata.normalize("NFC", word.lower()).partition("@")
    return name + at + ".".join(map(_label, domain.split(".")))


def _label(label: str) -> str:
    try:
        return idna.decode(label) if label.startswith("xn--") else label
    except idna.IDNAError:  # not typed to its end yet
        return label


def _of_number(text: str, region: str) -> Iterator[Condition]:
    """Yield the documents and phones of which a number may be the beginning."""
    digits = re.sub(r"\D", "", text)
    if text.startswith("+"):
        yield {"phone": _beginning(f"+{digits}")}
        return
    yield from _of_document(digits)
    for number in _numbers(digits, region):
        yield {"phone": _beginning(f"+{number}")}


def _numbers(digits: str, region: str) -> Iterator[str]:
    """Yield the beginnings of international numbers that some digits may be, the plus left out."""
    if digits.startswith("00"):
        yield digits[2:]
    elif not digits.startswith("0"):
        yield digits
    code, trunk = _dialling(region)
    national = digits.removeprefix(trunk)
    yield f"{code}{national}"


@lru_cache
def _dialling(region: str) -> tuple[int, str]:
    """Return a region's country code, and what its own numbers are written with in front."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    return phonenumbers.country_code_for_region(region), (metadata and metadata.national_prefix) or ""
