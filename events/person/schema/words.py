"""Reads the codes of an enum and the other words that clients may use for them."""

from collections.abc import Mapping, Sequence
from typing import Final

from events.person.schema.objects import SchemaObject, shown, suggestion
from events.person.vocabulary import word_key

MOST_CODES: Final = 500
MOST_WORDS: Final = 50
"""Words for one code."""
LONGEST_WORD: Final = 60
"""Characters of a code or a word for it."""
_KIND: Final = f"a text of 1 to {LONGEST_WORD} characters"


def read_codes(declared: SchemaObject) -> Sequence[str]:
    """Return the codes of an enum, in its order; their faults are kept."""
    codes: dict[str, str] = {}
    before = len(declared.faults)
    for at, code in declared.numbered_texts("enum", _KIND, LONGEST_WORD, MOST_CODES):
        key = word_key(code)
        if not key:
            declared.item_fault("enum", at, f"is {shown(code)}, which has no letter or digit", "write a word")
        elif key in codes:
            what = f"is {shown(code)}, which is compared as {shown(codes[key])} is"
            declared.item_fault("enum", at, what, "write a code that differs in its letters and digits")
        else:
            codes[key] = code
    if not codes and len(declared.faults) == before:
        declared.fault("enum", "has no codes", "list at least one")
    return tuple(codes.values())


def read_words(own: SchemaObject, codes: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return by code the other words for it; their faults are kept.

    Args:
        own: What is ours about the field.
        codes: Those of its enum.
    """
    words: dict[str, tuple[str, ...]] = dict.fromkeys(codes, ())
    declared = own.inner("words", 'write {"a_code": ["A word for it"], …}')
    if declared is None:
        return words
    meanings = {word_key(code): code for code in codes}
    for code in declared.content:
        if code not in words:
            instead = suggestion(code, codes) or "write one of the enum, or add it there"
            declared.fault(code, "is no code of the enum", instead)
            continue
        words[code] = declared.texts(code, LONGEST_WORD, MOST_WORDS)
        for word in words[code]:
            key = word_key(word)
            if not key:
                declared.fault(code, f"has {shown(word)}, which has no letter or digit", "write a word")
            elif (other := meanings.setdefault(key, code)) != code:
                what = f"has {shown(word)}, which stands for {shown(other)} already"
                declared.fault(code, what, "leave it with one of the two")
    return words
