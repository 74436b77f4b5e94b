"""Owns how text is folded for comparing and searching; stores and sorts nothing itself."""

import unicodedata
from functools import lru_cache

TOP = "\U0010ffff"
"""Sorts after every text that begins with the same letters: the open end of a prefix range."""


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """Return the text as it is compared: without accents, case or surplus space; remembered, as names recur.

    Args:
        text: Any text, in any script.

    Returns:
        The compatibility-decomposed (UAX 15, NFKD), mark-free, case-folded text, words separated by
        one space. Folding a folded text changes nothing.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(bare.split())


def words(*texts: str | None) -> list[str]:
    """Return the distinct folded words of the texts, in order of appearance."""
    return list(dict.fromkeys(word for text in texts if text for word in fold(text).split()))
