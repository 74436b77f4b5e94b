"""Folds text for comparing, searching and sorting."""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

TOP: Final = "\U0010ffff"
"""Sorts after every text that begins with the same letters: the open end of a prefix range."""
_LETTERS: Final = dict(
    zip("ðđħıĸłŋøŧƀɖɗƒɠǥɨƙƚɲɵƴƶəɛɔȷیکىة", "ddhiklnotbddfggiklnoyzeeoj" + "يكيه", strict=True)
) | {"æ": "ae", "œ": "oe", "þ": "th"}
"""Letters that Unicode does not decompose, and that people leave out or cannot type.

No script is written in another one: that would make strangers' names the same.
"""
_APOSTROPHES: Final = frozenset("'`´‘’‛′ʹʻʼʽʾʿˈ՚׳״ꞌ·‧")
"""Also what is written in a word like one: the dot of Catalan, the geresh of Hebrew."""
_SEPARATORS: Final = frozenset("-.\u2212\u30fb\u0f0b\u1361")
"""What joins the parts of a name beside dashes: a dot, the middle dot of Japanese, the points of Tibetan."""
_MEANINGFUL: Final = frozenset({8, 9, 84, 91, 103, 107, 118, 122, 129, 130, 132})
"""Combining classes of marks that are no accents: kana's voice, viramas, vowels and tones of South Asia."""
_IGNORED: Final = frozenset("\u034f\u0640") | {chr(code) for code in range(0xFE00, 0xFE10)}
_ASCII: Final = str.maketrans({"'": None, "`": None, "-": " ", ".": " "})
_MARKED: Final = str.maketrans({"'": None, "-": " "})


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """Return the text as it is compared and sorted; remembered, as names recur.

    Args:
        text: Any text, in any script.

    Returns:
        Without case, accents, apostrophes and surplus space; a space for each hyphen or dot; compatibility
        forms decomposed (UAX 15, NFKD). Folding a folded text changes nothing.
    """
    if text.isascii():
        return " ".join(text.casefold().translate(_ASCII).split())
    return " ".join(_marked(text).translate(_MARKED).split())


def words(*texts: str | None) -> list[str]:
    """Return what texts are found by the beginnings of, each once, in order of appearance.

    Of a word in several parts that is the word from each part on: `O'Neil-Ruiz` is found as `oneilruiz`, as
    `neilruiz` and as `ruiz`, and so also as `neil`.
    """
    return list(dict.fromkeys(word for text in texts if text for word in _endings(text)))


@lru_cache(maxsize=8192)
def _endings(text: str) -> tuple[str, ...]:
    if text.isascii() and text.replace(" ", "").isalnum():  # most are, and this takes a tenth of the time
        return tuple(text.casefold().split())
    return tuple("".join(parts[at:]) for parts in parts_of_words(text) for at in range(len(parts)))


def parts_of_words(text: str) -> list[list[str]]:
    """Return the folded parts of each word that has any: of `Anne-Marie Paz`, `[[anne, marie], [paz]]`."""
    return [parts for word in _marked(text).split() if (parts := list(_parts(word)))]


def _parts(word: str) -> Iterator[str]:
    """Yield the runs of letters, digits and their marks."""
    if word.isalnum():
        yield word
        return
    spaced = "".join(char if char.isalnum() or unicodedata.category(char)[0] == "M" else " " for char in word)
    yield from spaced.split()


def _marked(text: str) -> str:
    """Return the text folded, but with `'` for each apostrophe and `-` for what joins parts."""
    # An acute accent alone would be decomposed into a space and a mark.
    plain = "".join("'" if char in _APOSTROPHES else char for char in text)
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", plain).casefold())
    return "".join(map(_folded, letters))


@lru_cache(maxsize=4096)
def _folded(char: str) -> str:
    """Return what becomes of a decomposed letter."""
    if char in _APOSTROPHES:
        return "'"
    if char in _SEPARATORS or unicodedata.category(char) == "Pd":
        return "-"
    accent = unicodedata.combining(char)
    if (accent and accent not in _MEANINGFUL) or char in _IGNORED or unicodedata.category(char) == "Cf":
        return ""
    return _LETTERS.get(char, char)
