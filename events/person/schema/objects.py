"""Reads the JSON objects of a file keyword by keyword, and collects what is wrong with each."""

import json
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from events.person.schema.errors import Fault

MOST_TEXT: Final = 2_000
"""Characters of a title or description."""
_SHOWN: Final = 60
"""Characters of the file that a fault repeats."""
_LARGE: Final = 10**20
_UNPRINTABLE: Final = frozenset({"Cc", "Cs"})


def shown(value: object) -> str:
    """Return what a fault repeats of the file."""
    if isinstance(value, int) and abs(value) > _LARGE:
        return "a very large number"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, Mapping):
        return "an object"
    text = json.dumps(value, ensure_ascii=False)
    text = text if text.isprintable() else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def quoted(words: Collection[str]) -> str:
    """Return words as a sentence lists them."""
    *first, last = (f'"{word}"' for word in words)
    return f"{', '.join(first)} or {last}" if first else last


def path(where: str, keyword: str | int) -> str:
    """Return the path of what an object or an array at `where` has."""
    if isinstance(keyword, int) or (keyword.isascii() and keyword.isdigit()):
        return f"{where}[{keyword}]"
    if not (keyword.isascii() and keyword.lstrip("$").replace("_", "").isalnum()) or len(keyword) > 64:
        return f"{where}[{shown(keyword)}]"
    return f"{where}.{keyword}" if where else keyword


def text_fault(value: object, longest: int) -> str:
    """Return what is wrong with a text; nothing if all is well.

    Args:
        value: What should be a text.
        longest: Characters that it may have.
    """
    if not isinstance(value, str):
        return f"is {shown(value)}, which is no text"
    if not value.strip():
        return "is empty"
    if len(value) > longest:
        return f"has {len(value):,} characters"
    if any(unicodedata.category(char) in _UNPRINTABLE for char in value):
        return "has a control character"
    return ""


def suggestion(word: str, known: Collection[str]) -> str:
    """Return a question for who may have mistyped a word; nothing if none is like it."""
    close = get_close_matches(word[:64].casefold(), known, 1)
    return f'did you mean "{close[0]}"?' if close else ""


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """One object of the file.

    What has no fault is returned; of what has one, the fault is kept and the absent value returned.

    Attributes:
        content: As the file has it.
        where: Its path.
        faults: What is wrong in the file; grows.
    """

    content: Mapping[str, object]
    where: str
    faults: list[Fault]

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.content

    def fault(self, keyword: str | int, what: str, instead: str) -> None:
        """Keep what is wrong with a keyword."""
        self.faults.append(Fault(path(self.where, keyword), what, instead))

    def whole_fault(self, what: str, instead: str) -> None:
        """Keep what is wrong with the object itself."""
        self.faults.append(Fault(self.where, what, instead))

    def item_fault(self, keyword: str, at: int, what: str, instead: str) -> None:
        """Keep what is wrong with an item of an array, counted from 0."""
        self.faults.append(Fault(path(path(self.where, keyword), at), what, instead))

    def inner(self, keyword: str, instead: str) -> "SchemaObject | None":
        """Return the object that a keyword has; None without one."""
        if keyword not in self.content:
            return None
        value = self.content[keyword]
        if not isinstance(value, Mapping):
            self.fault(keyword, f"is {shown(value)}, which is no object", instead)
            return None
        return SchemaObject(value, path(self.where, keyword), self.faults)

    def inner_or_empty(self, keyword: str) -> "SchemaObject":
        """Return the object that a keyword has, or one without keywords."""
        inner = self.inner(keyword, "write an object")
        return SchemaObject({}, path(self.where, keyword), self.faults) if inner is None else inner

    def text(self, keyword: str, longest: int = MOST_TEXT) -> str:
        """Return the text that a keyword has."""
        if keyword not in self.content:
            return ""
        value = self.content[keyword]
        if what := text_fault(value, longest):
            self.fault(keyword, what, f"write a text of 1 to {longest:,} characters")
            return ""
        return str(value)

    def texts(self, keyword: str, longest: int, most: int) -> tuple[str, ...]:
        """Return the texts that a keyword lists."""
        kind = f"a text of 1 to {longest} characters"
        return tuple(text for _, text in self.numbered_texts(keyword, kind, longest, most))

    def numbered_texts(self, keyword: str, kind: str, longest: int, most: int) -> Iterator[tuple[int, str]]:
        """Yield the texts that a keyword lists, each with its position, from 0.

        Args:
            keyword: Has an array of texts.
            kind: What each is, for a fault.
            longest: Characters that each may have.
            most: How many there may be.
        """
        if keyword not in self.content:
            return
        values = self.content[keyword]
        if not isinstance(values, list) or len(values) > most:
            what = f"has {len(values):,} items" if isinstance(values, list) else f"is {shown(values)}"
            self.fault(keyword, what, f"write an array of at most {most}, each {kind}")
            return
        for at, value in enumerate(values):
            if what := text_fault(value, longest):
                self.item_fault(keyword, at, what, f"write {kind}")
            else:
                yield at, value

    def integer(self, keyword: str, least: int, most: int, absent: int | None = None) -> int | None:
        """Return the integer that a keyword has; 30.0 is one, as JSON Schema 2020-12 says."""
        if keyword not in self.content:
            return absent
        value = self.content[keyword]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.fault(keyword, f"is {shown(value)}", f"write an integer from {least:,} to {most:,}")
            return absent
        return value

    def flag(self, keyword: str, *, absent: bool = False) -> bool:
        """Return the truth value that a keyword has."""
        value = self.content.get(keyword, absent)
        if not isinstance(value, bool):
            self.fault(keyword, f"is {shown(value)}", "write true or false")
            return absent
        return value

    def choice(self, keyword: str, options: Collection[str]) -> str:
        """Return the one of some words that a keyword has."""
        if keyword not in self.content:
            return ""
        value = self.content[keyword]
        if not isinstance(value, str) or value not in options:
            hint = suggestion(value, options) if isinstance(value, str) else ""
            self.fault(keyword, f"is {shown(value)}", f"{hint} write {quoted(options)}".lstrip())
            return ""
        return value
