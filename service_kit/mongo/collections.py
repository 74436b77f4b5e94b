"""Reads the collections' definitions, which are stated once, in `mongo-cluster/collections.json`."""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from events.person.orders import order_of, sort_of
from events.person.schema.declarations import PersonSchema
from events.person.search import may_lack

DEFINITIONS: Final = Path(__file__).resolve().parents[2] / "mongo-cluster" / "collections.json"


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a collection: its keys, whether it forbids repeats, whether documents end by it.

    With `where`, it has the documents alone that have that field.
    """

    keys: tuple[tuple[str, int], ...]
    unique: bool
    expires: bool
    where: str | None

    @property
    def name(self) -> str:
        """Return the name that MongoDB gives such an index."""
        return "_".join(f"{field}_{direction}" for field, direction in self.keys)


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection: its name, the key that its documents are spread by, and its indexes.

    With `of_keys`, it is in the database of keys, apart from the others.
    """

    name: str
    shard_key: tuple[tuple[str, str], ...]
    indexes: tuple[Index, ...]
    of_keys: bool = False

    def home(self, database: str) -> str:
        """Return the name of the database that it is in.

        Args:
            database: The services' database.
        """
        return keys_database(database) if self.of_keys else database


def keys_database(database: str) -> str:
    """Return the name of the database of keys that belongs to a database of people."""
    return f"{database}_keys"


@cache
def load_collections() -> tuple[Collection, ...]:
    """Return every collection, as defined: without what a person schema adds."""
    content = json.loads(DEFINITIONS.read_text(encoding="utf-8"))
    return tuple(
        Collection(
            name,
            tuple(one["shard_key"].items()),
            tuple(
                Index(
                    tuple(index["keys"].items()),
                    index.get("unique", False),
                    index.get("expires", False),
                    index.get("where"),
                )
                for index in one["indexes"]
            ),
            one.get("database") == "keys",
        )
        for name, one in content.items()
    )


PEOPLE: Final = "people"


def collections_of(schema: PersonSchema) -> tuple[Collection, ...]:
    """Return every collection, that of people with the indexes that a schema wants."""
    return tuple(
        replace(one, indexes=(*one.indexes, *person_indexes(schema))) if one.name == PEOPLE else one
        for one in load_collections()
    )


def person_indexes(schema: PersonSchema) -> tuple[Index, ...]:
    """Return the indexes that a schema's filters and sorts want.

    Few people share a value of most fields; of codes and truth values there are too few for an index to tell
    many apart. A sorted field's index answers its filters, too.
    """
    together = {names[-1]: names[::-1] for names in schema.unique.values() if len(names) > 1}
    wanted: dict[tuple[tuple[str, int], ...], str | None] = {}
    for field in schema.fields:
        if field.sort:
            wanted[((field.key, 1), ("_id", 1))] = None
        elif field.has_filter and field.format != "code" and field.type != "boolean":
            names = together.get(field.name, (field.name,))
            wanted[tuple((schema.by_name[name].key, 1) for name in names)] = None
        if field.sort and may_lack(field):
            wanted[((f"keys.lacks.{field.name}", 1), ("_id", 1))] = f"keys.lacks.{field.name}"
    if any(field.is_searched and (field.search == "words" or field.is_word) for field in schema.fields):
        wanted[(("keys.words", 1),)] = None
    for names in schema.sorts:
        wanted[tuple(order_of([sort_of(schema, name) for name in names]))] = None
    return tuple(Index(keys, unique=False, expires=False, where=where) for keys, where in wanted.items())
