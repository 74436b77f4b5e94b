"""What people call the columns of a file, beside the fields' own names. Pure."""

import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from events.person.schema.declarations import PersonSchema

ID_TITLES: Final = ("id", "Person id", "ID de persona")
"""What people call the column with a person's id."""


def title_key(title: str) -> str:
    """Return what a title is compared by: case, accents, spaces and punctuation do not count."""
    letters = unicodedata.normalize("NFKD", title).casefold()
    # A title of signs alone, such as #, is compared as it is.
    return "".join(char for char in letters if char.isalnum()) or letters.strip()


@lru_cache(maxsize=16)
def titles_of(schema: PersonSchema) -> Mapping[str, tuple[str, ...]]:
    """Return by field what people call its column, each title once however it is written."""
    declared = {one.name: _beside(one.name, (*one.titles, *one.labels.values())) for one in schema.fields}
    return MappingProxyType({"id": ID_TITLES[1:], **declared})


def _beside(name: str, titles: Iterable[str]) -> tuple[str, ...]:
    known = {title_key(name): name}
    for title in titles:
        known.setdefault(title_key(title), title)
    return tuple(known.values())[1:]


@lru_cache(maxsize=16)
def fields_by_title(schema: PersonSchema) -> Mapping[str, str]:
    """Return by the key of a title the field that it stands for."""
    return MappingProxyType(
        {title_key(title): name for name, titles in titles_of(schema).items() for title in (name, *titles)}
    )
