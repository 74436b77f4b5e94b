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

from events.person.schema.declarations import PersonSchema
from events.text import TOP, fold, parts_of_words

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


class Search:
    """Finds a schema's people by what is typed into a search box.

    Args:
        schema: What a person is.

    Attributes:
        description: What is found, in words.
    """

    def __init__(self, schema: PersonSchema) -> None:
        searched = [field for field in schema.fields if field.is_searched]
        by_prefix = [field for field in searched if field.is_found_by_prefix]
        self._by_format = {
            format_: [field.key for field in by_prefix if field.format == format_]
            for format_ in ("email", "document-number", "phone")
        }
        self._others = [field for field in by_prefix if field.format not in self._by_format]
        self._words = any(field.search == "words" for field in searched) or bool(
            self._by_format["document-number"]
        )
        found = [field.name for field in searched]
        self.description = (
            f"Beginnings of words or values: of {', '.join(found)}" if found else "Finds nobody"
        )

    def conditions(self, text: str, region: str) -> list[Condition]:
        """Return the MongoDB conditions, all of which must hold, for who is searched.

        Args:
            text: What was typed.
            region: Whose phone numbers are written without a country.
        """
        typed = text.split()[:MAX_WORDS]
        # Of a word that nothing can begin with, there is nobody who has it.
        found = [
            list(self._of_word(word, region)) or [NOBODY] for word in typed if any(map(str.isalnum, word))
        ]
        if not found:
            return [NOBODY]
        each = list(map(_any, found))
        whole = list(self._of_words(typed, text, region)) if len(typed) > 1 else []
        return [_any([*whole, {"$and": each}])] if whole else each

    def _of_words(self, typed: Sequence[str], text: str, region: str) -> Iterator[Condition]:
        """Yield what several words may be the beginning of together: a number in groups, an address."""
        if number := _IN_GROUPS.fullmatch(text):
            yield from self._of_number(number[1], region)
        elif "@" in text:
            yield from self._of_address("+".join(typed))  # a plus that was not escaped
        elif _DOCUMENT.fullmatch(bare := "".join(part for word in parts_of_words(text) for part in word)):
            yield from self._of_document(bare)
        yield from self._of_value(" ".join(typed))

    def _of_word(self, word: str, region: str) -> Iterator[Condition]:
        """Yield what a word without spaces, with a letter or digit, may be the beginning of."""
        yield from self._of_address(word)
        yield from self._of_value(word)
        if "@" in word:
            return
        for parts in parts_of_words(word):
            yield from self._of_name("".join(parts))
            if len(parts) > 1 and self._words:
                # `Luz-Marina` is also `Luz Marina`
                yield {"$and": [one for part in parts for one in self._of_name(part)]}
            if not word.startswith("+") and (bare := "".join(parts)).isascii():
                yield from self._of_document(bare)
        if number := _NUMBER.fullmatch(word):
            yield from self._of_number(number[1], region)

    def _of_name(self, part: str) -> Iterator[Condition]:
        if self._words:
            yield {"keys.words": {"$elemMatch": beginning(part)}}

    def _of_address(self, word: str) -> Iterator[Condition]:
        for key in self._by_format["email"]:
            yield {key: beginning(_address(word))}

    def _of_document(self, bare: str) -> Iterator[Condition]:
        """Yield the documents of whose numbers something may be the beginning.

        Args:
            bare: Letters and digits, folded: nothing that divides it counts.
        """
        for key in self._by_format["document-number"]:
            yield {key: beginning(bare.upper())}
        if self._by_format["document-number"]:
            yield from self._of_name(bare)  # a number with dashes is a word, too, without them

    def _of_number(self, text: str, region: str) -> Iterator[Condition]:
        """Yield the documents and phones of which a number may be the beginning."""
        digits = re.sub(r"\D", "", text)
        phones = self._by_format["phone"]
        if text.startswith("+"):
            yield from ({key: beginning(f"+{digits}")} for key in phones)
            return
        yield from self._of_document(digits)
        for number in _numbers(digits, region):
            yield from ({key: beginning(f"+{number}")} for key in phones)

    def _of_value(self, text: str) -> Iterator[Condition]:
        """Yield whose values of other fields something may be the beginning of; case does not count."""
        for field in self._others:
            if field.folded:
                if folded := fold(text):
                    yield {field.key: beginning(folded)}
            else:
                yield from (
                    {field.key: beginning(one)} for one in dict.fromkeys((text, text.upper(), text.lower()))
                )


def _any(conditions: Sequence[Condition]) -> Condition:
    others = [one for at, one in enumerate(conditions) if one not in conditions[:at]]
    return others[0] if len(others) == 1 else {"$or": others}


def beginning(text: str) -> Condition:
    """Return the condition of a value that it begins with a text."""
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
